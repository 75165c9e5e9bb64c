//! Runs: made, moved from status to status, counted.

use paceline_model::{
    ChangeKind, ColumnId, Counts, Error, NewRun, Run, RunId, RunStatus, Scope, TableId, limits,
};

use super::db::Db;
use super::due::Source;
use super::param::{Found, Param, params};
use super::{changes, columns, lock, rows, schema};
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::{due, rules};

/// Runs of a deleted table are there when it is restored, and nowhere before.
const LIVE: &str = "table_id IN (SELECT id FROM paceline._ht_tables WHERE deleted_at IS NULL)";

pub(super) async fn create_run(db: &Db, new: NewRun) -> Result<Run> {
    lock::of_column(db, new.column).await?;
    let table = schema::hold(db, new.table, "ACCESS SHARE").await?;
    let column = columns::column_by_id(db, new.column)
        .await?
        .filter(|column| column.table == new.table)
        .ok_or_else(|| Error::Missing(format!("table {table:?} has no column {}", new.column)))?;
    rules::check_runnable(&column, &new)?;
    check_none_active(db, new.column, &column.name).await?;
    let options = rules::run_options_text(&new.options)?;
    // Nobody inserts from here on, so that what is counted is what there is up to the last row.
    let last_row = rows::last_row(db, new.table, &table).await?;
    let total = total(db, &new, &table, last_row).await?;
    let made = db
        .one(
            "-- paceline: create_run\nINSERT INTO paceline._ht_runs \
             (table_id, column_id, scope, status, last_row, total, options, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING id",
            params![
                new.table.0,
                new.column.0,
                new.scope.as_str(),
                RunStatus::Queued.as_str(),
                last_row,
                signed(total),
                options.as_deref(),
                db.now,
            ],
        )
        .await?;
    let run = RunId(made.int(0)?);
    changes::write(db, new.table, &ChangeKind::Run { run }).await?;
    existing(db, run).await
}

pub(super) async fn run(db: &Db, run: RunId) -> Result<Option<Run>> {
    Ok(select(db, &format!("WHERE id = $1 AND {LIVE}"), params![run.0]).await?.pop())
}

/// The run of that id, of a deleted table too: late reports are answered.
///
/// Fails with `Missing` if there is none.
pub(super) async fn existing(db: &Db, id: RunId) -> Result<Run> {
    select(db, "WHERE id = $1", params![id.0]).await?.pop().ok_or_else(|| rules::missing_run(id))
}

/// The run of that id, held until the end of the transaction: nobody else moves it or its tasks.
///
/// Fails with `Missing` if there is none.
async fn held(db: &Db, id: RunId) -> Result<Run> {
    let found = select(db, "WHERE id = $1 FOR UPDATE", params![id.0]).await?.pop();
    found.ok_or_else(|| rules::missing_run(id))
}

pub(super) async fn runs(db: &Db, table: TableId, limit: usize) -> Result<Vec<Run>> {
    let limit = signed(limit.min(limits::PAGE_ROWS_MAX));
    let newest = format!("WHERE table_id = $1 AND {LIVE} ORDER BY id DESC LIMIT $2");
    select(db, &newest, params![table.0, limit]).await
}

pub(super) async fn unfinished_runs(db: &Db, table: Option<TableId>) -> Result<Vec<Run>> {
    let unfinished = format!(
        "WHERE status IN ('queued', 'running', 'paused') \
         AND ($1::bigint IS NULL OR table_id = $1) AND {LIVE} ORDER BY id"
    );
    select(db, &unfinished, params![table.map(|table| table.0)]).await
}

pub(super) async fn newest_run(db: &Db, column: ColumnId) -> Result<Option<Run>> {
    let newest = format!("WHERE column_id = $1 AND {LIVE} ORDER BY id DESC LIMIT 1");
    Ok(select(db, &newest, params![column.0]).await?.pop())
}

pub(super) async fn set_run_status(
    db: &Db,
    id: RunId,
    status: RunStatus,
    reason: Option<&str>,
) -> Result<Run> {
    let before = held(db, id).await?;
    rules::check_not_final(&before)?;
    let mut counts = before.counts;
    let total = rules::settled_total(&before, status);
    counts.total = total.unwrap_or(counts.total);
    db.execute(
        "-- paceline: set_run_status\nUPDATE paceline._ht_runs SET status = $2, reason = $3, \
         updated_at = $4, total = coalesce($5, total) WHERE id = $1",
        params![id.0, status.as_str(), reason, db.now, total.map(signed)],
    )
    .await?;
    if status.is_final() {
        // A report that comes after this finds no task and is known for late.
        let sql = "-- paceline: set_run_status\nDELETE FROM paceline._ht_tasks WHERE run_id = $1";
        db.execute(sql, params![id.0]).await?;
    }
    changes::write(db, before.table, &ChangeKind::Run { run: id }).await?;
    let reason = reason.map(str::to_owned);
    Ok(Run { status, reason, counts, updated_at: db.now, ..before })
}

/// Adds to the counts of a run; `total` stays.
pub(super) async fn add_counts(db: &Db, run: RunId, more: &Counts) -> Result<()> {
    db.execute(
        "-- paceline: add_counts\nUPDATE paceline._ht_runs SET completed = completed + $2, \
         failed = failed + $3, skipped = skipped + $4, unknown = unknown + $5, \
         calls = calls + $6, throttled = throttled + $7, retries = retries + $8, \
         cost_micros = cost_micros + $9 WHERE id = $1",
        params![
            run.0,
            signed(more.completed),
            signed(more.failed),
            signed(more.skipped),
            signed(more.unknown),
            signed(more.calls),
            signed(more.throttled),
            signed(more.retries),
            signed(more.cost_micros),
        ],
    )
    .await?;
    Ok(())
}

/// Refuses while a run of a column is not final.
pub(super) async fn check_none_active(db: &Db, column: ColumnId, name: &str) -> Result<()> {
    let active = db
        .first(
            "-- paceline: create_run\nSELECT id, status FROM paceline._ht_runs \
             WHERE column_id = $1 AND status IN ('queued', 'running', 'paused')",
            params![column.0],
        )
        .await?;
    match active {
        Some(run) => Err(rules::still_active(RunId(run.int(0)?), name, &run.text(1)?)),
        None => Ok(()),
    }
}

/// Refuses while a run of any column of a table is not final.
pub(super) async fn check_none_active_in(db: &Db, table: TableId) -> Result<()> {
    let active = db
        .first(
            "-- paceline: delete_table\nSELECT r.id, c.name, r.status FROM paceline._ht_runs AS r \
             JOIN paceline._ht_columns AS c ON c.id = r.column_id WHERE r.table_id = $1 \
             AND r.status IN ('queued', 'running', 'paused') ORDER BY r.id LIMIT 1",
            params![table.0],
        )
        .await?;
    match active {
        Some(run) => Err(rules::still_active(RunId(run.int(0)?), &run.text(1)?, &run.text(2)?)),
        None => Ok(()),
    }
}

/// Holds all runs of these columns: nobody else moves them or their tasks, or reports for them.
pub(super) async fn hold_all(db: &Db, columns: &[ColumnId]) -> Result<()> {
    let ids: Vec<i64> = columns.iter().map(|column| column.0).collect();
    let sql = "-- paceline: hold_runs\n\
               SELECT 1 FROM paceline._ht_runs WHERE column_id = ANY ($1) ORDER BY id FOR UPDATE";
    db.query(sql, params![ids]).await?;
    Ok(())
}

/// How many cells are due now, however few of them the run may take; of scope `following`, how many may become due.
async fn total(db: &Db, new: &NewRun, table: &str, last: i64) -> Result<u64> {
    let before = before(db, new, table).await?;
    let filter = new.options.filter.as_ref();
    if new.scope == Scope::Following {
        let rows = rows::count_rows(db, new.table, filter).await?;
        return Ok(due::following_max(rows, before.iter().map(|run| run.counts.total)));
    }
    if filter.is_some() {
        let source = Source::new(db, new.clone(), table.to_owned(), &[], &[], false).await?;
        return source.count(db, last).await;
    }
    let records = async |condition: &str| -> Result<u64> {
        let sql = format!(
            "-- paceline: create_run\n\
             SELECT count(*) FROM paceline._ht_cells WHERE column_id = $1{condition}"
        );
        Ok(unsigned(db.one(&sql, params![new.column.0]).await?.int(0)?))
    };
    let rows = async || rows::count_rows(db, new.table, None).await;
    match new.scope {
        Scope::All | Scope::Following => {
            Ok(rows().await?.saturating_sub(records(" AND locked").await?))
        }
        Scope::Empty => Ok(rows().await?.saturating_sub(records("").await?)),
        Scope::Failed => records(" AND state = 'failed' AND NOT locked").await,
        Scope::Unknown => records(" AND state = 'unknown' AND NOT locked").await,
        Scope::Stale => {
            records(" AND state IN ('completed', 'skipped', 'failed') AND NOT locked").await
        }
    }
}

/// The runs that a new one is to come after.
async fn before(db: &Db, new: &NewRun, table: &str) -> Result<Vec<Run>> {
    let mut before = Vec::with_capacity(new.options.after.len());
    for run in &new.options.after {
        let of_table = "WHERE id = $1 AND table_id = $2";
        let found = select(db, of_table, params![run.0, new.table.0]).await?.pop();
        before.push(found.ok_or_else(|| rules::missing_upstream(table, *run))?);
    }
    Ok(before)
}

/// Refuses to take a column away while a run goes by it.
pub(super) async fn check_none_looks_at(
    db: &Db,
    table: TableId,
    column: ColumnId,
    name: &str,
) -> Result<()> {
    let active = "WHERE table_id = $1 AND options IS NOT NULL \
                  AND status IN ('queued', 'running', 'paused')";
    for run in select(db, active, params![table.0]).await? {
        rules::check_not_looked_at(run.id, &run.options, column, name)?;
    }
    Ok(())
}

/// So many cells of a run were not due after all.
pub(super) async fn lower_total(db: &Db, run: RunId, left: u64) -> Result<()> {
    let sql = "-- paceline: lower_total\n\
               UPDATE paceline._ht_runs SET total = greatest(total - $2, 0) WHERE id = $1";
    db.execute(sql, params![run.0, signed(left)]).await?;
    Ok(())
}

async fn select(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Run>> {
    let sql = format!(
        "-- paceline: runs\nSELECT id, table_id, column_id, scope, status, reason, total, \
         completed, failed, skipped, unknown, calls, throttled, retries, created_at, updated_at, cost_micros, \
         options FROM paceline._ht_runs {tail}"
    );
    db.query(&sql, parameters).await?.iter().map(read_run).collect()
}

fn read_run(row: &Found) -> Result<Run> {
    let count = |index: usize| row.int(index).map(unsigned);
    let options = rules::parse_run_options(row.opt_text(17)?.as_deref())?;
    Ok(Run {
        id: RunId(row.int(0)?),
        table: TableId(row.int(1)?),
        column: ColumnId(row.int(2)?),
        scope: rules::parse_scope(&row.text(3)?)?,
        status: rules::parse_status(&row.text(4)?)?,
        reason: row.opt_text(5)?,
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
        created_at: row.time(14)?,
        updated_at: row.time(15)?,
        options,
    })
}
