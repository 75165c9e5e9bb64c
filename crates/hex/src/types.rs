//! What Hex answers, typed and leniently read: unknown statuses and fields survive, absent times are `None`, versions come
//! as numbers or as words.

use paceline_clock::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::RunId;

/// Where a run stands (Hex, OpenAPI, `ProjectRunStatus`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunStatus {
    /// It waits for a kernel.
    Pending,
    /// It goes on.
    Running,
    /// It failed.
    Errored,
    /// It worked: the only success there is.
    Completed,
    /// Somebody cancelled it.
    Killed,
    /// Hex had no kernel for it.
    UnableToAllocateKernel,
    /// A word that is newer than this crate. Not an end, until shown otherwise.
    Unknown(String),
}

impl RunStatus {
    /// Hex's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Errored => "ERRORED",
            Self::Completed => "COMPLETED",
            Self::Killed => "KILLED",
            Self::UnableToAllocateKernel => "UNABLE_TO_ALLOCATE_KERNEL",
            Self::Unknown(word) => word,
        }
    }

    /// Whether a run in it is over.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Unknown(_))
    }
}

impl From<&str> for RunStatus {
    fn from(word: &str) -> Self {
        let known = [
            Self::Pending,
            Self::Running,
            Self::Errored,
            Self::Completed,
            Self::Killed,
            Self::UnableToAllocateKernel,
        ];
        let found = known.into_iter().find(|status| status.as_str() == word);
        found.unwrap_or_else(|| Self::Unknown(word.chars().take(64).collect()))
    }
}

impl<'de> Deserialize<'de> for RunStatus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|word| Self::from(word.as_str()))
    }
}

/// A run, as GetRunStatus and GetProjectRuns show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub run_id: RunId,
    /// The project.
    #[serde(default)]
    pub project_id: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Which version of the project: a number, or `draft`.
    #[serde(default, deserialize_with = "word")]
    pub project_version: Option<String>,
    /// Where people look at it.
    #[serde(default)]
    pub run_url: Option<String>,
    /// When it began to run; `None` while it waits for a kernel.
    #[serde(default, deserialize_with = "time")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "time")]
    pub end_time: Option<Timestamp>,
    /// How long it ran, in milliseconds.
    #[serde(default, rename = "elapsedTime", deserialize_with = "number")]
    pub elapsed_ms: Option<u64>,
    /// What Hex's support asks for.
    #[serde(default)]
    pub trace_id: Option<String>,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Run>,
}

/// What RunProject answers. It has no status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Triggered {
    #[serde(deserialize_with = "id")]
    pub(crate) run_id: RunId,
    #[serde(default)]
    pub(crate) run_url: Option<String>,
    #[serde(default)]
    pub(crate) trace_id: Option<String>,
}

/// A project, as GetProject and ListProjects show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub title: String,
    /// `PROJECT` or `COMPONENT`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// When it was last published; `None`: never, and it cannot be run.
    #[serde(default, deserialize_with = "time")]
    pub last_published_at: Option<Timestamp>,
    /// When it was put into the archive.
    #[serde(default, deserialize_with = "time")]
    pub archived_at: Option<Timestamp>,
}

/// A page of projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectPage {
    /// The projects.
    pub projects: Vec<Project>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<String>,
}

impl<'de> Deserialize<'de> for ProjectPage {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Page {
            values: Vec<Project>,
            #[serde(default)]
            pagination: Option<Cursors>,
        }
        #[derive(Deserialize)]
        struct Cursors {
            #[serde(default)]
            after: Option<String>,
        }
        let page = Page::deserialize(from)?;
        let next = page.pagination.and_then(|cursors| cursors.after);
        Ok(Self { projects: page.values, next: next.filter(|next| !next.is_empty()) })
    }
}

/// An id goes into paths and sets: it has to be one, and short.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<RunId, D::Error> {
    let id = RunId(String::deserialize(from)?);
    if id.is_valid() { Ok(id) } else { Err(serde::de::Error::custom("this is no run id")) }
}

fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    let number = value.and_then(|value| value.as_f64());
    // As a cast: what is negative is 0, and nothing that is too large wraps round.
    Ok(number.filter(|number| number.is_finite()).map(|number| number.round() as u64))
}

/// A time that cannot be read is as good as none: nothing hangs on it alone.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    let time = value.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
    Ok(time.map(|time: jiff::Timestamp| Timestamp::from_micros(time.as_microsecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_in_every_form_that_was_seen() {
        let pending = r#"{"projectId":"p","projectVersion":"draft","runId":"r","status":"PENDING","startTime":null,
            "endTime":null,"elapsedTime":null,"runUrl":"u","runTrigger":"API","traceId":"t","more":1}"#;
        let run: Run = serde_json::from_str(pending).unwrap();
        assert_eq!((run.start_time, run.elapsed_ms), (None, None));
        assert_eq!(run.project_version.as_deref(), Some("draft"));
        let done = r#"{"projectVersion":3,"runId":"r","status":"COMPLETED","startTime":"2026-01-01T00:00:00.000Z",
            "elapsedTime":1234.4}"#;
        let run: Run = serde_json::from_str(done).unwrap();
        assert_eq!(run.start_time, Some(Timestamp::from_seconds(1_767_225_600)));
        assert_eq!((run.elapsed_ms, run.project_version.as_deref()), (Some(1234), Some("3")));
    }

    #[test]
    fn an_unknown_status_survives_and_is_no_end() {
        let run: Run = serde_json::from_str(r#"{"runId":"r","status":"QUEUED_V2"}"#).unwrap();
        assert_eq!(run.status.as_str(), "QUEUED_V2");
        assert!(!run.status.is_terminal());
        let ends = ["ERRORED", "COMPLETED", "KILLED", "UNABLE_TO_ALLOCATE_KERNEL"];
        assert!(ends.iter().all(|word| RunStatus::from(*word).is_terminal()));
        assert!(["PENDING", "RUNNING"].iter().all(|word| !RunStatus::from(*word).is_terminal()));
    }

    #[test]
    fn what_is_no_id_is_no_run() {
        for id in ["", "a/ b", "..", &"x".repeat(300)] {
            let json = serde_json::json!({"runId": id, "status": "RUNNING"}).to_string();
            assert!(serde_json::from_str::<Run>(&json).is_err(), "{id}");
        }
    }

    #[test]
    fn a_page_of_projects_ends_with_a_null_cursor() {
        let json = r#"{"values":[{"id":"a","title":"A","lastPublishedAt":null}],"pagination":{"after":null,"before":"x"}}"#;
        let page: ProjectPage = serde_json::from_str(json).unwrap();
        assert_eq!((page.projects.len(), page.next), (1, None));
        assert_eq!(page.projects[0].last_published_at, None);
    }
}
