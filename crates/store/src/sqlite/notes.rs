//! Notes: what must be known of a cell before anything more is done for it, and a person's word on a cell whose outcome
//! nobody knows.

use paceline_model::{
    CellError, CellState, CellWord, ChangeKind, ColumnId, Error, NotedCall, RowId, RunId, TableId,
    Value,
};
use rusqlite::{OptionalExtension, params};

use super::attempts::Keeper;
use super::connection::Db;
use super::records::Target;
use super::schema::{places, table_name};
use super::{changes, columns, edit, rows, runs};
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
        let problem = "only cells of columns of kind integration or waterfall have notes";
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

pub(super) fn settle_unknown(
    db: &Db<'_>,
    column: ColumnId,
    row: RowId,
    word: &CellWord,
) -> Result<()> {
    let table = check_settleable(db, column, row)?;
    match word {
        CellWord::Done(value) => {
            if let Some(value) = value {
                write_value(db, table, column, row, value)?;
            }
            write_state(db, column, row, CellState::Completed, None)?;
        }
        CellWord::Failed(error) => write_state(db, column, row, CellState::Failed, Some(error))?,
        CellWord::NotSent => {
            let sql = "-- paceline: settle\n\
                       DELETE FROM _ht_cells WHERE column_id = ?1 AND row_id = ?2";
            db.conn.prepare_cached(sql)?.execute(params![column.0, row.0])?;
        }
    }
    remove(db, column, row)?;
    changes::write(db, table, &ChangeKind::Cells { column, rows: vec![row] })
}

fn write_value(
    db: &Db<'_>,
    table: TableId,
    column: ColumnId,
    row: RowId,
    value: &Value,
) -> Result<()> {
    let places = places(db, table, &[column])?;
    let sql = edit::update_sql(&table_name(db, table)?, &places);
    let mut statement = db.conn.prepare_cached(&sql)?;
    statement.raw_bind_parameter(1, row.0)?;
    rows::bind(&mut statement, db, &places, std::slice::from_ref(value))?;
    statement.raw_execute()?;
    Ok(())
}

/// What its call was made from stays known: it tells whether the cell is stale. Its value is a person's word, and no other
/// cell's.
fn write_state(
    db: &Db<'_>,
    column: ColumnId,
    row: RowId,
    state: CellState,
    error: Option<&CellError>,
) -> Result<()> {
    let (code, message) = encode_error(error);
    db.conn
        .prepare_cached(
            "-- paceline: settle\nUPDATE _ht_cells SET state = ?3, error_code = ?4, error_message = ?5, \
             updated_at = ?6, fingerprint = NULL WHERE column_id = ?1 AND row_id = ?2",
        )?
        .execute(params![column.0, row.0, state.as_str(), code, message, db.now.as_micros()])?;
    Ok(())
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

/// Moves the task's intent as the call says; false if the token does not hold it, or if a call is intended for a cell that a
/// person has locked.
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
             WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3 AND (?6 IS NULL OR NOT EXISTS \
             (SELECT 1 FROM _ht_cells WHERE column_id = (SELECT column_id FROM _ht_runs WHERE id = ?1) \
             AND row_id = ?2 AND locked = 1))",
        )?
        .execute(params![run.0, row.0, token, attempts, settles, intended])?;
    Ok(moved == 1)
}

/// Only a cell that is unknown, and that no run is at work on, is a person's to settle. Answers its table.
fn check_settleable(db: &Db<'_>, column: ColumnId, row: RowId) -> Result<TableId> {
    let found = columns::column_by_id(db, column)?;
    let found = found.ok_or_else(|| rules::missing_column(column))?;
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
