//! Reading rows in steps: each step is one query that goes on by keyset where the one before ended, so that no database
//! snapshot is held between steps, however slow the caller is.

use std::sync::Arc;

use paceline_model::{ColumnId, Filter, Row, RowId, RowQuery, Sort, Subject, Table, Value};

use super::view::{RawRow, View};
use crate::App;
use crate::error::{ApiError, Result};
use crate::ops::cursor::Cursor;

/// Rows read from the store at first, when nothing is known of their size, and at the most.
const STEP_ROWS_FIRST: usize = 16;
const STEP_ROWS_MAX: usize = 2_048;

/// Which rows, in which order, from where on.
pub(super) struct Reader {
    app: App,
    view: Arc<View>,
    /// Its `after` is where the reader stands.
    query: RowQuery,
    /// Where each key of the order stands in a row.
    keys: Vec<Key>,
}

#[derive(Clone, Copy)]
enum Key {
    Id,
    CreatedAt,
    UpdatedAt,
    /// A place among the values that are read.
    At(usize),
}

/// A row that was read, and where the reader stands after it.
pub(super) struct Step {
    pub(super) raw: RawRow,
    pub(super) row: Row,
}

impl Reader {
    pub(super) fn new(
        app: App,
        table: &Table,
        view: Arc<View>,
        filter: Option<Filter>,
        sort: Vec<Sort>,
    ) -> Self {
        let mut columns: Vec<ColumnId> = view.columns.iter().map(|column| column.id).collect();
        let keys = sort
            .iter()
            .map(|sort| match sort.subject {
                Subject::Id => Key::Id,
                Subject::CreatedAt => Key::CreatedAt,
                Subject::UpdatedAt => Key::UpdatedAt,
                Subject::Column(id) => {
                    Key::At(columns.iter().position(|known| *known == id).unwrap_or_else(|| {
                        columns.push(id);
                        columns.len() - 1
                    }))
                }
            })
            .collect();
        let query = RowQuery { columns, filter, sort, ..RowQuery::of(table.id) };
        Self { app, view, query, keys }
    }

    /// Begins after so many rows.
    pub(super) fn skip(&mut self, rows: u64) {
        self.query.offset = rows;
    }

    /// Goes on where a page ended.
    pub(super) async fn go_on(&mut self, cursor: Cursor) -> Result<()> {
        let keys = match cursor.keys {
            Some(keys) => keys,
            None => self.keys_of_row(cursor.after).await?,
        };
        self.query.after = cursor.after;
        self.query.after_keys = keys;
        Ok(())
    }

    /// Keys that were too long for a cursor, from the row itself.
    async fn keys_of_row(&self, row: RowId) -> Result<Vec<Value>> {
        let query = RowQuery {
            columns: self.query.columns.clone(),
            after: RowId(row.0.saturating_sub(1)),
            limit: 1,
            ..RowQuery::of(self.query.table)
        };
        let found = self.app.engine.store().rows(query).await?;
        let found = found.first().filter(|found| found.id == row).ok_or_else(|| {
            ApiError::field("cursor", "the row that it names was deleted; begin at the first page")
        })?;
        Ok(self.keys_of(found))
    }

    fn keys_of(&self, row: &Row) -> Vec<Value> {
        let key = |key: &Key| match key {
            Key::Id => Value::Int(row.id.0),
            Key::CreatedAt => Value::Int(row.created_at.as_micros()),
            Key::UpdatedAt => Value::Int(row.updated_at.as_micros()),
            Key::At(place) => row.values.get(*place).cloned().unwrap_or_default(),
        };
        self.keys.iter().map(key).collect()
    }

    /// Where the reader stands.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor { after: self.query.after, keys: Some(self.query.after_keys.clone()) }
    }

    /// The next rows, at most so many, and whether there may be more. The reader stands still until it is told to
    /// [`Reader::advance`].
    pub(super) async fn read(&self, rows: usize) -> Result<(Vec<Step>, bool)> {
        let query = RowQuery { limit: rows, ..self.query.clone() };
        let read = self.app.engine.store().rows(query).await?;
        let more = read.len() == rows;
        let cells = self.view.cells(&self.app, &read).await?;
        let steps = read.into_iter().map(|row| Ok(Step { raw: self.view.raw(&row, &cells)?, row }));
        Ok((steps.collect::<Result<_>>()?, more))
    }

    /// Stands after this row.
    pub(super) fn advance(&mut self, row: &Row) {
        self.query.after = row.id;
        self.query.after_keys = self.keys_of(row);
        self.query.offset = 0;
    }
}

/// How many rows to read next, so that about `room` bytes come of it, after so many rows of so many bytes.
pub(super) fn step_rows(room: usize, rows: usize, bytes: usize) -> usize {
    match rows {
        0 => STEP_ROWS_FIRST,
        rows => (room / (bytes / rows + 1)).clamp(1, STEP_ROWS_MAX),
    }
}
