//! What became of tasks: the hot path. With the row of the run held nobody else moves its tasks, so a batch is decided
//! here and written in a handful of statements, each for all its rows in their order.

use std::collections::BTreeMap;

use paceline_clock::Timestamp;
use paceline_model::{
    CellState, ColumnId, NoteStep, RowId, Run, RunId, SmartKind, TableId, TaskReport, TaskStep,
};

use super::cells::Ended;
use super::db::Db;
use super::param::params;
use super::schema::Place;
use super::{attempts, notes, runs};
use crate::end::End;
use crate::error::Result;
use crate::rules;

pub(super) async fn record(
    db: &Db,
    run: RunId,
    token: i64,
    mut reports: Vec<TaskReport>,
) -> Result<Run> {
    // Stable: two reports of one row keep their order.
    reports.sort_by_key(|report| report.row);
    let target = Target::of(db, run).await?;
    let mut batch = Batch::begin(db, &target, token, &reports).await?;
    for report in &reports {
        batch.take(report);
    }
    batch.finish(db, &target).await
}

/// What a run writes to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) run: RunId,
    pub(super) table: TableId,
    pub(super) column: ColumnId,
    pub(super) place: Place,
    pub(super) table_name: String,
    /// Of the column's config, now.
    pub(super) version: i64,
    /// Whether its cells may have notes.
    pub(super) noted: bool,
    /// Whether cells may have attempts of an earlier run, which count towards those that are kept.
    pub(super) seen_before: bool,
}

impl Target {
    /// Holds the row of the run until the end of the transaction.
    ///
    /// Fails with `Missing` if there is no such run.
    pub(super) async fn of(db: &Db, run: RunId) -> Result<Self> {
        let found = db
            .first(
                "-- paceline: record\nSELECT r.table_id, r.column_id, coalesce(c.version, 1), \
                 c.smart_kind, c.name, c.kind, t.name, EXISTS (SELECT 1 FROM paceline._ht_runs AS e \
                 WHERE e.column_id = r.column_id AND e.id < r.id) FROM paceline._ht_runs AS r \
                 JOIN paceline._ht_columns AS c ON c.id = r.column_id \
                 JOIN paceline._ht_tables AS t ON t.id = r.table_id WHERE r.id = $1 FOR UPDATE OF r",
                params![run.0],
            )
            .await?;
        let Some(found) = found else { return Err(rules::missing_run(run)) };
        let column = ColumnId(found.int(1)?);
        let kind = rules::parse_column_type(&found.text(5)?)?;
        let smart = found.opt_text(3)?.as_deref().map(rules::parse_smart_kind).transpose()?;
        Ok(Self {
            run,
            table: TableId(found.int(0)?),
            column,
            version: found.int(2)?,
            noted: smart.is_some_and(SmartKind::has_notes),
            place: Place { id: column, name: found.text(4)?, kind, smart },
            table_name: found.text(6)?,
            seen_before: found.bool(7)?,
        })
    }
}

/// A task that the reporter holds, as its reports leave it.
#[derive(Debug, Default)]
struct Held {
    attempts: i64,
    errors: i64,
    not_before: Option<i64>,
    throttled_since: Option<i64>,
    fate: Fate,
}

/// Where a task goes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Fate {
    /// Nothing was reported of it yet.
    #[default]
    Untouched,
    /// Stays with its holder; its intent is settled.
    Kept,
    GivenBack,
    Ended,
    /// Ended without a word on the cell, which was not due after all.
    Left,
}

/// One batch of reports.
#[derive(Debug)]
struct Batch<'r> {
    token: i64,
    held: BTreeMap<RowId, Held>,
    ended: Ended<'r>,
    attempts: Vec<(RowId, &'r paceline_model::Attempt)>,
    /// Whether the cells may have notes.
    noted: bool,
    /// The note that each cell ends with; `None` for none.
    notes: BTreeMap<RowId, Option<&'r str>>,
}

impl<'r> Batch<'r> {
    /// Reads which of the tasks the token holds.
    async fn begin(db: &Db, target: &Target, token: i64, reports: &[TaskReport]) -> Result<Self> {
        let rows: Vec<i64> = reports.iter().map(|report| report.row.0).collect();
        let held = params![target.run.0, token, rows.clone()];
        let (found, ended) = tokio::try_join!(
            biased;
            db.query(
                "-- paceline: record\nSELECT row_id, attempts, errors, not_before, throttled_since \
                 FROM paceline._ht_tasks WHERE run_id = $1 AND owner = $2 AND row_id = ANY ($3)",
                held,
            ),
            Ended::begin(db, target.column, rows),
        )?;
        let mut held = BTreeMap::new();
        for row in found {
            let task = Held {
                attempts: row.int(1)?,
                errors: row.int(2)?,
                not_before: row.opt_int(3)?,
                throttled_since: row.opt_int(4)?,
                fate: Fate::Untouched,
            };
            held.insert(RowId(row.int(0)?), task);
        }
        Ok(Self {
            token,
            held,
            ended,
            attempts: Vec::new(),
            noted: target.noted,
            notes: BTreeMap::new(),
        })
    }

    fn take(&mut self, report: &'r TaskReport) {
        if let Some(attempt) = &report.attempt {
            self.attempts.push((report.row, attempt));
        }
        // Who gave a task back, or ended it, does not hold it any more.
        let holds = |task: &&mut Held| matches!(task.fate, Fate::Untouched | Fate::Kept);
        let Some(task) = self.held.get_mut(&report.row).filter(holds) else { return };
        if let Some(attempt) = &report.attempt {
            task.attempts = task.attempts.max(i64::from(attempt.number));
            rules::count_attempt(&mut self.ended.counts, attempt);
        }
        if let Some(end) = End::of(report) {
            self.ended.add(&end);
        }
        match &report.step {
            TaskStep::Finish { .. } => task.fate = Fate::Ended,
            TaskStep::Retry { errors, not_before, throttled_since } => {
                task.fate = Fate::Kept;
                task.errors = i64::from(*errors);
                task.not_before = Some(not_before.as_micros());
                task.throttled_since = throttled_since.map(Timestamp::as_micros);
            }
            TaskStep::Leave => task.fate = Fate::Left,
            TaskStep::GiveBack => task.fate = Fate::GivenBack,
        }
        if self.noted {
            self.note(report);
        }
    }

    fn note(&mut self, report: &'r TaskReport) {
        let certain = matches!(
            report.step,
            TaskStep::Finish { state, .. } if state != CellState::Unknown
        );
        match &report.note {
            NoteStep::Keep if !certain => {}
            NoteStep::Put(note) if !certain => {
                self.notes.insert(report.row, Some(note));
            }
            _ => {
                self.notes.insert(report.row, None);
            }
        }
    }

    /// Statements that do not need each other's answers are sent one after the other without waiting for any: the server
    /// runs them in that order, and a batch costs a few round trips, however much is in it.
    async fn finish(self, db: &Db, target: &Target) -> Result<Run> {
        tokio::try_join!(
            biased;
            self.move_tasks(db, target.run),
            attempts::keep(db, target, &self.attempts),
            self.ended.write(db, target),
            notes::write_all(db, target.column, &self.notes),
        )?;
        self.ended.finish(db, target).await
    }

    async fn move_tasks(&self, db: &Db, run: RunId) -> Result<()> {
        tokio::try_join!(biased; self.end_tasks(db, run), self.keep_tasks(db, run))?;
        Ok(())
    }

    async fn end_tasks(&self, db: &Db, run: RunId) -> Result<()> {
        let ended = |task: &Held| matches!(task.fate, Fate::Ended | Fate::Left);
        let ended = self.held.iter().filter(|(_, task)| ended(task));
        let ended: Vec<i64> = ended.map(|(row, _)| row.0).collect();
        if !ended.is_empty() {
            db.execute(
                "-- paceline: record\n\
                 DELETE FROM paceline._ht_tasks WHERE run_id = $1 AND row_id = ANY ($2)",
                params![run.0, ended],
            )
            .await?;
        }
        let left = self.held.values().filter(|task| task.fate == Fate::Left).count();
        if left > 0 {
            runs::lower_total(db, run, left as u64).await?;
        }
        Ok(())
    }

    /// Those that go on, with their holder or without one.
    async fn keep_tasks(&self, db: &Db, run: RunId) -> Result<()> {
        let moved = |task: &Held| matches!(task.fate, Fate::Kept | Fate::GivenBack);
        let moved: Vec<_> = self.held.iter().filter(|(_, task)| moved(task)).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let owner = |task: &Held| (task.fate == Fate::Kept).then_some(self.token);
        db.execute(
            "-- paceline: record\nUPDATE paceline._ht_tasks AS k SET owner = u.owner, intent_at = NULL, \
             attempts = u.attempts, errors = u.errors, not_before = u.not_before, \
             throttled_since = u.throttled_since FROM unnest($2, $3, $4, $5, $6, $7) \
             AS u (row_id, owner, attempts, errors, not_before, throttled_since) \
             WHERE k.run_id = $1 AND k.row_id = u.row_id",
            params![
                run.0,
                moved.iter().map(|(row, _)| row.0).collect::<Vec<_>>(),
                moved.iter().map(|(_, task)| owner(task)).collect::<Vec<_>>(),
                moved.iter().map(|(_, task)| task.attempts).collect::<Vec<_>>(),
                moved.iter().map(|(_, task)| task.errors).collect::<Vec<_>>(),
                moved.iter().map(|(_, task)| task.not_before).collect::<Vec<_>>(),
                moved.iter().map(|(_, task)| task.throttled_since).collect::<Vec<_>>(),
            ],
        )
        .await?;
        Ok(())
    }
}
