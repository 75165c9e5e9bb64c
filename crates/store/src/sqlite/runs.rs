//! Runs: made, moved from status to status, counted.

use paceline_clock::Timestamp;
use paceline_model::{
    ChangeKind, ColumnId, Counts, Error, NewRun, Run, RunId, RunStatus, Scope, TableId, limits,
};
use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::connection::Db;
use super::due::Source;
use super::{changes, columns, rows, schema};
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::{due, rules};

/// Runs of a deleted table are there when it is restored, and nowhere before.
const LIVE: &str = "table_id IN (SELECT id FROM _ht_tables WHERE deleted_at IS NULL)";

pub(super) fn create_run(db: &Db<'_>, new: NewRun) -> Result<Run> {
    let table = schema::table_name(db, new.table)?;
    let column = columns::column_by_id(db, new.column)?
        .filter(|column| column.table == new.table)
        .ok_or_else(|| Error::Missing(format!("table {table:?} has no column {}", new.column)))?;
    rules::check_runnable(&column, &new)?;
    check_none_active(db, new.column, &column.name)?;
    let options = rules::run_options_text(&new.options)?;
    let last_row = rows::last_row(db, new.table, &table)?;
    let total = total(db, &new, &table, last_row)?;
    db.conn
        .prepare_cached(
            "-- paceline: create_run\nINSERT INTO _ht_runs \
             (table_id, column_id, scope, status, last_row, total, options, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )?
        .execute(params![
            new.table.0,
            new.column.0,
            new.scope.as_str(),
            RunStatus::Queued.as_str(),
            last_row,
            signed(total),
            options,
            db.now.as_micros(),
        ])?;
    let run = RunId(db.conn.last_insert_rowid());
    changes::write(db, new.table, &ChangeKind::Run { run })?;
    existing(db, run)
}

pub(super) fn run(db: &Db<'_>, run: RunId) -> Result<Option<Run>> {
    Ok(select(db, &format!("WHERE id = ?1 AND {LIVE}"), &[&run.0])?.pop())
}

/// The run of that id, of a deleted table too: late reports are answered.
///
/// Fails with `Missing` if there is none.
pub(super) fn existing(db: &Db<'_>, id: RunId) -> Result<Run> {
    select(db, "WHERE id = ?1", &[&id.0])?.pop().ok_or_else(|| rules::missing_run(id))
}

pub(super) fn runs(db: &Db<'_>, table: TableId, limit: usize) -> Result<Vec<Run>> {
    let limit = signed(limit.min(limits::PAGE_ROWS_MAX));
    let newest = format!("WHERE table_id = ?1 AND {LIVE} ORDER BY id DESC LIMIT ?2");
    select(db, &newest, &[&table.0, &limit])
}

pub(super) fn unfinished_runs(db: &Db<'_>, table: Option<TableId>) -> Result<Vec<Run>> {
    // Told which index, or it would go by the table, through all its runs.
    let unfinished = format!(
        "INDEXED BY _ht_runs_active WHERE status IN ('queued', 'running', 'paused') \
         AND (?1 IS NULL OR table_id = ?1) AND {LIVE} ORDER BY id"
    );
    select(db, &unfinished, &[&table.map(|table| table.0)])
}

pub(super) fn newest_run(db: &Db<'_>, column: ColumnId) -> Result<Option<Run>> {
    let newest = format!(
        "INDEXED BY _ht_runs_by_column WHERE column_id = ?1 AND {LIVE} ORDER BY id DESC LIMIT 1"
    );
    Ok(select(db, &newest, &[&column.0])?.pop())
}

pub(super) fn set_run_status(
    db: &Db<'_>,
    id: RunId,
    status: RunStatus,
    reason: Option<&str>,
) -> Result<Run> {
    let before = existing(db, id)?;
    rules::check_not_final(&before)?;
    let mut counts = before.counts;
    let total = rules::settled_total(&before, status);
    counts.total = total.unwrap_or(counts.total);
    db.conn
        .prepare_cached(
            "-- paceline: set_run_status\n\
             UPDATE _ht_runs SET status = ?2, reason = ?3, updated_at = ?4, \
             total = coalesce(?5, total) WHERE id = ?1",
        )?
        .execute(params![id.0, status.as_str(), reason, db.now.as_micros(), total.map(signed)])?;
    if status.is_final() {
        // A report that comes after this finds no task and is known for late.
        db.conn
            .prepare_cached("-- paceline: set_run_status\nDELETE FROM _ht_tasks WHERE run_id = ?1")?
            .execute([id.0])?;
    }
    changes::write(db, before.table, &ChangeKind::Run { run: id })?;
    let reason = reason.map(str::to_owned);
    Ok(Run { status, reason, counts, updated_at: db.now, ..before })
}

/// Adds to the counts of a run; `total` stays.
pub(super) fn add_counts(db: &Db<'_>, run: RunId, more: &Counts) -> Result<()> {
    db.conn
        .prepare_cached(
            "-- paceline: add_counts\nUPDATE _ht_runs SET completed = completed + ?2, \
             failed = failed + ?3, skipped = skipped + ?4, unknown = unknown + ?5, \
             calls = calls + ?6, throttled = throttled + ?7, retries = retries + ?8, \
             cost_micros = cost_micros + ?9 WHERE id = ?1",
        )?
        .execute(params![
            run.0,
            signed(more.completed),
            signed(more.failed),
            signed(more.skipped),
            signed(more.unknown),
            signed(more.calls),
            signed(more.throttled),
            signed(more.retries),
            signed(more.cost_micros),
        ])?;
    Ok(())
}

/// Refuses while a run of a column is not final.
pub(super) fn check_none_active(db: &Db<'_>, column: ColumnId, name: &str) -> Result<()> {
    let active: Option<(i64, String)> = db
        .conn
        .prepare_cached(
            "-- paceline: create_run\nSELECT id, status FROM _ht_runs \
             WHERE column_id = ?1 AND status IN ('queued', 'running', 'paused')",
        )?
        .query_row([column.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match active {
        Some((run, status)) => Err(rules::still_active(RunId(run), name, &status)),
        None => Ok(()),
    }
}

/// Refuses while a run of any column of a table is not final.
pub(super) fn check_none_active_in(db: &Db<'_>, table: TableId) -> Result<()> {
    let active: Option<(i64, String, String)> = db
        .conn
        .prepare_cached(
            "-- paceline: delete_table\nSELECT r.id, c.name, r.status FROM _ht_runs AS r \
             JOIN _ht_columns AS c ON c.id = r.column_id WHERE r.table_id = ?1 \
             AND r.status IN ('queued', 'running', 'paused') ORDER BY r.id LIMIT 1",
        )?
        .query_row([table.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match active {
        Some((run, column, status)) => Err(rules::still_active(RunId(run), &column, &status)),
        None => Ok(()),
    }
}

/// How many cells are due now, however few of them the run may take; of scope `following`, how many may become due.
fn total(db: &Db<'_>, new: &NewRun, table: &str, last: i64) -> Result<u64> {
    let before = before(db, new, table)?;
    let rows = || rows::count_rows(db, new.table, new.options.filter.as_ref());
    if new.scope == Scope::Following {
        return Ok(due::following_max(rows()?, before.iter().map(|run| run.counts.total)));
    }
    if new.options.filter.is_some() {
        return Source::new(db, new.clone(), &[], &[], false)?.count(db, last);
    }
    let records = |condition: &str| -> Result<u64> {
        let sql = format!(
            "-- paceline: create_run\nSELECT count(*) FROM _ht_cells WHERE column_id = ?1{condition}"
        );
        let count = db.conn.prepare_cached(&sql)?.query_row([new.column.0], |row| row.get(0))?;
        Ok(unsigned(count))
    };
    match new.scope {
        Scope::All | Scope::Following => Ok(rows()?.saturating_sub(records(" AND locked = 1")?)),
        Scope::Empty => Ok(rows()?.saturating_sub(records("")?)),
        Scope::Failed => records(" AND state = 'failed' AND locked = 0"),
        Scope::Unknown => records(" AND state = 'unknown' AND locked = 0"),
        Scope::Stale => records(" AND state IN ('completed', 'skipped', 'failed') AND locked = 0"),
    }
}

/// The runs that a new one is to come after.
fn before(db: &Db<'_>, new: &NewRun, table: &str) -> Result<Vec<Run>> {
    let of_table = |run: &RunId| {
        let found = select(db, "WHERE id = ?1 AND table_id = ?2", &[&run.0, &new.table.0])?.pop();
        found.ok_or_else(|| rules::missing_upstream(table, *run))
    };
    new.options.after.iter().map(of_table).collect()
}

/// Refuses to take a column away while a run goes by it.
pub(super) fn check_none_looks_at(
    db: &Db<'_>,
    table: TableId,
    column: ColumnId,
    name: &str,
) -> Result<()> {
    let active = "WHERE table_id = ?1 AND options IS NOT NULL \
                  AND status IN ('queued', 'running', 'paused')";
    for run in select(db, active, &[&table.0])? {
        rules::check_not_looked_at(run.id, &run.options, column, name)?;
    }
    Ok(())
}

/// So many cells of a run were not due after all.
pub(super) fn lower_total(db: &Db<'_>, run: RunId, left: u64) -> Result<()> {
    let sql =
        "-- paceline: lower_total\nUPDATE _ht_runs SET total = max(total - ?2, 0) WHERE id = ?1";
    db.conn.prepare_cached(sql)?.execute(params![run.0, signed(left)])?;
    Ok(())
}

fn select(db: &Db<'_>, tail: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Run>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: runs\nSELECT id, table_id, column_id, scope, status, reason, total, \
         completed, failed, skipped, unknown, calls, throttled, retries, created_at, updated_at, cost_micros, \
         options FROM _ht_runs {tail}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(read_run(row)?);
    }
    Ok(runs)
}

fn read_run(row: &Row<'_>) -> Result<Run> {
    let count = |index: usize| row.get(index).map(unsigned);
    let options = rules::parse_run_options(row.get::<_, Option<String>>(17)?.as_deref())?;
    Ok(Run {
        id: RunId(row.get(0)?),
        table: TableId(row.get(1)?),
        column: ColumnId(row.get(2)?),
        scope: rules::parse_scope(row.get_ref(3)?.as_str().unwrap_or_default())?,
        status: rules::parse_status(row.get_ref(4)?.as_str().unwrap_or_default())?,
        reason: row.get(5)?,
        counts: Counts {
            total: rules::total_of(count(6)?, &options),
            completed: count(7)?,
            failed: count(8)?,
            skipped: count(9)?,
            unknown: count(10)?,
            calls: count(11)?,
            throttled: count(12)?,
            retries: count(13)?,
            cost_micros: count(16)?,
        },
        created_at: Timestamp::from_micros(row.get(14)?),
        updated_at: Timestamp::from_micros(row.get(15)?),
        options,
    })
}
