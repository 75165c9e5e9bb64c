//! Tables and their rows.

use paceline_clock::Timestamp;

use crate::{Column, ColumnId, Filter, NewColumn, RowId, Sort, TableId, Value, limits};

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

/// What changes of a table; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableChange {
    /// Its name; must pass [`crate::check_name`].
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// What makes columns of any table smart and names this one, rewritten: as [`ColumnChange::references`].
    pub references: Vec<(ColumnId, serde_json::Value)>,
}

/// What changes of a column; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnChange {
    /// Its name; must pass [`crate::check_name`].
    pub name: Option<String>,
    /// Its title; `Some(None)` takes it away.
    pub title: Option<Option<String>>,
    /// Its options; of a select those that a row holds must stay.
    pub options: Option<Vec<String>>,
    /// What makes other columns, of any table, smart and names this one, rewritten: each column with its new config. Their
    /// versions stay: the calls are the same. Their tables get a `Schema` change as well.
    pub references: Vec<(ColumnId, serde_json::Value)>,
}

/// A table that was deleted and can still be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTable {
    /// Its id.
    pub id: TableId,
    /// The name it had.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// What became of rows that were inserted or, where their key was there already, updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upserted {
    /// The first and the last new row.
    pub inserted: Option<(RowId, RowId)>,
    /// How many rows were there and were updated.
    pub updated: u64,
}

/// A row: the values of the columns that were asked for, in the order they were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub id: RowId,
    /// When it was inserted.
    pub created_at: Timestamp,
    /// When a value of it last changed.
    pub updated_at: Timestamp,
    /// Its values.
    pub values: Vec<Value>,
}

/// Which rows to read, and in which order.
#[derive(Clone, Debug)]
pub struct RowQuery {
    /// The table.
    pub table: TableId,
    /// The columns wanted.
    pub columns: Vec<ColumnId>,
    /// Which rows; all if none.
    pub filter: Option<Filter>,
    /// Their order; that of their ids if empty.
    pub sort: Vec<Sort>,
    /// Rows that come after this one; `RowId(0)` from the beginning.
    pub after: RowId,
    /// What the row `after` has in the keys of `sort`, in their order; empty with `RowId(0)`.
    pub after_keys: Vec<Value>,
    /// How many to leave out first.
    pub offset: u64,
    /// How many at the most.
    pub limit: usize,
}

impl RowQuery {
    /// The first page of a table in the order of ids, without columns.
    #[must_use]
    pub fn of(table: TableId) -> Self {
        Self {
            table,
            columns: Vec::new(),
            filter: None,
            sort: Vec::new(),
            after: RowId(0),
            after_keys: Vec::new(),
            offset: 0,
            limit: limits::PAGE_ROWS_DEFAULT,
        }
    }
}
