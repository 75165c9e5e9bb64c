//! Tables and their rows.

use paceline_clock::Timestamp;

use crate::{Column, ColumnId, NewColumn, RowId, TableId, Value};

/// A table and its columns, in the order they were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its id.
    pub id: TableId,
    /// Its name, unique among the tables.
    pub name: String,
    /// What it is for, in the words of who made it.
    pub description: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Table {
    /// The column of that name, or failing that of that title.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        let by_name = self.columns.iter().find(|column| column.name == name);
        by_name.or_else(|| self.columns.iter().find(|column| column.title.as_deref() == Some(name)))
    }
}

/// A table to be made. The name must pass [`crate::check_name`].
#[derive(Clone, Debug, PartialEq)]
pub struct NewTable {
    /// See [`Table::name`].
    pub name: String,
    /// See [`Table::description`].
    pub description: String,
    /// Its first columns.
    pub columns: Vec<NewColumn>,
}

/// A row: the values of the columns that were asked for, in the order they were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub id: RowId,
    /// Its values.
    pub values: Vec<Value>,
}

/// Which rows to read: those after `after` in the order of their ids, at most `limit`.
#[derive(Clone, Debug)]
pub struct RowQuery {
    /// The table.
    pub table: TableId,
    /// The columns wanted.
    pub columns: Vec<ColumnId>,
    /// Rows with a greater id; `RowId(0)` from the beginning.
    pub after: RowId,
    /// How many at the most.
    pub limit: usize,
}
