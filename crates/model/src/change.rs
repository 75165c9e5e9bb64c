//! What happened to a table, numbered: written in the transaction that did it, read by whoever follows.

use paceline_clock::Timestamp;

use crate::{ColumnId, RowId, RunId, TableId};

/// One change. Bulk changes are one event, not one per row.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Grows by at least one with every change of any table.
    pub sequence: i64,
    /// The table it happened to.
    pub table: TableId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ChangeKind,
}

/// How far a table has come: who starts to follow it here misses nothing, and hears of nothing that was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableEnd {
    /// The sequence of its newest change; 0 before the first.
    pub sequence: i64,
    /// The greatest id that a row was given so far; later rows have greater ones.
    pub row: RowId,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    /// The table or its columns were made or changed.
    Schema,
    /// Rows `first` to `last` were inserted.
    RowsInserted {
        /// The first new row.
        first: RowId,
        /// The last new row.
        last: RowId,
    },
    /// Values of these rows were changed by a person or a program.
    RowsUpdated {
        /// The rows, ascending.
        rows: Vec<RowId>,
    },
    /// These rows are gone.
    RowsDeleted {
        /// The rows, ascending.
        rows: Vec<RowId>,
    },
    /// More rows changed than one change tells: whatever was read of the table is to be read again.
    Reload,
    /// These cells of a column were finished.
    Cells {
        /// The column.
        column: ColumnId,
        /// The rows, ascending.
        rows: Vec<RowId>,
    },
    /// A run changed its status.
    Run {
        /// The run.
        run: RunId,
    },
}
