//! The records of cells.

use paceline_clock::Timestamp;
use paceline_model::{Cell, CellState, ColumnId, RowId, limits};
use rusqlite::params;

use super::connection::Db;
use crate::codec::{decode_error, signed, unsigned};
use crate::error::Result;
use crate::rules;

pub(super) fn cells(db: &Db<'_>, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: cells\n\
         SELECT row_id, state, version, updated_at, error_code, error_message FROM _ht_cells \
         WHERE column_id = ?1 AND row_id BETWEEN ?2 AND ?3 ORDER BY row_id LIMIT ?4",
    )?;
    // One more than allowed, so that what is cut off is an error instead of a hole.
    let limit = signed(limits::PAGE_ROWS_MAX + 1);
    let mut found = statement.query(params![column.0, first.0, last.0, limit])?;
    let mut cells = Vec::new();
    while let Some(row) = found.next()? {
        let state: String = row.get(1)?;
        cells.push(Cell {
            row: RowId(row.get(0)?),
            state: rules::parse_cell_state(&state)?,
            error: decode_error(row, 4)?,
            version: row.get(2)?,
            updated_at: Timestamp::from_micros(row.get(3)?),
            fingerprint: None,
            locked: false,
        });
    }
    rules::check_cells(cells.len(), first, last)?;
    Ok(cells)
}

/// How many cells of a column are in each state: one pass over the column's records.
pub(super) fn count_cells(db: &Db<'_>, column: ColumnId) -> Result<Vec<(CellState, u64)>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: count_cells\n\
         SELECT state, count(*) FROM _ht_cells WHERE column_id = ?1 GROUP BY state",
    )?;
    let mut found = statement.query(params![column.0])?;
    let mut counts = Vec::new();
    while let Some(row) = found.next()? {
        let state: String = row.get(0)?;
        let state = rules::parse_cell_state(&state)?;
        counts.push((state, unsigned(row.get(1)?)));
    }
    Ok(counts)
}
