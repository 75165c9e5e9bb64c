//! Ids of tables and columns: SQLite would give the last one again once it is gone.

use paceline_model::{ColumnId, TableId};

use super::connection::Db;
use crate::error::Result;

pub(super) fn next_table(db: &Db<'_>) -> Result<TableId> {
    next(db, "table", "_ht_tables").map(TableId)
}

pub(super) fn next_column(db: &Db<'_>) -> Result<ColumnId> {
    next(db, "column", "_ht_columns").map(ColumnId)
}

/// Looks into the table as well: somebody may have put something there with an SQL shell.
fn next(db: &Db<'_>, noun: &str, table: &str) -> Result<i64> {
    let sql = format!(
        "-- paceline: next_id\nUPDATE _ht_ids SET last = max(last, \
         (SELECT coalesce(max(id), 0) FROM {table})) + 1 WHERE noun = ?1 RETURNING last"
    );
    Ok(db.conn.prepare_cached(&sql)?.query_row([noun], |row| row.get(0))?)
}
