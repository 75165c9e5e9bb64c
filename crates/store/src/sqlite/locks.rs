//! Cells whose values a person wrote: completed, and locked against every run.

use paceline_model::{ChangeKind, ColumnId, Filter, TableId, Value};
use rusqlite::{CachedStatement, params};

use super::connection::Db;
use super::edit::each;
use super::schema::{Place, places, table_name};
use super::{changes, columns};
use crate::edit::Touched;
use crate::error::Result;
use crate::rules;

/// Locks the cells of the smart columns among those that a call writes to.
pub(super) struct Locker<'c> {
    lock: CachedStatement<'c>,
    forget: CachedStatement<'c>,
    /// Where they stand in the values of a row, and whether their cells may have notes.
    columns: Vec<(usize, ColumnId, bool)>,
}

impl<'c> Locker<'c> {
    /// `None` if none of the columns is smart: then there is nothing to do for any row.
    pub(super) fn of(db: &Db<'c>, places: &[Place]) -> Result<Option<Self>> {
        if places.iter().all(|place| place.smart.is_none()) {
            return Ok(None);
        }
        let lock = db.conn.prepare_cached(
            "-- paceline: lock_cells\n\
             INSERT INTO _ht_cells (column_id, row_id, state, version, run_id, updated_at, locked) \
             VALUES (?1, ?2, 'completed', \
             coalesce((SELECT version FROM _ht_columns WHERE id = ?1), 1), 0, ?3, 1) \
             ON CONFLICT (column_id, row_id) DO UPDATE SET state = excluded.state, \
             error_code = NULL, error_message = NULL, version = excluded.version, \
             updated_at = excluded.updated_at, fingerprint = NULL, parts = NULL, locked = 1",
        )?;
        let forget = db.conn.prepare_cached(
            "-- paceline: lock_cells\nDELETE FROM _ht_notes WHERE column_id = ?1 AND row_id = ?2 \
             AND NOT EXISTS (SELECT 1 FROM _ht_runs AS r JOIN _ht_tasks AS k ON k.run_id = r.id \
             WHERE r.column_id = ?1 AND r.status IN ('queued', 'running', 'paused') AND k.row_id = ?2)",
        )?;
        let smart = places.iter().enumerate().filter_map(|(index, place)| {
            place.smart.map(|kind| (index, place.id, kind.has_notes()))
        });
        Ok(Some(Self { lock, forget, columns: smart.collect() }))
    }

    /// Of a row that was there: whatever was written, emptiness too, is a person's word.
    pub(super) fn updated(&mut self, db: &Db<'_>, row: i64) -> Result<()> {
        for &(_, column, noted) in &self.columns {
            self.lock.execute(params![column.0, row, db.now.as_micros()])?;
            if noted {
                // Not while a run is at it, which goes by its note.
                self.forget.execute(params![column.0, row])?;
            }
        }
        Ok(())
    }

    /// Of a new row: an empty value is one that nobody wrote.
    pub(super) fn inserted(&mut self, db: &Db<'_>, row: i64, values: &[Value]) -> Result<()> {
        for &(index, column, _) in &self.columns {
            if values.get(index).is_some_and(|value| !value.is_null()) {
                self.lock.execute(params![column.0, row, db.now.as_micros()])?;
            }
        }
        Ok(())
    }

    /// Tells of the cells of rows that were there; of more than one change tells, their rows' change tells enough.
    pub(super) fn tell(&self, db: &Db<'_>, table: TableId, touched: &Touched) -> Result<()> {
        for &(_, column, _) in &self.columns {
            if let Some(rows) = touched.rows() {
                changes::write(db, table, &ChangeKind::Cells { column, rows: rows.to_vec() })?;
            }
        }
        Ok(())
    }
}

/// An unlocked cell is said to be made from nothing, so that it is stale.
pub(super) fn lock_cells(
    db: &Db<'_>,
    column: ColumnId,
    filter: &Filter,
    locked: bool,
) -> Result<u64> {
    let found = columns::column_by_id(db, column)?.ok_or_else(|| rules::missing_column(column))?;
    rules::check_lockable(&found)?;
    let (table, name) = (found.table, table_name(db, found.table)?);
    let is_locked = "-- paceline: lock_cells\n\
         SELECT EXISTS (SELECT 1 FROM _ht_cells WHERE column_id = ?1 AND row_id = ?2 AND locked = 1)";
    let mut is_locked = db.conn.prepare_cached(is_locked)?;
    let mut unlock = db.conn.prepare_cached(
        "-- paceline: lock_cells\nUPDATE _ht_cells SET locked = 0, fingerprint = NULL, parts = X'', \
         updated_at = ?3 WHERE column_id = ?1 AND row_id = ?2",
    )?;
    let mut locker = Locker::of(db, &places(db, table, &[column])?)?;
    let touched = each(db, table, &name, filter, |row| {
        let already: bool = is_locked.query_row(params![column.0, row], |row| row.get(0))?;
        if already == locked {
            return Ok(false);
        }
        match &mut locker {
            Some(locker) if locked => locker.updated(db, row)?,
            _ => {
                unlock.execute(params![column.0, row, db.now.as_micros()])?;
            }
        }
        Ok(true)
    })?;
    let count = touched.count();
    if let Some(kind) = touched.change(|rows| ChangeKind::Cells { column, rows }) {
        changes::write(db, table, &kind)?;
    }
    Ok(count)
}
