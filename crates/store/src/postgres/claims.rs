//! Tasks: claimed, renewed, about to be sent. How claims work is told in `sqlite/claims.rs`; here the row of the run is
//! held meanwhile, because two processes may claim from it side by side.

use paceline_model::{
    Claim, ColumnId, Error, Lease, RowId, RunId, Scope, SmartKind, TableId, Task,
};

use super::db::Db;
use super::param::{Found, params};
use super::schema::{Place, check_still, places, select_list, table_ref};
use super::{notes, rows};
use crate::codec::signed;
use crate::error::Result;
use crate::rules::{self, SCAN_ROWS_MAX};

/// What a claim needs to know of its run.
pub(super) struct Source {
    run: RunId,
    pub(super) table: TableId,
    column: ColumnId,
    scope: Scope,
    /// Rows up to here have been claimed at least once.
    pub(super) cursor: i64,
    /// The run ends here.
    pub(super) last: i64,
    pub(super) table_name: String,
    inputs: Vec<Place>,
    /// Whether its cells may have notes.
    noted: bool,
}

/// One step of a claim. It may bring nothing and not be exhausted: then the next step looks further on.
pub(super) async fn claim_tasks(
    db: &Db,
    run: RunId,
    inputs: &[ColumnId],
    lease: Lease,
    max: usize,
) -> Result<Claim> {
    let Some(source) = source(db, run, inputs).await? else {
        return Ok(Claim { tasks: Vec::new(), exhausted: true });
    };
    let until = (db.now + lease.lease).as_micros();
    let mut tasks = unheld(db, &source, lease.token, max).await?;
    take_over(db, &source, lease.token, until, &tasks).await?;
    let mut cursor = source.cursor;
    if tasks.len() < max && cursor < source.last {
        let wanted = max - tasks.len();
        let (fresh, next) = due(db, &source, wanted).await?;
        cursor = next;
        tokio::try_join!(
            biased;
            insert(db, &source, lease.token, until, &fresh),
            move_cursor(db, run, cursor),
            check_still(db, source.table, &source.table_name),
        )?;
        tasks.extend(fresh);
        tasks.sort_unstable_by_key(|task| task.row);
    } else {
        check_still(db, source.table, &source.table_name).await?;
    }
    if source.noted {
        notes::add_to(db, source.column, &mut tasks).await?;
    }
    Ok(Claim { tasks, exhausted: cursor >= source.last })
}

pub(super) async fn renew_leases(db: &Db, lease: Lease) -> Result<u64> {
    let until = (db.now + lease.lease).as_micros();
    // The runs first, in their order: whoever moves tasks holds their run.
    db.query(
        "-- paceline: renew_leases\nSELECT 1 FROM paceline._ht_runs WHERE id IN \
         (SELECT run_id FROM paceline._ht_tasks WHERE owner = $1) ORDER BY id FOR UPDATE",
        params![lease.token],
    )
    .await?;
    db.execute(
        "-- paceline: renew_leases\nUPDATE paceline._ht_tasks SET lease_until = $2 WHERE owner = $1",
        params![lease.token, until],
    )
    .await
}

pub(super) async fn record_intents(
    db: &Db,
    run: RunId,
    token: i64,
    rows: &[RowId],
) -> Result<Vec<RowId>> {
    hold(db, run).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let found = db
        .query(
            "-- paceline: record_intents\nUPDATE paceline._ht_tasks SET intent_at = $4 \
             WHERE run_id = $1 AND row_id = ANY ($2) AND owner = $3 RETURNING row_id",
            params![run.0, ids, token, db.now],
        )
        .await?;
    let held =
        found.iter().map(|row| row.int(0)).collect::<Result<std::collections::HashSet<_>>>()?;
    Ok(rows.iter().copied().filter(|row| held.contains(&row.0)).collect())
}

/// Holds the row of a run, if there is such a run: nobody else moves its tasks until the end of the transaction.
pub(super) async fn hold(db: &Db, run: RunId) -> Result<()> {
    let sql = "-- paceline: hold_run\nSELECT 1 FROM paceline._ht_runs WHERE id = $1 FOR UPDATE";
    db.query(sql, params![run.0]).await?;
    Ok(())
}

/// What the claim works on; `None` if the run is over.
pub(super) async fn source(db: &Db, run: RunId, inputs: &[ColumnId]) -> Result<Option<Source>> {
    let found = db
        .first(
            "-- paceline: claim_tasks\nSELECT r.table_id, r.column_id, r.scope, r.status, r.cursor_row, \
             r.last_row, c.smart_kind, t.name FROM paceline._ht_runs AS r \
             JOIN paceline._ht_columns AS c ON c.id = r.column_id \
             JOIN paceline._ht_tables AS t ON t.id = r.table_id WHERE r.id = $1 FOR UPDATE OF r",
            params![run.0],
        )
        .await?;
    let Some(found) = found else { return Err(rules::missing_run(run)) };
    if rules::parse_status(&found.text(3)?)?.is_final() {
        return Ok(None);
    }
    let table = TableId(found.int(0)?);
    Ok(Some(Source {
        run,
        table,
        column: ColumnId(found.int(1)?),
        scope: rules::parse_scope(&found.text(2)?)?,
        cursor: found.int(4)?,
        last: found.int(5)?,
        noted: found.opt_text(6)?.as_deref() == Some(SmartKind::Integration.as_str()),
        table_name: found.text(7)?,
        inputs: places(db, table, inputs).await?,
    }))
}

/// Tasks that were claimed before and that nobody holds. The search is over what is in flight, not over the table.
async fn unheld(db: &Db, source: &Source, token: i64, max: usize) -> Result<Vec<Task>> {
    let parameters = params![source.run.0, db.now, token, signed(max)];
    let found = db.query(&unheld_sql(source), parameters).await?;
    let read = |row: Found| {
        Ok(Task {
            row: RowId(row.int(0)?),
            errors: row.small(1)?,
            attempts: row.small(2)?,
            throttled_since: row.opt_time(3)?,
            not_before: row.opt_time(4)?,
            inputs: rows::values(&row, 5, &source.inputs)?,
            note: None,
            cell: None,
            states: Vec::new(),
        })
    };
    found.into_iter().map(read).collect()
}

fn ids(tasks: &[Task]) -> Vec<i64> {
    tasks.iter().map(|task| task.row.0).collect()
}

async fn take_over(db: &Db, source: &Source, token: i64, until: i64, tasks: &[Task]) -> Result<()> {
    if tasks.is_empty() {
        return Ok(());
    }
    db.execute(
        "-- paceline: claim_tasks\nUPDATE paceline._ht_tasks SET owner = $3, lease_until = $4 \
         WHERE run_id = $1 AND row_id = ANY ($2)",
        params![source.run.0, ids(tasks), token, until],
    )
    .await?;
    Ok(())
}

/// Due rows after the cursor, and where the cursor stands then.
pub(super) async fn due(db: &Db, source: &Source, max: usize) -> Result<(Vec<Task>, i64)> {
    // Failed and unknown ones come from an index that has nothing else in it, so they need no bound on what is looked at.
    let end = match source.scope {
        Scope::Failed | Scope::Unknown => source.last,
        Scope::All | Scope::Empty | Scope::Stale | Scope::Following => {
            source.last.min(source.cursor.saturating_add(SCAN_ROWS_MAX))
        }
    };
    let parameters = params![source.cursor, end, source.column.0, signed(max)];
    let found = db.query(&due_sql(source), parameters).await?;
    let read = |row: Found| {
        Ok(Task {
            row: RowId(row.int(0)?),
            inputs: rows::values(&row, 1, &source.inputs)?,
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: None,
            states: Vec::new(),
        })
    };
    let tasks = found.into_iter().map(read).collect::<Result<Vec<Task>>>()?;
    let cursor = match tasks.last() {
        Some(task) if tasks.len() == max => task.row.0,
        _ => end,
    };
    Ok((tasks, cursor))
}

async fn insert(db: &Db, source: &Source, token: i64, until: i64, tasks: &[Task]) -> Result<()> {
    if tasks.is_empty() {
        return Ok(());
    }
    let made = db
        .execute(
            "-- paceline: claim_tasks\nINSERT INTO paceline._ht_tasks (run_id, row_id, owner, lease_until) \
             SELECT $1, u.row_id, $3, $4 FROM unnest($2) AS u (row_id)",
            params![source.run.0, ids(tasks), token, until],
        )
        .await?;
    if made != tasks.len() as u64 {
        return Err(Error::Corrupt("fewer tasks were made than rows were claimed".into()).into());
    }
    Ok(())
}

async fn move_cursor(db: &Db, run: RunId, cursor: i64) -> Result<()> {
    let sql =
        "-- paceline: claim_tasks\nUPDATE paceline._ht_runs SET cursor_row = $2 WHERE id = $1";
    db.execute(sql, params![run.0, cursor]).await?;
    Ok(())
}

/// SKIP LOCKED: whatever somebody else does with a task, an SQL shell say, a claim does not wait for it.
fn unheld_sql(source: &Source) -> String {
    format!(
        "-- paceline: claim_tasks\n\
         SELECT k.row_id, k.errors, k.attempts, k.throttled_since, k.not_before{} \
         FROM paceline._ht_tasks AS k JOIN {} AS t ON t._ht_id = k.row_id \
         WHERE k.run_id = $1 AND (k.owner IS NULL \
         OR (k.lease_until <= $2 AND k.owner <> $3 AND k.intent_at IS NULL)) \
         ORDER BY k.row_id LIMIT $4 FOR UPDATE OF k SKIP LOCKED",
        select_list("t", &source.inputs),
        table_ref(&source.table_name)
    )
}

/// Parameters of every scope: the cursor, the end, the column (which `All` has no use for), how many.
fn due_sql(source: &Source) -> String {
    let inputs = select_list("t", &source.inputs);
    let table = table_ref(&source.table_name);
    match source.scope {
        Scope::All | Scope::Stale | Scope::Following => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} FROM {table} AS t \
             WHERE t._ht_id > $1 AND t._ht_id <= $2 AND $3 IS NOT NULL ORDER BY t._ht_id LIMIT $4"
        ),
        Scope::Empty => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} FROM {table} AS t \
             WHERE t._ht_id > $1 AND t._ht_id <= $2 AND NOT EXISTS \
             (SELECT 1 FROM paceline._ht_cells AS c WHERE c.column_id = $3 AND c.row_id = t._ht_id \
             AND c.row_id > $1 AND c.row_id <= $2) ORDER BY t._ht_id LIMIT $4"
        ),
        Scope::Failed | Scope::Unknown => format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id{inputs} \
             FROM paceline._ht_cells AS c JOIN {table} AS t ON t._ht_id = c.row_id \
             WHERE c.column_id = $3 AND c.state = '{state}' AND c.row_id > $1 AND c.row_id <= $2 \
             ORDER BY c.row_id LIMIT $4",
            state = source.scope.as_str()
        ),
    }
}
