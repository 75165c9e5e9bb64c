//! Tasks: claimed, renewed, about to be sent. How claims work is told in `sqlite/claims.rs`; here the row of the run is
//! held meanwhile, because two processes may claim from it side by side. Runs that it comes after are not held.

use paceline_model::{
    Claim, ColumnId, Error, Lease, NewRun, RowId, RunId, SmartKind, TableId, Task,
};

use super::db::Db;
use super::due::{Source, upstream};
use super::param::params;
use super::schema::check_still;
use crate::codec::unsigned;
use crate::due::{Gate, Step, Taken, room, take};
use crate::error::Result;
use crate::rules;

/// What a claim needs to know of its run.
pub(super) struct Target {
    run: RunId,
    /// Rows up to here have been claimed at least once.
    pub(super) cursor: i64,
    /// The run ends here.
    pub(super) last: i64,
    /// At most so many cells are claimed in all.
    pub(super) first: Option<u64>,
    /// Cells that came to an end.
    pub(super) ended: u64,
    gate: Gate,
    pub(super) source: Source,
}

/// Who claims.
#[derive(Clone, Copy)]
struct Holder {
    token: i64,
    until: i64,
}

/// One step of a claim.
pub(super) async fn claim_tasks(
    db: &Db,
    run: RunId,
    inputs: &[ColumnId],
    lease: Lease,
    max: usize,
) -> Result<Step> {
    let Some(target) = Target::of(db, run, inputs).await? else {
        return Ok(Step { claim: Claim { tasks: Vec::new(), exhausted: true }, again: false });
    };
    let holder = Holder { token: lease.token, until: (db.now + lease.lease).as_micros() };
    let (mut tasks, ended_waiting) = target.unheld(db, holder, max).await?;
    let (fresh, cursor) = target.fresh(db, holder, max - tasks.len()).await?;
    check_still(db, target.source.table, &target.source.table_name).await?;
    if !fresh.is_empty() {
        tasks.extend(fresh);
        tasks.sort_unstable_by_key(|task| task.row);
    }
    target.source.add_notes(db, &mut tasks).await?;
    let exhausted = target.is_exhausted(db, cursor).await?;
    let again = tasks.is_empty() && !exhausted && (ended_waiting || cursor > target.cursor);
    Ok(Step { claim: Claim { tasks, exhausted }, again })
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
            "-- paceline: record_intents\nUPDATE paceline._ht_tasks AS k SET intent_at = $4 \
             WHERE k.run_id = $1 AND k.row_id = ANY ($2) AND k.owner = $3 AND NOT EXISTS \
             (SELECT 1 FROM paceline._ht_cells AS c JOIN paceline._ht_runs AS r ON r.column_id = c.column_id \
             WHERE r.id = $1 AND c.row_id = k.row_id AND c.locked) RETURNING k.row_id",
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

impl Target {
    /// `None` if the run is over.
    pub(super) async fn of(db: &Db, run: RunId, inputs: &[ColumnId]) -> Result<Option<Self>> {
        let found = db
            .first(
                "-- paceline: claim_tasks\nSELECT r.table_id, r.column_id, r.scope, r.status, r.options, \
                 r.cursor_row, r.last_row, r.completed + r.failed + r.skipped + r.unknown, \
                 c.smart_kind, t.name FROM paceline._ht_runs AS r \
                 JOIN paceline._ht_columns AS c ON c.id = r.column_id \
                 JOIN paceline._ht_tables AS t ON t.id = r.table_id WHERE r.id = $1 FOR UPDATE OF r",
                params![run.0],
            )
            .await?;
        let Some(row) = found else { return Err(rules::missing_run(run)) };
        if rules::parse_status(&row.text(3)?)?.is_final() {
            return Ok(None);
        }
        let new = NewRun {
            table: TableId(row.int(0)?),
            column: ColumnId(row.int(1)?),
            scope: rules::parse_scope(&row.text(2)?)?,
            options: rules::parse_run_options(row.opt_text(4)?.as_deref())?,
        };
        let kind = row.opt_text(8)?;
        let noted = kind.as_deref().and_then(SmartKind::parse).is_some_and(SmartKind::has_notes);
        let upstream = upstream(db, &new.options).await?;
        Ok(Some(Self {
            run,
            cursor: row.int(5)?,
            last: row.int(6)?,
            first: new.options.first,
            ended: unsigned(row.int(7)?),
            gate: Gate::new(&new.options, &upstream),
            source: Source::new(db, new, row.text(9)?, &upstream, inputs, noted).await?,
        }))
    }

    /// Takes over tasks that were claimed before and that nobody holds, and those that waited and are ready. The search
    /// is over what is in flight, not over the table. True if some ended, because they were not due after all.
    async fn unheld(&self, db: &Db, holder: Holder, max: usize) -> Result<(Vec<Task>, bool)> {
        let found = self.source.unheld(db, self.run, &self.gate, (holder.token, max)).await?;
        let (due, over): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, due)| *due);
        let tasks: Vec<Task> = due.into_iter().map(|(task, _)| task).collect();
        if !tasks.is_empty() {
            db.execute(
                "-- paceline: claim_tasks\nUPDATE paceline._ht_tasks \
                 SET owner = $3, lease_until = $4, waits = false WHERE run_id = $1 AND row_id = ANY ($2)",
                params![self.run.0, ids(&tasks), holder.token, holder.until],
            )
            .await?;
        }
        if !over.is_empty() {
            let over: Vec<i64> = over.iter().map(|(task, _)| task.row.0).collect();
            db.execute(
                "-- paceline: claim_tasks\n\
                 DELETE FROM paceline._ht_tasks WHERE run_id = $1 AND row_id = ANY ($2)",
                params![self.run.0, over.clone()],
            )
            .await?;
            return Ok((tasks, true));
        }
        Ok((tasks, false))
    }

    /// Claims due rows after the cursor, and lets wait those that a run before is at; with where the cursor stands then.
    async fn fresh(&self, db: &Db, holder: Holder, max: usize) -> Result<(Vec<Task>, i64)> {
        let max = max.min(self.room(db).await?);
        let bound = self.last.min(self.gate.bound);
        if max == 0 || self.cursor >= bound {
            return Ok((Vec::new(), self.cursor));
        }
        let end = self.source.end(self.cursor, bound);
        // In this order: what a run before is not at any more by now is found with what it wrote.
        let busy = self.source.busy(db, &self.gate, (self.cursor, end)).await?;
        let due = self.source.due(db, (self.cursor, end), max).await?;
        let taken = take(due, &busy, end, max);
        tokio::try_join!(
            biased;
            self.insert(db, holder, &taken),
            self.insert_waiting(db, &taken),
            self.move_cursor(db, taken.cursor),
        )?;
        Ok((taken.tasks, taken.cursor))
    }

    async fn insert(&self, db: &Db, holder: Holder, taken: &Taken) -> Result<()> {
        if taken.tasks.is_empty() {
            return Ok(());
        }
        let made = db
            .execute(
                "-- paceline: claim_tasks\nINSERT INTO paceline._ht_tasks (run_id, row_id, owner, lease_until) \
                 SELECT $1, u.row_id, $3, $4 FROM unnest($2) AS u (row_id)",
                params![self.run.0, ids(&taken.tasks), holder.token, holder.until],
            )
            .await?;
        if made != taken.tasks.len() as u64 {
            return Err(
                Error::Corrupt("fewer tasks were made than rows were claimed".into()).into()
            );
        }
        Ok(())
    }

    async fn insert_waiting(&self, db: &Db, taken: &Taken) -> Result<()> {
        if taken.waiting.is_empty() {
            return Ok(());
        }
        db.execute(
            "-- paceline: claim_tasks\nINSERT INTO paceline._ht_tasks (run_id, row_id, lease_until, waits) \
             SELECT $1, u.row_id, 0, true FROM unnest($2) AS u (row_id)",
            params![self.run.0, taken.waiting.clone()],
        )
        .await?;
        Ok(())
    }

    async fn move_cursor(&self, db: &Db, cursor: i64) -> Result<()> {
        let sql =
            "-- paceline: claim_tasks\nUPDATE paceline._ht_runs SET cursor_row = $2 WHERE id = $1";
        db.execute(sql, params![self.run.0, cursor]).await?;
        Ok(())
    }

    /// How many more cells may be claimed.
    async fn room(&self, db: &Db) -> Result<usize> {
        if self.first.is_none() {
            return Ok(usize::MAX);
        }
        let sql =
            "-- paceline: claim_tasks\nSELECT count(*) FROM paceline._ht_tasks WHERE run_id = $1";
        let tasks = db.one(sql, params![self.run.0]).await?.int(0)?;
        Ok(room(self.first, self.ended, unsigned(tasks)))
    }

    /// Whether nothing more will come of later claims but tasks given back.
    async fn is_exhausted(&self, db: &Db, cursor: i64) -> Result<bool> {
        if self.first.is_some_and(|first| self.ended >= first) {
            return Ok(true);
        }
        if cursor < self.last || !self.gate.unfinished.is_empty() {
            return Ok(false);
        }
        if !self.gate.gated {
            return Ok(true);
        }
        Ok(!db.one(&self.source.statements.waiting(), params![self.run.0]).await?.bool(0)?)
    }
}

fn ids(tasks: &[Task]) -> Vec<i64> {
    tasks.iter().map(|task| task.row.0).collect()
}
