//! What the registry keeps of a job.

use paceline_files::FileFormat;
use paceline_model::{Item, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{ExportPlan, ImportPlan};
use crate::App;
use crate::error::{ApiError, Result};

/// The kind of its item.
pub(crate) const KIND: &str = "job";

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// It waits for its turn.
    Queued,
    /// It is at work, or will be when the server is.
    Running,
    /// Everything was done.
    Completed,
    /// Everything was done but for rows that could not be taken.
    CompletedWithErrors,
    /// It could not go on.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing more will come of it.
    pub(crate) fn ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) status: JobStatus,
    /// Why it ended as it did.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Records of the file that were read, or rows of the table.
    #[serde(default)]
    pub(crate) read: u64,
    /// Records that are rows of the table now.
    #[serde(default)]
    pub(crate) written: u64,
    /// Those of them that were there and were updated. Known a batch late: a kill may lose the count of one.
    #[serde(default)]
    pub(crate) updated: u64,
    /// Records that could not be taken.
    #[serde(default)]
    pub(crate) bad: u64,
    /// Bytes of the report that belong to what was read.
    #[serde(default)]
    pub(crate) report_bytes: u64,
    /// When it ended, in wall microseconds.
    #[serde(default)]
    pub(crate) ended_at: Option<i64>,
    /// Bytes of the file that it made.
    #[serde(default)]
    pub(crate) file_bytes: Option<u64>,
    pub(crate) work: Work,
}

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Import(ImportPlan),
    Export(ExportPlan),
}

impl Work {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Import(_) => "import",
            Self::Export(_) => "export",
        }
    }

    /// The format of its file.
    pub(crate) fn format(&self) -> FileFormat {
        match self {
            Self::Import(plan) => plan.format,
            Self::Export(plan) => plan.format,
        }
    }
}

impl Job {
    pub(crate) fn new(work: Work) -> Self {
        Self {
            status: JobStatus::Queued,
            reason: None,
            read: 0,
            written: 0,
            updated: 0,
            bad: 0,
            report_bytes: 0,
            ended_at: None,
            file_bytes: None,
            work,
        }
    }

    /// The job of an item.
    ///
    /// # Errors
    /// It was written by a newer version.
    pub(crate) fn of(item: &Item) -> Result<Self> {
        serde_json::from_value(item.body.clone())
            .map_err(|error| ApiError::internal(format!("job {} is unreadable: {error}", item.id)))
    }

    pub(crate) fn to_json(&self) -> Result<Json> {
        serde_json::to_value(self)
            .map_err(|error| ApiError::internal(format!("a job is not JSON: {error}")))
    }

    pub(crate) fn end(&mut self, app: &App, status: JobStatus, reason: Option<String>) {
        self.status = status;
        self.reason = reason.map(|mut reason| {
            let end = reason.floor_char_boundary(limits::ERROR_BYTES_MAX);
            reason.truncate(end);
            reason
        });
        self.ended_at = Some(app.clock.wall().as_micros());
    }
}
