//! The cells of one message, with their values as far as a message has room for them.

use std::collections::{BTreeMap, BTreeSet};

use paceline_model::{Cell, CellError, Column, ColumnId, RowId, RowQuery, Table, Value, limits};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::message::More;
use crate::App;
use crate::error::{ApiError, Result};

/// Rows this close to one another are read in one go.
const NEAR_ROWS: i64 = 64;
/// Rows that one such goes over: the store does not hand out the cells of very many at once.
const SPAN_ROWS_MAX: i64 = 2_048;
/// Such goes for one column of one message; what lies scattered wider is only named.
const SPANS_MAX: usize = 16;
/// Rows read at first, when nothing is known of their size, and at the most.
const STEP_ROWS_FIRST: usize = 16;
const STEP_ROWS_MAX: usize = 512;

#[derive(Serialize)]
struct Told<'a> {
    row: i64,
    column: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a CellError>,
}

/// What there is to tell of these cells.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) told: Vec<Box<RawValue>>,
    pub(super) more: Vec<More>,
    bytes: usize,
}

impl Cells {
    /// Reads cells as they are now, until the message is full. Rows and columns that are gone are left out: that they
    /// are is told by a change of its own.
    pub(super) async fn read(
        app: &App,
        table: &Table,
        wanted: &BTreeMap<ColumnId, BTreeSet<i64>>,
    ) -> Result<Self> {
        let mut cells = Self::default();
        for (id, rows) in wanted {
            let Some(column) = table.columns.iter().find(|column| column.id == *id) else {
                continue;
            };
            let mut left = rows.clone();
            for (first, last) in spans(rows).into_iter().take(SPANS_MAX) {
                if cells.is_full() {
                    break;
                }
                cells.read_span(app, table, column, (first, last), &mut left).await?;
            }
            if !left.is_empty() {
                let rows = left.into_iter().collect();
                cells.more.push(More { column: column.name.clone(), rows });
            }
        }
        Ok(cells)
    }

    fn is_full(&self) -> bool {
        self.bytes >= limits::WEBSOCKET_CELLS_BYTES_MAX
    }

    /// Reads in steps as large as there is room for, so that large values are not all in memory; takes what it has dealt
    /// with out of `left`.
    async fn read_span(
        &mut self,
        app: &App,
        table: &Table,
        column: &Column,
        (first, last): (i64, i64),
        left: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let store = app.engine.store();
        let records = store.cells(column.id, RowId(first), RowId(last)).await?;
        let (mut after, mut step) = (first - 1, STEP_ROWS_FIRST);
        while after < last && !self.is_full() {
            let query = RowQuery {
                columns: vec![column.id],
                after: RowId(after),
                limit: step,
                ..RowQuery::of(table.id)
            };
            let rows = store.rows(query).await?;
            let is_end = rows.len() < step;
            for row in rows.iter().take_while(|row| row.id.0 <= last) {
                // Whatever lies before it is gone.
                for gone in (after + 1)..row.id.0 {
                    left.remove(&gone);
                }
                after = row.id.0;
                if left.contains(&after) && self.tell(column, after, &row.values, &records)? {
                    left.remove(&after);
                }
            }
            if is_end || rows.last().is_some_and(|row| row.id.0 > last) {
                left.retain(|row| *row <= after || *row > last);
                return Ok(());
            }
            step = (step * 2).min(STEP_ROWS_MAX);
            if self.bytes * 2 > limits::WEBSOCKET_CELLS_BYTES_MAX {
                step = STEP_ROWS_FIRST;
            }
        }
        Ok(())
    }

    /// Adds a cell if there is room for it.
    fn tell(
        &mut self,
        column: &Column,
        row: i64,
        values: &[Value],
        records: &[Cell],
    ) -> Result<bool> {
        let record = records.binary_search_by_key(&RowId(row), |cell| cell.row).ok();
        let record = record.and_then(|at| records.get(at));
        let told = Told {
            row,
            column: &column.name,
            state: record.map_or("idle", |cell| cell.state.as_str()),
            value: values.first().filter(|value| !value.is_null()).map(Value::to_json),
            error: record.and_then(|cell| cell.error.as_ref()),
        };
        let raw = to_raw_value(&told)
            .map_err(|error| ApiError::internal(format!("a cell is not JSON: {error}")))?;
        let bytes = self.bytes + raw.get().len();
        if bytes > limits::WEBSOCKET_CELLS_BYTES_MAX {
            return Ok(false);
        }
        self.bytes = bytes;
        self.told.push(raw);
        Ok(true)
    }
}

/// Rows as stretches to be read in one go.
fn spans(rows: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for row in rows {
        match spans.last_mut() {
            Some((first, last))
                if row.saturating_sub(*last) <= NEAR_ROWS
                    && row.saturating_sub(*first) < SPAN_ROWS_MAX =>
            {
                *last = *row;
            }
            _ => spans.push((*row, *row)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_near_one_another_are_read_together() {
        let rows = BTreeSet::from([1, 2, 66, 131, 1_000, 1_001]);
        assert_eq!(spans(&rows), [(1, 66), (131, 131), (1_000, 1_001)]);
        assert!(spans(&BTreeSet::new()).is_empty());
        let dense: BTreeSet<i64> = (1..=5_000).collect();
        assert_eq!(spans(&dense), [(1, 2_048), (2_049, 4_096), (4_097, 5_000)]);
    }
}
