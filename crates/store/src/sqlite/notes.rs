//! Notes: what must be known of a cell before anything more is done for it, and a person's word on a cell whose outcome
//! nobody knows.

use paceline_model::{
    CellError, CellState, ChangeKind, ColumnId, Error, NotedCall, RowId, RunId, TableId,
};
use rusqlite::{OptionalExtension, params};

use super::attempts::Keeper;
use super::connection::Db;
use super::records::Target;
use super::{changes, columns, runs};
use crate::codec::encode_error;
use crate::error::Result;
use crate::rules;

pub(super) fn save_note(
    db: &Db<'_>,
    run: RunId,
    token: i64,
    row: RowId,
    note: &str,
    call: &NotedCall,
) -> Result<bool> {
    let target = Target::of(db, run)?;
    if !target.noted {
        let problem = "only cells of columns of kind integration have notes";
        return Err(Error::invalid(problem).into());
    }
    let held = mark_task(db, run, token, row, call)?;
    if let NotedCall::Made(attempt) = call {
        let mut keeper = Keeper::begin(db, target.column, run)?;
        keeper.keep(db, row, attempt)?;
        keeper.finish(db)?;
        if held {
            runs::add_counts(db, run, &rules::counts_of(attempt))?;
        }
    }
    if held {
        write(db, target.column, row, note)?;
    }
    Ok(held)
}

pub(super) fn note(db: &Db<'_>, column: ColumnId, row: RowId) -> Result<Option<String>> {
    Ok(db
        .conn
        .prepare_cached(
            "-- paceline: note\nSELECT note FROM _ht_notes WHERE column_id = ?1 AND row_id = ?2",
        )?
        .query_row(params![column.0, row.0], |row| row.get(0))
        .optional()?)
}

pub(super) fn put_note(
    db: &Db<'_>,
    column: ColumnId,
    row: RowId,
    note: Option<&str>,
) -> Result<()> {
    check_settleable(db, column, row)?;
    match note {
        Some(note) => write(db, column, row, note),
        None => remove(db, column, row),
    }
}

pub(super) fn fail_unknown(
    db: &Db<'_>,
    column: ColumnId,
    row: RowId,
    error: &CellError,
) -> Result<()> {
    let table = check_settleable(db, column, row)?;
    let (code, message) = encode_error(Some(error));
    db.conn
        .prepare_cached(
            "-- paceline: fail_unknown\nUPDATE _ht_cells SET state = ?3, error_code = ?4, \
             error_message = ?5, updated_at = ?6 WHERE column_id = ?1 AND row_id = ?2",
        )?
        .execute(params![
            column.0,
            row.0,
            CellState::Failed.as_str(),
            code,
            message,
            db.now.as_micros()
        ])?;
    remove(db, column, row)?;
    changes::write(db, table, &ChangeKind::Cells { column, rows: vec![row] })
}

/// The note of a cell goes.
pub(super) fn remove(db: &Db<'_>, column: ColumnId, row: RowId) -> Result<()> {
    db.conn
        .prepare_cached(
            "-- paceline: remove_note\nDELETE FROM _ht_notes WHERE column_id = ?1 AND row_id = ?2",
        )?
        .execute(params![column.0, row.0])?;
    Ok(())
}

pub(super) fn write(db: &Db<'_>, column: ColumnId, row: RowId, note: &str) -> Result<()> {
    rules::check_note(note)?;
    db.conn
        .prepare_cached(
            "-- paceline: save_note\nINSERT INTO _ht_notes (column_id, row_id, note, at) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT (column_id, row_id) DO UPDATE SET \
             note = excluded.note, at = excluded.at",
        )?
        .execute(params![column.0, row.0, note, db.now.as_micros()])?;
    Ok(())
}

/// Moves the task's intent as the call says; false if the token does not hold it.
fn mark_task(db: &Db<'_>, run: RunId, token: i64, row: RowId, call: &NotedCall) -> Result<bool> {
    let (settles, intended, attempts) = match call {
        NotedCall::Intended => (true, Some(db.now.as_micros()), 0),
        NotedCall::Made(attempt) => (true, None, attempt.number),
        NotedCall::None => (false, None, 0),
    };
    let moved = db
        .conn
        .prepare_cached(
            "-- paceline: save_note\nUPDATE _ht_tasks SET attempts = max(attempts, ?4), \
             intent_at = CASE WHEN ?5 THEN ?6 ELSE intent_at END \
             WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3",
        )?
        .execute(params![run.0, row.0, token, attempts, settles, intended])?;
    Ok(moved == 1)
}

/// Only a cell that is unknown, and that no run is at work on, is a person's to settle. Answers its table.
fn check_settleable(db: &Db<'_>, column: ColumnId, row: RowId) -> Result<TableId> {
    let found = columns::column_by_id(db, column)?;
    let found = found.ok_or_else(|| Error::Missing(format!("there is no column {column}")))?;
    let state: Option<String> = db
        .conn
        .prepare_cached(
            "-- paceline: settle\nSELECT state FROM _ht_cells WHERE column_id = ?1 AND row_id = ?2",
        )?
        .query_row(params![column.0, row.0], |row| row.get(0))
        .optional()?;
    rules::check_unknown(state.as_deref(), row, &found.name)?;
    let run: Option<i64> = db
        .conn
        .prepare_cached(
            "-- paceline: settle\nSELECT r.id FROM _ht_runs AS r JOIN _ht_tasks AS k ON k.run_id = r.id \
             WHERE r.column_id = ?1 AND r.status IN ('queued', 'running', 'paused') AND k.row_id = ?2",
        )?
        .query_row(params![column.0, row.0], |row| row.get(0))
        .optional()?;
    match run {
        Some(run) => Err(rules::looked_up_already(RunId(run), row)),
        None => Ok(found.table),
    }
}
