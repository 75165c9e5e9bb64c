//! Runs: which cells they fill, within which caps, and how far they have come.

use paceline_clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ColumnId, Filter, RowId, RunId, TableId};

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
    /// Rows whose cell is completed, skipped or failed, but not from what its inputs and its configuration are now. A failed
    /// one of which nobody knows what it was made from is left to [`Scope::Failed`].
    Stale,
    /// Rows that a run before this one has come to an end with ([`RunOptions::after`]), and whose cell was made from
    /// something else, failed with something else, or was left out because of it.
    Following,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::All, Self::Empty, Self::Failed, Self::Unknown, Self::Stale, Self::Following];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Following => "following",
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
    /// What its attempts cost, in millionths of the column's currency, where a price is known.
    #[serde(default)]
    pub cost_micros: u64,
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
    /// Which of them, after what, and within which caps.
    pub options: RunOptions,
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

/// What narrows a run and what holds it back. The default does neither.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// At most so many cells, the first in the order of their rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only rows that pass this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Runs of columns that this one needs the values of: a row comes to its turn when none of them is at it any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<RunId>,
    /// How much it may do.
    #[serde(skip_serializing_if = "Caps::is_none")]
    pub caps: Caps,
    /// Nobody asked for it: rows came or changed, and the column runs by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// Every call and how each cell ends are written into a file, to be replayed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
}

/// How much may be done; what is not named is not held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// What they may cost together, in millionths of the column's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

impl Caps {
    /// Whether nothing is held back.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What calls came to; of a column on one day, say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// What they cost, in millionths.
    pub cost_micros: u64,
}

/// A run to be made.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The table.
    pub table: TableId,
    /// The smart column.
    pub column: ColumnId,
    /// Which cells.
    pub scope: Scope,
    /// Which of them, after what, and within which caps.
    pub options: RunOptions,
}

impl NewRun {
    /// A run over all of a scope.
    #[must_use]
    pub fn new(table: TableId, column: ColumnId, scope: Scope) -> Self {
        Self { table, column, scope, options: RunOptions::default() }
    }
}

/// The cells that a run of that scope and those options would take up now.
#[derive(Clone, Debug)]
pub struct DueQuery {
    /// What would be run.
    pub run: NewRun,
    /// Only rows after this one.
    pub after: RowId,
    /// At most so many.
    pub max: usize,
}
