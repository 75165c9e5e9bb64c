//! Rows changed and deleted, as many as a filter finds: looked for and written in stretches of ids, so that memory does
//! not grow with them.

use paceline_model::{ChangeKind, ColumnId, Filter, RowId, TableId, Value};
use rusqlite::{CachedStatement, params, params_from_iter};

use super::connection::Db;
use super::locks::Locker;
use super::schema::{Place, places, quote, table_name};
use super::{changes, filter, rows};
use crate::codec::signed;
use crate::edit::Touched;
use crate::error::Result;
use crate::key::check_columns;

/// Rows looked for at once.
const STRETCH_ROWS: usize = 10_000;

pub(super) fn update_rows(
    db: &Db<'_>,
    table: TableId,
    filter: &Filter,
    columns: &[ColumnId],
    values: &[Value],
) -> Result<u64> {
    let name = table_name(db, table)?;
    let places = places(db, table, columns)?;
    rows::check_distinct(&places)?;
    check_columns(places.len())?;
    let mut update = db.conn.prepare_cached(&update_sql(&name, &places))?;
    rows::bind(&mut update, db, &places, values)?;
    let mut locker = Locker::of(db, &places)?;
    let touched = each(db, table, &name, filter, |row| {
        update.raw_bind_parameter(1, row)?;
        update.raw_execute()?;
        if let Some(locker) = &mut locker {
            locker.updated(db, row)?;
        }
        Ok(true)
    })?;
    let count = touched.count();
    if let Some(locker) = &locker {
        locker.tell(db, table, &touched)?;
    }
    if let Some(kind) = touched.change(|rows| ChangeKind::RowsUpdated { rows }) {
        changes::write(db, table, &kind)?;
    }
    Ok(count)
}

pub(super) fn delete_rows(db: &Db<'_>, table: TableId, filter: &Filter) -> Result<u64> {
    let name = table_name(db, table)?;
    let mut row = db.conn.prepare_cached(&format!(
        "-- paceline: delete_rows\nDELETE FROM {} WHERE _ht_id = ?1",
        quote(&name)
    ))?;
    let mut records = Records::of(db, table)?;
    let touched = each(db, table, &name, filter, |id| {
        row.execute([id])?;
        records.delete(id)?;
        Ok(true)
    })?;
    let count = touched.count();
    if let Some(kind) = touched.change(|rows| ChangeKind::RowsDeleted { rows }) {
        changes::write(db, table, &kind)?;
    }
    Ok(count)
}

/// Does something to every row that passes the filter, in the order of their ids, and notes for which it answers true.
/// What it does must not let a row behind it pass or fail.
pub(super) fn each(
    db: &Db<'_>,
    table: TableId,
    name: &str,
    filter: &Filter,
    mut touch: impl FnMut(i64) -> Result<bool>,
) -> Result<Touched> {
    let mut writer = filter::writer(db, table, Some(filter), &[])?;
    let cursor = writer.dialect.push(0);
    let sql = format!(
        "-- paceline: each_row\nSELECT t._ht_id FROM {} AS t WHERE t._ht_id > {cursor} AND {} \
         ORDER BY t._ht_id LIMIT {}",
        quote(name),
        writer.condition(filter)?,
        writer.dialect.push(signed(STRETCH_ROWS)),
    );
    let mut parameters = writer.dialect.parameters;
    // Not kept: there are as many as there are filters.
    let mut statement = db.conn.prepare(&sql)?;
    let mut touched = Touched::default();
    loop {
        let found = statement.query_map(params_from_iter(&parameters), |row| row.get(0))?;
        let ids = found.collect::<rusqlite::Result<Vec<i64>>>()?;
        for id in &ids {
            if touch(*id)? {
                touched.add(RowId(*id));
            }
        }
        match ids.last() {
            Some(last) if ids.len() == STRETCH_ROWS => parameters[0] = (*last).into(),
            _ => return Ok(touched),
        }
    }
}

/// Parameters: the row, the time, the values.
pub(super) fn update_sql(table: &str, places: &[Place]) -> String {
    let numbered = places.iter().enumerate();
    let set: String = numbered
        .map(|(index, place)| format!(", {} = ?{}", quote(&place.name), index + 3))
        .collect();
    format!(
        "-- paceline: update_rows\nUPDATE {} SET _ht_updated_at = ?2{set} WHERE _ht_id = ?1",
        quote(table)
    )
}

/// What is kept of the cells of a table's rows.
struct Records<'c> {
    columns: Vec<i64>,
    /// Of the runs that are not final: a report of a task that is gone is late.
    runs: Vec<i64>,
    of_cell: Vec<CachedStatement<'c>>,
    task: CachedStatement<'c>,
}

impl<'c> Records<'c> {
    fn of(db: &Db<'c>, table: TableId) -> Result<Self> {
        let ids = |sql: &str| -> Result<Vec<i64>> {
            let mut statement = db.conn.prepare_cached(sql)?;
            let found = statement.query_map([table.0], |row| row.get(0))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        let prepare = |kept: &str| {
            db.conn.prepare_cached(&format!(
                "-- paceline: delete_rows\nDELETE FROM {kept} WHERE column_id = ?1 AND row_id = ?2"
            ))
        };
        Ok(Self {
            columns: ids("-- paceline: delete_rows\nSELECT id FROM _ht_columns \
                 WHERE table_id = ?1 AND smart_kind IS NOT NULL")?,
            runs: ids("-- paceline: delete_rows\nSELECT id FROM _ht_runs \
                 WHERE table_id = ?1 AND status IN ('queued', 'running', 'paused')")?,
            of_cell: ["_ht_cells", "_ht_attempts", "_ht_notes"]
                .into_iter()
                .map(prepare)
                .collect::<rusqlite::Result<_>>()?,
            task: db.conn.prepare_cached(
                "-- paceline: delete_rows\nDELETE FROM _ht_tasks WHERE run_id = ?1 AND row_id = ?2",
            )?,
        })
    }

    fn delete(&mut self, row: i64) -> Result<()> {
        for column in &self.columns {
            for statement in &mut self.of_cell {
                statement.execute(params![column, row])?;
            }
        }
        for run in &self.runs {
            self.task.execute(params![run, row])?;
        }
        Ok(())
    }
}
