//! Notes: what must be known of a cell before anything more is done for it, and a person's word on a cell whose outcome
//! nobody knows.

use std::collections::{BTreeMap, HashMap};

use paceline_model::{
    CellError, CellState, CellWord, ChangeKind, ColumnId, Error, NotedCall, RowId, RunId, TableId,
    Task, Value,
};

use super::db::Db;
use super::param::{Param, params};
use super::records::Target;
use super::{attempts, changes, columns, edit, lock, rows, runs, schema};
use crate::codec::encode_error;
use crate::error::Result;
use crate::rules;

pub(super) async fn save_note(
    db: &Db,
    run: RunId,
    token: i64,
    row: RowId,
    note: &str,
    call: &NotedCall,
) -> Result<bool> {
    let target = Target::of(db, run).await?;
    if !target.noted {
        let problem = "only cells of columns of kind integration or waterfall have notes";
        return Err(Error::invalid(problem).into());
    }
    let held = mark_task(db, run, token, row, call).await?;
    if let NotedCall::Made(attempt) = call {
        attempts::keep(db, &target, &[(row, attempt)]).await?;
        if held {
            runs::add_counts(db, run, &rules::counts_of(attempt)).await?;
        }
    }
    if held {
        write(db, target.column, row, note).await?;
    }
    Ok(held)
}

pub(super) async fn note(db: &Db, column: ColumnId, row: RowId) -> Result<Option<String>> {
    let sql = "-- paceline: note\n\
               SELECT note FROM paceline._ht_notes WHERE column_id = $1 AND row_id = $2";
    db.first(sql, params![column.0, row.0]).await?.map(|row| row.text(0)).transpose()
}

/// Gives each task the note of its cell.
pub(super) async fn add_to(db: &Db, column: ColumnId, tasks: &mut [Task]) -> Result<()> {
    let rows: Vec<i64> = tasks.iter().map(|task| task.row.0).collect();
    let found = db
        .query(
            "-- paceline: notes\nSELECT row_id, note FROM paceline._ht_notes \
             WHERE column_id = $1 AND row_id = ANY ($2)",
            params![column.0, rows],
        )
        .await?;
    let mut notes = HashMap::with_capacity(found.len());
    for row in found {
        notes.insert(row.int(0)?, row.text(1)?);
    }
    for task in tasks {
        task.note = notes.remove(&task.row.0);
    }
    Ok(())
}

pub(super) async fn put_note(
    db: &Db,
    column: ColumnId,
    row: RowId,
    note: Option<&str>,
) -> Result<()> {
    check_settleable(db, column, row).await?;
    match note {
        Some(note) => write(db, column, row, note).await,
        None => remove(db, column, vec![row.0]).await,
    }
}

pub(super) async fn settle_unknown(
    db: &Db,
    column: ColumnId,
    row: RowId,
    word: &CellWord,
) -> Result<()> {
    let table = check_settleable(db, column, row).await?;
    match word {
        CellWord::Done(value) => {
            if let Some(value) = value {
                write_value(db, table, column, row, value).await?;
            }
            write_state(db, column, row, CellState::Completed, None).await?;
        }
        CellWord::Failed(error) => {
            write_state(db, column, row, CellState::Failed, Some(error)).await?;
        }
        CellWord::NotSent => {
            let sql = "-- paceline: settle\n\
                       DELETE FROM paceline._ht_cells WHERE column_id = $1 AND row_id = $2";
            db.execute(sql, params![column.0, row.0]).await?;
        }
    }
    remove(db, column, vec![row.0]).await?;
    changes::write(db, table, &ChangeKind::Cells { column, rows: vec![row] }).await
}

/// With the column held nobody else writes this cell, so that its value may be locked after its record.
async fn write_value(
    db: &Db,
    table: TableId,
    column: ColumnId,
    row: RowId,
    value: &Value,
) -> Result<()> {
    let name = schema::hold(db, table, "ROW EXCLUSIVE").await?;
    let places = schema::places(db, table, &[column]).await?;
    let encoded = rows::encode_row(&places, std::slice::from_ref(value))?;
    let mut parameters = vec![Param::from(db.now), Param::from(vec![row.0])];
    parameters.extend(encoded.iter().map(|value| Param::from(value.as_deref())));
    db.execute(&edit::update_sql(&name, &places), &parameters).await?;
    Ok(())
}

/// What its call was made from stays known: it tells whether the cell is stale. Its value is a person's word, and no other
/// cell's.
async fn write_state(
    db: &Db,
    column: ColumnId,
    row: RowId,
    state: CellState,
    error: Option<&CellError>,
) -> Result<()> {
    let (code, message) = encode_error(error);
    db.execute(
        "-- paceline: settle\nUPDATE paceline._ht_cells SET state = $3, error_code = $4, \
         error_message = $5, updated_at = $6, fingerprint = NULL \
         WHERE column_id = $1 AND row_id = $2",
        params![column.0, row.0, state.as_str(), code, message, db.now],
    )
    .await?;
    Ok(())
}

/// Writes or removes the notes of many cells.
pub(super) async fn write_all(
    db: &Db,
    column: ColumnId,
    notes: &BTreeMap<RowId, Option<&str>>,
) -> Result<()> {
    let mut gone = Vec::new();
    for (row, note) in notes {
        match note {
            // One by one: a note may be long, and few tasks of a batch have one to put.
            Some(note) => write(db, column, *row, note).await?,
            None => gone.push(row.0),
        }
    }
    if gone.is_empty() { Ok(()) } else { remove(db, column, gone).await }
}

async fn remove(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<()> {
    db.execute(
        "-- paceline: remove_note\n\
         DELETE FROM paceline._ht_notes WHERE column_id = $1 AND row_id = ANY ($2)",
        params![column.0, rows],
    )
    .await?;
    Ok(())
}

async fn write(db: &Db, column: ColumnId, row: RowId, note: &str) -> Result<()> {
    rules::check_note(note)?;
    db.execute(
        "-- paceline: save_note\nINSERT INTO paceline._ht_notes (column_id, row_id, note, at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (column_id, row_id) DO UPDATE SET \
         note = excluded.note, at = excluded.at",
        params![column.0, row.0, note, db.now],
    )
    .await?;
    Ok(())
}

/// Moves the task's intent as the call says; false if the token does not hold it.
async fn mark_task(db: &Db, run: RunId, token: i64, row: RowId, call: &NotedCall) -> Result<bool> {
    let (settles, intended, attempts) = match call {
        NotedCall::Intended => (true, Some(db.now.as_micros()), 0),
        NotedCall::Made(attempt) => (true, None, i64::from(attempt.number)),
        NotedCall::None => (false, None, 0),
    };
    let moved = db
        .execute(
            "-- paceline: save_note\nUPDATE paceline._ht_tasks SET attempts = greatest(attempts, $4), \
             intent_at = CASE WHEN $5 THEN $6 ELSE intent_at END \
             WHERE run_id = $1 AND row_id = $2 AND owner = $3 AND ($6 IS NULL OR NOT EXISTS \
             (SELECT 1 FROM paceline._ht_cells AS c JOIN paceline._ht_runs AS r ON r.column_id = c.column_id \
             WHERE r.id = $1 AND c.row_id = $2 AND c.locked))",
            params![run.0, row.0, token, attempts, settles, intended],
        )
        .await?;
    Ok(moved == 1)
}

/// Only a cell that is unknown, and that no run is at work on, is a person's to settle. Answers its table. No run of the
/// column begins, and none claims, before the transaction has ended.
async fn check_settleable(db: &Db, column: ColumnId, row: RowId) -> Result<TableId> {
    lock::of_column(db, column).await?;
    let found = columns::column_by_id(db, column).await?;
    let found = found.ok_or_else(|| rules::missing_column(column))?;
    let active = db
        .first(
            "-- paceline: settle\nSELECT id FROM paceline._ht_runs \
             WHERE column_id = $1 AND status IN ('queued', 'running', 'paused') FOR UPDATE",
            params![column.0],
        )
        .await?;
    let cell = db
        .first(
            "-- paceline: settle\nSELECT state FROM paceline._ht_cells \
             WHERE column_id = $1 AND row_id = $2 FOR UPDATE",
            params![column.0, row.0],
        )
        .await?;
    let state = cell.map(|cell| cell.text(0)).transpose()?;
    rules::check_unknown(state.as_deref(), row, &found.name)?;
    if let Some(run) = active {
        let run = run.int(0)?;
        let sql = "-- paceline: settle\n\
                   SELECT 1 FROM paceline._ht_tasks WHERE run_id = $1 AND row_id = $2";
        if db.first(sql, params![run, row.0]).await?.is_some() {
            return Err(rules::looked_up_already(RunId(run), row));
        }
    }
    Ok(found.table)
}
