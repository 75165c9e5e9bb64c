//! Tasks: one cell of a run each, the attempts made for it, and what became of it.

use std::time::Duration;

use paceline_clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CellError, CellState, Fingerprint, NoteStep, RowId, Value};

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
    /// Only columns of kinds that take several steps have notes: `integration`, `waterfall`.
    pub note: Option<String>,
    /// How its cell stood when it was claimed; `None` without a record.
    pub cell: Option<CellBefore>,
    /// For each input that is a smart column the state of its cell in this row, `None` for idle ones and for columns that
    /// hold data; in the order of `inputs`. Empty where no input is smart.
    pub states: Vec<Option<CellState>>,
}

/// What is on record of a cell before a run does anything for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellBefore {
    /// How far it had come.
    pub state: CellState,
    /// The code of its error.
    pub error_code: Option<String>,
    /// What it was made from.
    pub fingerprint: Option<Fingerprint>,
    /// A person wrote its value, and no run may touch it. Such a cell is not due; this one was written since it was.
    pub locked: bool,
}

/// What a claim brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// The tasks, ascending by row.
    pub tasks: Vec<Task>,
    /// True when every due cell of the run has been claimed at least once: nothing more will come of later claims
    /// but tasks given back. Never while a run before it is not final.
    pub exhausted: bool,
}

/// Cells of a run whose column is filled without calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextCells {
    /// They are those after this row.
    pub after: RowId,
    /// The due ones as tasks that nobody holds, ascending by row.
    pub tasks: Vec<Task>,
    /// All due rows up to this one were looked at.
    pub cursor: RowId,
    /// Nothing is due after that.
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
    /// What was sent, in one line, secrets masked; at most `limits::REQUEST_LINE_BYTES_MAX` bytes.
    pub request: Option<String>,
    /// Which of several sources of its column was asked.
    pub source: Option<String>,
    /// What it cost, in millionths of the column's currency, where a price is known.
    pub cost_micros: u64,
}

impl Attempt {
    /// An attempt that was seen at that moment, with nothing else known of it.
    #[must_use]
    pub fn new(number: u32, class: AttemptClass, seen_at: Timestamp) -> Self {
        Self {
            number,
            sent_at: None,
            seen_at,
            status: None,
            class,
            error: None,
            request: None,
            source: None,
            cost_micros: 0,
        }
    }
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
    /// What a finished cell was made from; kept with it.
    pub fingerprint: Option<Fingerprint>,
}

impl TaskReport {
    /// A report of a row whose note stays as it is.
    #[must_use]
    pub fn new(row: RowId, attempt: Option<Attempt>, step: TaskStep) -> Self {
        Self { row, attempt, step, note: NoteStep::Keep, fingerprint: None }
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
    /// The cell was not due after all and stays as it is: the task ends, and the run's total is one less.
    Leave,
}

/// One earlier call, for a budget that remembers (spec G11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRecord {
    /// When it left.
    pub sent_at: Timestamp,
    /// When its response head or failure was seen.
    pub seen_at: Timestamp,
}
