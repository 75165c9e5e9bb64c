//! Runs, their tasks, and the attempts made for them.

use std::time::Duration;

use paceline_clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CellError, CellState, ColumnId, NoteStep, RowId, RunId, TableId, Value};

/// Which cells of the column a run fills. Each due cell is taken once; a cell that fails again is not taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every row.
    All,
    /// Rows whose cell has no record yet.
    Empty,
    /// Rows whose cell has failed.
    Failed,
    /// Rows whose cell is unknown: what the vendor knows of each is looked up again, by its note. Only for columns of
    /// kind `integration`; of an `http` call nobody can ask.
    Unknown,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::All, Self::Empty, Self::Failed, Self::Unknown];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The scope of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// Where a run stands (hypertab.md a10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Made, not begun.
    Queued,
    /// Working.
    Running,
    /// Stopped with a reason; nothing is lost, resuming goes on where it stood.
    Paused,
    /// Stopped for good by a person.
    Cancelled,
    /// Every cell completed or skipped.
    Completed,
    /// Every cell ended, and some of them failed or are unknown.
    CompletedWithErrors,
}

impl RunStatus {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Cancelled,
        Self::Completed,
        Self::CompletedWithErrors,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Completed | Self::CompletedWithErrors)
    }
}

/// Counts of a run. `total` is counted when the run is made; the others grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Cells due.
    pub total: u64,
    /// Cells filled.
    pub completed: u64,
    /// Cells given up.
    pub failed: u64,
    /// Cells not due after all.
    pub skipped: u64,
    /// Cells sent, with an outcome that nobody knows.
    pub unknown: u64,
    /// Attempts that left this machine.
    pub calls: u64,
    /// Attempts that the vendor refused for their rate.
    pub throttled: u64,
    /// Attempts after a cell's first.
    pub retries: u64,
}

impl Counts {
    /// Cells that came to an end.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.completed + self.failed + self.skipped + self.unknown
    }
}

/// A request to fill many cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The table.
    pub table: TableId,
    /// The smart column.
    pub column: ColumnId,
    /// Which cells.
    pub scope: Scope,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it is paused, or how it ended.
    pub reason: Option<String>,
    /// How far it has come.
    pub counts: Counts,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed its status.
    pub updated_at: Timestamp,
}

/// A run to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewRun {
    /// The table.
    pub table: TableId,
    /// The smart column.
    pub column: ColumnId,
    /// Which cells.
    pub scope: Scope,
}

/// Who holds tasks, and until when without renewal. The token is new with every start of a process, so that a report
/// of an earlier one is known for late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub token: i64,
    /// For how long from the store's now.
    pub lease: Duration,
}

/// One cell of a run, claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The row.
    pub row: RowId,
    /// The values of the input columns that the claim named, in that order.
    pub inputs: Vec<Value>,
    /// Attempts made for this task so far that used up a retry.
    pub errors: u32,
    /// All attempts made for this task so far.
    pub attempts: u32,
    /// When it was first held up by a vendor's limit, if it still is.
    pub throttled_since: Option<Timestamp>,
    /// Not to be tried before this moment.
    pub not_before: Option<Timestamp>,
    /// What must be known of its cell before anything is done for it: see [`Store::save_note`](crate::Store::save_note).
    /// Only columns of kind `integration` have notes.
    pub note: Option<String>,
}

/// What a claim brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// The tasks, ascending by row.
    pub tasks: Vec<Task>,
    /// True when every due cell of the run has been claimed at least once: nothing more will come of later claims
    /// but tasks given back.
    pub exhausted: bool,
}

/// How an attempt ended, by what is done about it (spec G10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptClass {
    /// It worked.
    Success,
    /// Refused for its rate.
    Throttled,
    /// It may work later.
    Transient,
    /// This row cannot work.
    RowCaused,
    /// No row can work until somebody changes something.
    ConfigurationCaused,
    /// It left, and nobody knows whether it took effect.
    Unknown,
}

impl AttemptClass {
    const ALL: [Self; 6] = [
        Self::Success,
        Self::Throttled,
        Self::Transient,
        Self::RowCaused,
        Self::ConfigurationCaused,
        Self::Unknown,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::RowCaused => "row_caused",
            Self::ConfigurationCaused => "configuration_caused",
            Self::Unknown => "unknown",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// One outbound call, as it is kept on record (spec R7). Secrets are masked before they come here.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Number of the attempt within its task, from 1.
    pub number: u32,
    /// When it was sent; `None` if nothing left this machine.
    pub sent_at: Option<Timestamp>,
    /// When the head of the response was seen, or the failure.
    pub seen_at: Timestamp,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// How it ended.
    pub class: AttemptClass,
    /// What went wrong.
    pub error: Option<CellError>,
}

/// What became of a task: an attempt to keep, and the next step.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    /// The row.
    pub row: RowId,
    /// The attempt, if one was made.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub step: TaskStep,
    /// What becomes of its cell's note.
    pub note: NoteStep,
}

impl TaskReport {
    /// A report of a row whose note stays as it is.
    #[must_use]
    pub fn new(row: RowId, attempt: Option<Attempt>, step: TaskStep) -> Self {
        Self { row, attempt, step, note: NoteStep::Keep }
    }
}

/// The next step of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskStep {
    /// The cell is finished: the task ends.
    Finish {
        /// How.
        state: CellState,
        /// Its value; `None` leaves the table's value as it is (a failed retry keeps what was there).
        value: Option<Value>,
        /// Why it has no value.
        error: Option<CellError>,
    },
    /// The task stays ours and is tried again.
    Retry {
        /// Attempts that used up a retry, now.
        errors: u32,
        /// Not before this moment.
        not_before: Timestamp,
        /// Since when it is held up by a vendor's limit.
        throttled_since: Option<Timestamp>,
    },
    /// The task goes back to whoever claims next, at once.
    GiveBack,
}

/// One earlier call, for a budget that remembers (spec G11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRecord {
    /// When it left.
    pub sent_at: Timestamp,
    /// When its response head or failure was seen.
    pub seen_at: Timestamp,
}
