//! The records of cells, and the values of those that others may share.

use paceline_clock::Timestamp;
use paceline_model::{Cell, CellState, ColumnId, RowId, Value, limits};
use rusqlite::params;

use super::columns;
use super::connection::Db;
use super::schema::{Place, places, quote, table_name};
use crate::codec::{decode, decode_error, signed, unsigned};
use crate::error::Result;
use crate::{fingerprint, rules};

pub(super) fn cells(db: &Db<'_>, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: cells\n\
         SELECT row_id, state, version, updated_at, error_code, error_message, fingerprint, parts, \
         locked FROM _ht_cells \
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
            fingerprint: fingerprint::from_columns(row.get(6)?, row.get(7)?)?,
            locked: row.get(8)?,
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

/// For each key the value of a completed cell of the column that was made from it.
pub(super) fn reusable_values(
    db: &Db<'_>,
    column: ColumnId,
    keys: &[[u8; 16]],
) -> Result<Vec<Option<Value>>> {
    let found = columns::column_by_id(db, column)?;
    let table = found.ok_or_else(|| rules::missing_column(column))?.table;
    let name = table_name(db, table)?;
    let place = places(db, table, &[column])?.pop();
    let place = place.ok_or_else(|| rules::missing_column(column))?;
    let mut statement = db.conn.prepare_cached(&reusable_sql(&name, &place))?;
    let mut values = Vec::with_capacity(keys.len());
    for key in keys {
        let mut found = statement.query(params![column.0, key])?;
        let value = found.next()?.map(|row| decode(place.kind, row.get_ref(0)?)).transpose()?;
        values.push(value);
    }
    Ok(values)
}

/// The terms of the partial index stand in full, so that SQLite takes it. Parameters: the column, the key.
fn reusable_sql(table: &str, place: &Place) -> String {
    format!(
        "-- paceline: reusable_values\n\
         SELECT t.{} FROM _ht_cells AS c INDEXED BY _ht_cells_reusable \
         CROSS JOIN {} AS t ON t._ht_id = c.row_id \
         WHERE c.column_id = ?1 AND c.fingerprint = ?2 AND c.fingerprint IS NOT NULL \
         AND c.state = 'completed' LIMIT 1",
        quote(&place.name),
        quote(table)
    )
}

#[cfg(test)]
mod tests;
