//! Tasks: claimed, renewed, about to be sent.
//!
//! A run does not write a task per row. It keeps a cursor: rows up to it have been claimed at least once, and only tasks
//! in somebody's hands, or given back, or waiting for a run before this one, have a record. So a claim costs the same at
//! the first row as at the millionth.

use paceline_model::{Claim, ColumnId, Lease, NewRun, RowId, RunId, SmartKind, TableId, Task};
use rusqlite::params;

use super::connection::Db;
use super::due::{Source, upstream};
use crate::codec::unsigned;
use crate::due::{Gate, Step, room, take};
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
) -> Result<Step> {
    let Some(target) = Target::of(db, run, inputs)? else {
        return Ok(Step { claim: Claim { tasks: Vec::new(), exhausted: true }, again: false });
    };
    let holder = Holder { token: lease.token, until: (db.now + lease.lease).as_micros() };
    let (mut tasks, ended_waiting) = target.unheld(db, holder, max)?;
    let (fresh, cursor) = target.fresh(db, holder, max - tasks.len())?;
    if !fresh.is_empty() {
        tasks.extend(fresh);
        tasks.sort_unstable_by_key(|task| task.row);
    }
    target.source.add_notes(db, &mut tasks)?;
    let exhausted = target.is_exhausted(db, cursor)?;
    let again = tasks.is_empty() && !exhausted && (ended_waiting || cursor > target.cursor);
    Ok(Step { claim: Claim { tasks, exhausted }, again })
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
         WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3 AND NOT EXISTS (SELECT 1 FROM _ht_cells \
         WHERE column_id = (SELECT column_id FROM _ht_runs WHERE id = ?1) AND row_id = ?2 AND locked = 1)",
    )?;
    let mut held = Vec::with_capacity(rows.len());
    for &row in rows {
        if statement.execute(params![run.0, row.0, token, db.now.as_micros()])? == 1 {
            held.push(row);
        }
    }
    Ok(held)
}

impl Target {
    /// `None` if the run is over.
    pub(super) fn of(db: &Db<'_>, run: RunId, inputs: &[ColumnId]) -> Result<Option<Self>> {
        let mut statement = db.conn.prepare_cached(
            "-- paceline: claim_tasks\nSELECT r.table_id, r.column_id, r.scope, r.status, r.options, \
             r.cursor_row, r.last_row, r.completed + r.failed + r.skipped + r.unknown, c.smart_kind \
             FROM _ht_runs AS r LEFT JOIN _ht_columns AS c ON c.id = r.column_id WHERE r.id = ?1",
        )?;
        let mut found = statement.query([run.0])?;
        let Some(row) = found.next()? else { return Err(rules::missing_run(run)) };
        let text = |index: usize| {
            Ok::<_, crate::error::Fault>(row.get_ref(index)?.as_str_or_null().ok().flatten())
        };
        if rules::parse_status(text(3)?.unwrap_or_default())?.is_final() {
            return Ok(None);
        }
        let new = NewRun {
            table: TableId(row.get(0)?),
            column: ColumnId(row.get(1)?),
            scope: rules::parse_scope(text(2)?.unwrap_or_default())?,
            options: rules::parse_run_options(text(4)?)?,
        };
        let noted = text(8)?.and_then(SmartKind::parse).is_some_and(SmartKind::has_notes);
        let upstream = upstream(db, &new.options)?;
        Ok(Some(Self {
            run,
            cursor: row.get(5)?,
            last: row.get(6)?,
            first: new.options.first,
            ended: unsigned(row.get(7)?),
            gate: Gate::new(&new.options, &upstream),
            source: Source::new(db, new, &upstream, inputs, noted)?,
        }))
    }

    /// Takes over tasks that were claimed before and that nobody holds, and those that waited and are ready. The search
    /// is over what is in flight, not over the table. True if some ended, because they were not due after all.
    fn unheld(&self, db: &Db<'_>, holder: Holder, max: usize) -> Result<(Vec<Task>, bool)> {
        let found = self.source.unheld(db, self.run, &self.gate, (holder.token, max))?;
        let mut tasks = Vec::with_capacity(found.len());
        let mut ended = false;
        let mut take_over = db.conn.prepare_cached(
            "-- paceline: claim_tasks\nUPDATE _ht_tasks SET owner = ?3, lease_until = ?4, waits = 0 \
             WHERE run_id = ?1 AND row_id = ?2",
        )?;
        for (task, due) in found {
            if due {
                take_over.execute(params![self.run.0, task.row.0, holder.token, holder.until])?;
                tasks.push(task);
            } else {
                self.end(db, task.row)?;
                ended = true;
            }
        }
        Ok((tasks, ended))
    }

    /// Ends a task that waited, and whose cell is not due.
    fn end(&self, db: &Db<'_>, row: RowId) -> Result<()> {
        let sql =
            "-- paceline: claim_tasks\nDELETE FROM _ht_tasks WHERE run_id = ?1 AND row_id = ?2";
        db.conn.prepare_cached(sql)?.execute(params![self.run.0, row.0])?;
        Ok(())
    }

    /// Claims due rows after the cursor, and lets wait those that a run before is at; with where the cursor stands then.
    fn fresh(&self, db: &Db<'_>, holder: Holder, max: usize) -> Result<(Vec<Task>, i64)> {
        let max = max.min(self.room(db)?);
        let bound = self.last.min(self.gate.bound);
        if max == 0 || self.cursor >= bound {
            return Ok((Vec::new(), self.cursor));
        }
        let end = self.source.end(self.cursor, bound);
        let busy = self.source.busy(db, &self.gate, (self.cursor, end))?;
        let due = self.source.due(db, (self.cursor, end), max)?;
        let taken = take(due, &busy, end, max);
        let mut insert = db.conn.prepare_cached(
            "-- paceline: claim_tasks\nINSERT INTO _ht_tasks (run_id, row_id, owner, lease_until, waits) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for task in &taken.tasks {
            insert.execute(params![self.run.0, task.row.0, holder.token, holder.until, false])?;
        }
        for row in &taken.waiting {
            insert.execute(params![self.run.0, row, None::<i64>, 0, true])?;
        }
        let sql = "-- paceline: claim_tasks\nUPDATE _ht_runs SET cursor_row = ?2 WHERE id = ?1";
        db.conn.prepare_cached(sql)?.execute(params![self.run.0, taken.cursor])?;
        Ok((taken.tasks, taken.cursor))
    }

    /// How many more cells may be claimed.
    fn room(&self, db: &Db<'_>) -> Result<usize> {
        if self.first.is_none() {
            return Ok(usize::MAX);
        }
        let sql = "-- paceline: claim_tasks\nSELECT count(*) FROM _ht_tasks WHERE run_id = ?1";
        let tasks = db.conn.prepare_cached(sql)?.query_row([self.run.0], |row| row.get(0))?;
        Ok(room(self.first, self.ended, unsigned(tasks)))
    }

    /// Whether nothing more will come of later claims but tasks given back.
    fn is_exhausted(&self, db: &Db<'_>, cursor: i64) -> Result<bool> {
        if self.first.is_some_and(|first| self.ended >= first) {
            return Ok(true);
        }
        if cursor < self.last || !self.gate.unfinished.is_empty() {
            return Ok(false);
        }
        if !self.gate.gated {
            return Ok(true);
        }
        let mut statement = db.conn.prepare_cached(&self.source.statements.waiting())?;
        let waiting: bool = statement.query_row([self.run.0], |row| row.get(0))?;
        Ok(!waiting)
    }
}

#[cfg(test)]
mod tests;
