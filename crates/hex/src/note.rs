//! What must survive a crash, who keeps it, and how a job ends: the seam to whoever runs jobs.

use async_trait::async_trait;
use paceline_clock::{Tick, Timestamp};
use paceline_governor::Outcome;
use serde::{Deserialize, Serialize};

use crate::RunId;

/// How far a job has come, as far as a crash must not forget it. JSON; the number in the tag is the format's version.
///
/// ```
/// use paceline_hex::Note;
/// let text = serde_json::to_string(&Note::Resend).unwrap();
/// assert_eq!(text, r#"{"note":"resend/1"}"#);
/// assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), Note::Resend);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note")]
pub enum Note {
    /// A POST may be under way or may have started a run: reconcile before anything else.
    #[serde(rename = "sending/1")]
    Sending {
        /// The project.
        project: String,
        /// Runs that were there before the POST.
        baseline: Vec<RunId>,
        /// Fingerprint of project and body, for people who compare.
        body_hash: String,
        /// When, in milliseconds of wall time since 1970.
        sent_at_ms: i64,
    },
    /// A run was started: watch it.
    #[serde(rename = "started/1")]
    Started {
        /// The project.
        project: String,
        /// The run.
        run_id: RunId,
        /// Where people look at it, as far as known.
        #[serde(default)]
        run_url: Option<String>,
        /// What Hex's support asks for.
        #[serde(default)]
        trace_id: Option<String>,
        /// When, in milliseconds of wall time since 1970.
        started_at_ms: i64,
        /// The run was somebody else's (409, policy attach): it is watched, never cancelled.
        #[serde(default)]
        attached: bool,
    },
    /// No run was started: begin again.
    #[serde(rename = "resend/1")]
    Resend,
}

impl Note {
    /// A person's word that this run is the job's: it will be watched.
    #[must_use]
    pub fn attach(project: impl Into<String>, run_id: RunId, now: Timestamp) -> Self {
        Self::Started {
            project: project.into(),
            run_id,
            run_url: None,
            trace_id: None,
            started_at_ms: millis(now),
            attached: false,
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000)
}

/// The host could not put a note on record, or may no longer work on the job. Nothing is sent then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// Whoever runs jobs: keeps their notes, and says when to stop.
#[async_trait]
pub trait Host: Send + Sync {
    /// A POST is about to be made. Returns when `note` (always [`Note::Sending`]) is durable.
    ///
    /// # Errors
    /// Then the POST is not made, and the job ends as [`EndKind::Stopped`].
    async fn sending(&self, note: &Note) -> Result<(), HostError>;

    /// The POST is over and the job goes on. Returns when both are durable: `note` is [`Note::Started`], or
    /// [`Note::Resend`] where the POST was refused without starting a run and the job waits to try again.
    ///
    /// # Errors
    /// Then the job ends as [`EndKind::Stopped`]; what is on record leads to a reconcile.
    async fn started(&self, note: &Note, post: &PostRecord) -> Result<(), HostError>;

    /// Resolves when the job is to stop at the next safe point: the run pauses, or the process goes down. May be asked
    /// many times; once resolved it stays so.
    async fn stopped(&self);
}

/// A POST that was made, for the record of calls that the next process's budget starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct PostRecord {
    /// When its first byte left; `None` if none did.
    pub sent_at: Option<Tick>,
    /// When its answer's head was seen, or when it was given up.
    pub seen_at: Tick,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// What it taught the budget.
    pub outcome: Outcome,
    /// Whether it may have started a run that nobody knows of.
    pub ambiguous: bool,
}

/// A run's end, for the cell. JSON: `{runId, status, elapsed_ms, runUrl, traceId}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    #[serde(rename = "runId")]
    pub run_id: RunId,
    /// Its last status, in Hex's word.
    pub status: String,
    /// How long it ran by Hex's word.
    pub elapsed_ms: Option<u64>,
    /// Where people look at it.
    #[serde(rename = "runUrl")]
    pub run_url: Option<String>,
    /// What Hex's support asks for.
    #[serde(rename = "traceId")]
    pub trace_id: Option<String>,
}

/// How [`Session::perform`](crate::Session::perform) ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an end that nobody records is a job that nobody knows of"]
pub struct End {
    /// In which way.
    pub kind: EndKind,
    /// A POST that was made and that [`Host::started`] was not told of.
    pub post: Option<PostRecord>,
    /// What belongs on record from now on; `None`: delete the note. Write it together with the end.
    pub note: Option<Note>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum EndKind {
    /// Its run was seen as COMPLETED.
    Completed(RunReport),
    /// It will not work like this.
    Failed {
        /// A code of [`codes`](crate::codes).
        code: &'static str,
        /// What was tried, what went wrong, what to do.
        message: String,
        /// The run, if there is one.
        run: Option<RunReport>,
    },
    /// Nobody knows whether a run was started, or which; a person has to look. Never sent again by itself.
    Unknown {
        /// What is known, and what to do.
        message: String,
        /// Runs that it may be.
        candidates: Vec<RunId>,
    },
    /// No run was started, and it may work later: ask [`RetryOptions::next`](crate::RetryOptions::next) when.
    Again {
        /// What came back.
        outcome: Outcome,
        /// Whether this uses up a retry.
        counts_as_error: bool,
        /// A code of [`codes`](crate::codes).
        code: &'static str,
        /// What went wrong.
        message: String,
    },
    /// Hex refuses the token, and so it does with what the source says now: no job can go on, none has failed.
    NoCredentials {
        /// What to do.
        message: String,
    },
    /// Stopped at a safe point; the note says where to go on.
    Stopped,
}
