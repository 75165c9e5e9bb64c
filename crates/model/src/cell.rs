//! The state of one cell of a smart column. Its value stands in the table; this stands beside it.

use paceline_clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RowId, Value};

/// How far a cell has come. A cell without a record is idle: nobody asked for it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// Filled.
    Completed,
    /// Given up, with an error; retrying failed cells takes it up again.
    Failed,
    /// Not due, with a reason.
    Skipped,
    /// Sent, and nobody knows whether it took effect; a person decides.
    Unknown,
}

impl CellState {
    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Skipped, Self::Unknown]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Why a cell has no value: a code for programs, a sentence for people. Never carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellError {
    /// Stable, upper case: `HTTP_STATUS`, `TIMEOUT`, `MISSING_VALUE`, ...
    pub code: String,
    /// What was tried, what went wrong, what to do; at most `limits::ERROR_BYTES_MAX` bytes.
    pub message: String,
}

/// The record of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its row.
    pub row: RowId,
    /// How far it has come.
    pub state: CellState,
    /// Why it has no value.
    pub error: Option<CellError>,
    /// The version of the column's config that it was made with.
    pub version: i64,
    /// When it came to this state.
    pub updated_at: Timestamp,
    /// What it was made from, where that is known.
    pub fingerprint: Option<Fingerprint>,
    /// A person wrote its value: no run touches it until it is unlocked.
    pub locked: bool,
}

/// What a cell was made from, as hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of all that decides its value. Cells of a column with the same one may share one call; `None` where they may not
    /// (a call with an effect) or need not (nothing is called).
    pub key: Option<[u8; 16]>,
    /// First of the configuration, then of each input in the order of the column's inputs: what tells which one moved.
    pub parts: Vec<u32>,
}

/// A person's word on a cell whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq)]
pub enum CellWord {
    /// It took effect; this is its value, if it is known.
    Done(Option<Value>),
    /// It has failed, for this reason; retrying failed cells takes it up again.
    Failed(CellError),
    /// It never arrived: the cell is as if nobody had asked for it.
    NotSent,
}

/// A cell that was filled without a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    /// Its row.
    pub row: RowId,
    /// How.
    pub state: CellState,
    /// Its value; `None` leaves the table's value as it is.
    pub value: Option<Value>,
    /// Why it has no value.
    pub error: Option<CellError>,
    /// What it was made from.
    pub fingerprint: Option<Fingerprint>,
}

/// Cells that were filled without a call, from one row of their run to another.
#[derive(Clone, Debug, PartialEq)]
pub struct FilledCells {
    /// Where the run's cursor stands before: the rows after this one were looked at.
    pub after: RowId,
    /// Where it stands then: [`NextCells::cursor`](crate::NextCells::cursor).
    pub cursor: RowId,
    /// The cells, ascending by row; at most `limits::FILL_CELLS_MAX`.
    pub cells: Vec<Filled>,
    /// How many of those that were due stay as they are: the run's total is so much less.
    pub left: u64,
}
