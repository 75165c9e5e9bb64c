//! Tasks: claimed, renewed, about to be sent.
//!
//! A run does not write a task per row. It keeps a cursor: rows up to it have been claimed at least once, and only tasks
//! in somebody's hands, or given back, have a record. So a claim costs the same at the first row as at the millionth.

use paceline_clock::Timestamp;
use paceline_model::{Claim, ColumnId, Lease, RowId, RunId, Scope, SmartKind, Task};
use rusqlite::{OptionalExtension, params};

use super::connection::Db;
use super::schema::{Place, places, quote, select_list, table_name};
use super::{notes, rows};
use crate::codec::signed;
use crate::error::Result;
use crate::rules::{self, SCAN_ROWS_MAX};

/// What a claim needs to know of its run.
pub(super) struct Source {
    run: RunId,
    column: ColumnId,
    scope: Scope,
    /// Rows up to here have been claimed at least once.
    pub(super) cursor: i64,
    /// The run ends here.
    pub(super) last: i64,
    table_name: String,
    inputs: Vec<Place>,
    /// Whether its cells may have notes.
    noted: bool,
}

/// One step of a claim. It may bring nothing and not be exhausted: then the next step looks further on.
///
/// What the caller itself holds is not given to it again, even if it was late to renew (a laptop that slept): it is
/// there, so it holds it. And a task whose intent stands is not given to anybody by the clock alone, because it may
/// have been sent: [`super::recovery::recover_run`] decides about it.
pub(super) fn claim_tasks(
    db: &Db<'_>,
    run: RunId,
    inputs: &[ColumnId],
    lease: Lease,
    max: usize,
) -> Result<Claim> {
    let Some(source) = source(db, run, inputs)? else {
        return Ok(Claim { tasks: Vec::new(), exhausted: true });
    };
    let until = (db.now + lease.lease).as_micros();
    let mut tasks = unheld(db, &source, lease.token, max)?;
    take_over(db, &source, lease.token, until, &tasks)?;
    let mut cursor = source.cursor;
    if tasks.len() < max && cursor < source.last {
        let wanted = max - tasks.len();
        let (fresh, next) = due(db, &source, wanted)?;
        cursor = next;
        insert(db, &source, lease.token, until, &fresh)?;
        move_cursor(db, run, cursor)?;
        tasks.extend(fresh);
        tasks.sort_unstable_by_key(|task| task.row);
    }
    if source.noted {
        for task in &mut tasks {
            task.note = notes::note(db, source.column, task.row)?;
        }
    }
    Ok(Claim { tasks, exhausted: cursor >= source.last })
}

pub(super) fn renew_leases(db: &Db<'_>, lease: Lease) -> Result<u64> {
    let until = (db.now + lease.lease).as_micros();
    let renewed = db
        .conn
        .prepare_cached(
            "-- paceline: renew_leases\nUPDATE _ht_tasks SET lease_until = ?2 WHERE owner = ?1",
        )?
        .execute(params![lease.token, until])?;
    Ok(renewed as u64)
}

pub(super) fn record_intents(
    db: &Db<'_>,
    run: RunId,
    token: i64,
    rows: &[RowId],
) -> Result<Vec<RowId>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: record_intents\nUPDATE _ht_tasks SET intent_at = ?4 \
         WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3",
    )?;
    let mut held = Vec::with_capacity(rows.len());
    for &row in rows {
        if statement.execute(params![run.0, row.0, token, db.now.as_micros()])? == 1 {
            held.push(row);
        }
    }
    Ok(held)
}

/// What the claim works on; `None` if the run is over.
pub(super) fn source(db: &Db<'_>, run: RunId, inputs: &[ColumnId]) -> Result<Option<Source>> {
    let found = db
        .conn
        .prepare_cached(
            "-- paceline: claim_tasks\nSELECT r.table_id, r.column_id, r.scope, r.status, r.cursor_row, \
             r.last_row, coalesce(c.smart_kind = ?2, 0) \
             FROM _ht_runs AS r LEFT JOIN _ht_columns AS c ON c.id = r.column_id WHERE r.id = ?1",
        )?
        .query_row(params![run.0, SmartKind::Integration.as_str()], |row| {
            Ok((
                paceline_model::TableId(row.get(0)?),
                ColumnId(row.get(1)?),
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .optional()?;
    let Some((table, column, scope, status, cursor, last, noted)) = found else {
        return Err(rules::missing_run(run));
    };
    if rules::parse_status(&status)?.is_final() {
        return Ok(None);
    }
    Ok(Some(Source {
        run,
        column,
        scope: rules::parse_scope(&scope)?,
        cursor,
        last,
        table_name: table_name(db, table)?,
        inputs: places(db, table, inputs)?,
        noted,
    }))
}

/// Tasks that were claimed before and that nobody holds. The search is over what is in flight, not over the table.
fn unheld(db: &Db<'_>, source: &Source, token: i64, max: usize) -> Result<Vec<Task>> {
    let mut statement = db.conn.prepare_cached(&unheld_sql(source))?;
    let mut found =
        statement.query(params![source.run.0, db.now.as_micros(), token, signed(max)])?;
    let mut tasks = Vec::new();
    while let Some(row) = found.next()? {
        tasks.push(Task {
            row: RowId(row.get(0)?),
            errors: row.get(1)?,
            attempts: row.get(2)?,
            throttled_since: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros),
            not_before: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros),
            inputs: rows::values(row, 5, &source.inputs)?,
            note: None,
            cell: None,
            states: Vec::new(),
        });
    }
    Ok(tasks)
}

fn take_over(db: &Db<'_>, source: &Source, token: i64, until: i64, tasks: &[Task]) -> Result<()> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: claim_tasks\nUPDATE _ht_tasks SET owner = ?3, lease_until = ?4 \
         WHERE run_id = ?1 AND row_id = ?2",
    )?;
    for task in tasks {
        statement.execute(params![source.run.0, task.row.0, token, until])?;
    }
    Ok(())
}

/// Due rows after the cursor, and where the cursor stands then.
pub(super) fn due(db: &Db<'_>, source: &Source, max: usize) -> Result<(Vec<Task>, i64)> {
    // Failed and unknown ones come from an index that has nothing else in it, so they need no bound on what is looked at.
    let end = match source.scope {
        Scope::Failed | Scope::Unknown => source.last,
        Scope::All | Scope::Empty | Scope::Stale | Scope::Following => {
            source.last.min(source.cursor.saturating_add(SCAN_ROWS_MAX))
        }
    };
    let mut statement = db.conn.prepare_cached(&due_sql(source))?;
    let mut found = statement.query(params![source.cursor, end, source.column.0, signed(max)])?;
    let mut tasks = Vec::new();
    while let Some(row) = found.next()? {
        tasks.push(Task {
            row: RowId(row.get(0)?),
            inputs: rows::values(row, 1, &source.inputs)?,
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: None,
            states: Vec::new(),
        });
    }
    let cursor = match tasks.last() {
        Some(task) if tasks.len() == max => task.row.0,
        _ => end,
    };
    Ok((tasks, cursor))
}

fn insert(db: &Db<'_>, source: &Source, token: i64, until: i64, tasks: &[Task]) -> Result<()> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: claim_tasks\n\
         INSERT INTO _ht_tasks (run_id, row_id, owner, lease_until) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for task in tasks {
        statement.execute(params![source.run.0, task.row.0, token, until])?;
    }
    Ok(())
}

fn move_cursor(db: &Db<'_>, run: RunId, cursor: i64) -> Result<()> {
    db.conn
        .prepare_cached(
            "-- paceline: claim_tasks\nUPDATE _ht_runs SET cursor_row = ?2 WHERE id = ?1",
        )?
        .execute(params![run.0, cursor])?;
    Ok(())
}

fn unheld_sql(source: &Source) -> String {
    format!(
        "-- paceline: claim_tasks\n\
         SELECT k.row_id, k.errors, k.attempts, k.throttled_since, k.not_before{} \
         FROM _ht_tasks AS k CROSS JOIN {} AS t ON t._ht_id = k.row_id \
         WHERE k.run_id = ?1 AND (k.owner IS NULL \
         OR (k.lease_until <= ?2 AND k.owner <> ?3 AND k.intent_at IS NULL)) \
         ORDER BY k.row_id LIMIT ?4",
        select_list("t", &source.inputs),
        quote(&source.table_name)
    )
}

/// Parameters of every scope: the cursor, the end, the column (which `All` has no use for), how many. CROSS JOIN says
/// which table leads.
fn due_sql(source: &Source) -> String {
    let inputs = select_list("t", &source.inputs);
    let table = quote(&source.table_name);
    match source.scope {
        Scope::All | Scope::Stale | Scope::Following => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} FROM {table} AS t \
             WHERE t._ht_id > ?1 AND t._ht_id <= ?2 AND ?3 IS NOT NULL ORDER BY t._ht_id LIMIT ?4"
        ),
        Scope::Empty => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} FROM {table} AS t \
             WHERE t._ht_id > ?1 AND t._ht_id <= ?2 AND NOT EXISTS \
             (SELECT 1 FROM _ht_cells AS c WHERE c.column_id = ?3 AND c.row_id = t._ht_id) \
             ORDER BY t._ht_id LIMIT ?4"
        ),
        // The name of the scope is that of the state, and of its index.
        Scope::Failed | Scope::Unknown => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} \
             FROM _ht_cells AS c INDEXED BY _ht_cells_{state} \
             CROSS JOIN {table} AS t ON t._ht_id = c.row_id \
             WHERE c.column_id = ?3 AND c.state = '{state}' AND c.row_id > ?1 AND c.row_id <= ?2 \
             ORDER BY c.row_id LIMIT ?4",
            state = source.scope.as_str()
        ),
    }
}

#[cfg(test)]
mod tests;
