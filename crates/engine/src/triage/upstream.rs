//! Rows that cannot be worked on because a column that they need has failed in them: which one, and with which error.

use std::collections::BTreeMap;

use paceline_model::{CellError, CellState, ColumnId, RowId, Store, limits};

use super::UPSTREAM_FAILED;
use crate::task::cell_error;

/// Cells of other columns that failed, by column.
#[derive(Default)]
pub(super) struct Failures(BTreeMap<ColumnId, BTreeMap<RowId, CellState>>);

impl Failures {
    pub(super) fn add(&mut self, column: ColumnId, row: RowId, state: CellState) {
        self.0.entry(column).or_default().insert(row, state);
    }

    /// What each row is told, with the code of the error that stands in the other cell.
    pub(super) async fn told<'t>(
        self,
        store: &dyn Store,
        name: impl Fn(ColumnId) -> &'t str,
    ) -> paceline_model::Result<Vec<(RowId, CellError)>> {
        let mut told = Vec::new();
        for (column, rows) in self.0 {
            let codes = codes(store, column, &rows).await?;
            let name = name(column);
            for (row, state) in rows {
                let code = codes.get(&row).map_or_else(String::new, |code| format!(" ({code})"));
                let message = match state {
                    CellState::Unknown => format!(
                        "nobody knows what became of column {name} in this row{code}; settle its cell, then run this column"
                    ),
                    _ => format!(
                        "column {name} failed in this row{code}; retry its failed cells, and this one follows"
                    ),
                };
                told.push((row, cell_error(UPSTREAM_FAILED, message)));
            }
        }
        told.sort_unstable_by_key(|(row, _)| *row);
        Ok(told)
    }
}

/// The codes of the errors of these cells: in one query where the rows lie close together, else row by row.
async fn codes(
    store: &dyn Store,
    column: ColumnId,
    rows: &BTreeMap<RowId, CellState>,
) -> paceline_model::Result<BTreeMap<RowId, String>> {
    let (Some((first, _)), Some((last, _))) = (rows.first_key_value(), rows.last_key_value())
    else {
        return Ok(BTreeMap::new());
    };
    let span = last.0.saturating_sub(first.0);
    let mut cells = Vec::new();
    if usize::try_from(span).is_ok_and(|span| span < 4 * limits::CLAIM_TASKS_MAX) {
        cells = store.cells(column, *first, *last).await?;
    } else {
        for row in rows.keys() {
            cells.extend(store.cells(column, *row, *row).await?);
        }
    }
    let code = |cell: paceline_model::Cell| Some((cell.row, cell.error?.code));
    Ok(cells.into_iter().filter_map(code).collect())
}
