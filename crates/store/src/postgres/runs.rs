//! Runs: made, moved from status to status, counted.

use paceline_model::{
    ChangeKind, ColumnId, Counts, Error, NewRun, Run, RunId, RunOptions, RunStatus, Scope, TableId,
    limits,
};

use super::db::Db;
use super::param::{Found, Param, params};
use super::{changes, columns, lock, rows, schema};
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::rules;

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
    // Nobody inserts from here on, so that what is counted is what there is up to the last row.
    let last_row = rows::last_row(db, new.table, &table).await?;
    let total = total(db, &new).await?;
    let made = db
        .one(
            "-- paceline: create_run\nINSERT INTO paceline._ht_runs \
             (table_id, column_id, scope, status, last_row, total, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING id",
            params![
                new.table.0,
                new.column.0,
                new.scope.as_str(),
                RunStatus::Queued.as_str(),
                last_row,
                signed(total),
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

pub(super) async fn set_run_status(
    db: &Db,
    id: RunId,
    status: RunStatus,
    reason: Option<&str>,
) -> Result<Run> {
    let before = held(db, id).await?;
    rules::check_not_final(&before)?;
    db.execute(
        "-- paceline: set_run_status\nUPDATE paceline._ht_runs \
         SET status = $2, reason = $3, updated_at = $4 WHERE id = $1",
        params![id.0, status.as_str(), reason, db.now],
    )
    .await?;
    if status.is_final() {
        // A report that comes after this finds no task and is known for late.
        let sql = "-- paceline: set_run_status\nDELETE FROM paceline._ht_tasks WHERE run_id = $1";
        db.execute(sql, params![id.0]).await?;
    }
    changes::write(db, before.table, &ChangeKind::Run { run: id }).await?;
    Ok(Run { status, reason: reason.map(str::to_owned), updated_at: db.now, ..before })
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

/// How many cells are due now.
async fn total(db: &Db, new: &NewRun) -> Result<u64> {
    let records = async |condition: &str| -> Result<u64> {
        let sql = format!(
            "-- paceline: create_run\n\
             SELECT count(*) FROM paceline._ht_cells WHERE column_id = $1{condition}"
        );
        Ok(unsigned(db.one(&sql, params![new.column.0]).await?.int(0)?))
    };
    match new.scope {
        Scope::All | Scope::Stale | Scope::Following => rows::count_rows(db, new.table, None).await,
        Scope::Empty => {
            Ok(rows::count_rows(db, new.table, None).await?.saturating_sub(records("").await?))
        }
        Scope::Failed => records(" AND state = 'failed'").await,
        Scope::Unknown => records(" AND state = 'unknown'").await,
    }
}

async fn select(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Run>> {
    let sql = format!(
        "-- paceline: runs\nSELECT id, table_id, column_id, scope, status, reason, total, \
         completed, failed, skipped, unknown, calls, throttled, retries, created_at, updated_at, cost_micros \
         FROM paceline._ht_runs {tail}"
    );
    db.query(&sql, parameters).await?.iter().map(read_run).collect()
}

fn read_run(row: &Found) -> Result<Run> {
    let count = |index: usize| row.int(index).map(unsigned);
    Ok(Run {
        id: RunId(row.int(0)?),
        table: TableId(row.int(1)?),
        column: ColumnId(row.int(2)?),
        scope: rules::parse_scope(&row.text(3)?)?,
        options: RunOptions::default(),
        status: rules::parse_status(&row.text(4)?)?,
        reason: row.opt_text(5)?,
        counts: Counts {
            total: count(6)?,
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
    })
}
