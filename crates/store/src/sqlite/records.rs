//! What became of tasks: the hot path. A batch is sorted by row before anything is written, because the order of the
//! updates decides their cost far more than their number (in key order ten times as many fit in a second).

use paceline_clock::Timestamp;
use paceline_model::{
    CellState, ColumnId, NoteStep, Run, RunId, SmartKind, TableId, TaskReport, TaskStep,
};
use rusqlite::{CachedStatement, OptionalExtension, params};

use super::attempts::Keeper;
use super::cell_writer::CellWriter;
use super::connection::Db;
use super::schema::{Place, places};
use super::{notes, runs};
use crate::end::End;
use crate::error::Result;
use crate::rules;

pub(super) fn record(
    db: &Db<'_>,
    run: RunId,
    token: i64,
    mut reports: Vec<TaskReport>,
) -> Result<Run> {
    // Stable: two reports of one row keep their order.
    reports.sort_by_key(|report| report.row);
    let target = Target::of(db, run)?;
    let mut batch = Batch::begin(db, &target, token)?;
    for report in &reports {
        batch.take(report)?;
    }
    batch.finish()?;
    runs::existing(db, run)
}

/// What a run writes to.
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
}

impl Target {
    /// Of a deleted table too: what is reported late is kept.
    ///
    /// Fails with `Missing` if there is no such run.
    pub(super) fn of(db: &Db<'_>, run: RunId) -> Result<Self> {
        let found = db
            .conn
            .prepare_cached(
                "-- paceline: record\n\
                 SELECT r.table_id, r.column_id, coalesce(c.version, 1), c.smart_kind, t.name \
                 FROM _ht_runs AS r JOIN _ht_columns AS c ON c.id = r.column_id \
                 JOIN _ht_tables AS t ON t.id = r.table_id WHERE r.id = ?1",
            )?
            .query_row([run.0], |row| {
                Ok((
                    TableId(row.get(0)?),
                    ColumnId(row.get(1)?),
                    row.get(2)?,
                    row.get::<_, Option<String>>(3)?,
                    row.get(4)?,
                ))
            })
            .optional()?;
        let (table, column, version, kind, table_name) =
            found.ok_or_else(|| rules::missing_run(run))?;
        let noted = kind.as_deref().and_then(SmartKind::parse).is_some_and(SmartKind::has_notes);
        let place = places(db, table, &[column])?.pop().ok_or_else(|| rules::missing_run(run))?;
        Ok(Self { run, table, column, place, table_name, version, noted })
    }
}

/// One batch of reports, and the statements that each of them runs through.
struct Batch<'c, 't> {
    db: &'t Db<'c>,
    target: &'t Target,
    token: i64,
    cells: CellWriter<'c>,
    attempts: Keeper<'c>,
    end: CachedStatement<'c>,
    retry: CachedStatement<'c>,
    give_back: CachedStatement<'c>,
    /// How many cells were not due after all.
    left: u64,
}

impl<'c, 't> Batch<'c, 't> {
    fn begin(db: &'t Db<'c>, target: &'t Target, token: i64) -> Result<Self> {
        Ok(Self {
            db,
            target,
            token,
            cells: CellWriter::begin(db, target)?,
            attempts: Keeper::begin(db, target.column, target.run)?,
            end: db.conn.prepare_cached(
                "-- paceline: record\nDELETE FROM _ht_tasks WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3",
            )?,
            retry: db.conn.prepare_cached(
                "-- paceline: record\nUPDATE _ht_tasks SET attempts = max(attempts, ?4), errors = ?5, \
                 not_before = ?6, throttled_since = ?7, intent_at = NULL \
                 WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3",
            )?,
            give_back: db.conn.prepare_cached(
                "-- paceline: record\nUPDATE _ht_tasks SET attempts = max(attempts, ?4), owner = NULL, \
                 intent_at = NULL WHERE run_id = ?1 AND row_id = ?2 AND owner = ?3",
            )?,
            left: 0,
        })
    }

    fn take(&mut self, report: &TaskReport) -> Result<()> {
        let held = self.move_task(report)?;
        if let Some(attempt) = &report.attempt {
            self.attempts.keep(self.db, report.row, attempt)?;
        }
        if !held {
            return Ok(());
        }
        self.left += u64::from(report.step == TaskStep::Leave);
        if let Some(attempt) = &report.attempt {
            rules::count_attempt(&mut self.cells.counts, attempt);
        }
        if let Some(end) = End::of(report) {
            self.cells.finish_cell(self.db, self.target, &end)?;
        }
        if self.target.noted {
            self.note(report)?;
        }
        Ok(())
    }

    fn note(&self, report: &TaskReport) -> Result<()> {
        let certain = matches!(
            report.step,
            TaskStep::Finish { state, .. } if state != CellState::Unknown
        );
        match &report.note {
            NoteStep::Keep if !certain => Ok(()),
            NoteStep::Put(note) if !certain => {
                notes::write(self.db, self.target.column, report.row, note)
            }
            _ => notes::remove(self.db, self.target.column, report.row),
        }
    }

    /// Ends the task or moves it on; false if the token does not hold it.
    fn move_task(&mut self, report: &TaskReport) -> Result<bool> {
        let (run, row) = (self.target.run.0, report.row.0);
        let attempts = report.attempt.as_ref().map_or(0, |attempt| attempt.number);
        let moved = match &report.step {
            TaskStep::Finish { .. } | TaskStep::Leave => {
                self.end.execute(params![run, row, self.token])?
            }
            TaskStep::Retry { errors, not_before, throttled_since } => {
                self.retry.execute(params![
                    run,
                    row,
                    self.token,
                    attempts,
                    errors,
                    not_before.as_micros(),
                    throttled_since.map(Timestamp::as_micros),
                ])?
            }
            TaskStep::GiveBack => {
                self.give_back.execute(params![run, row, self.token, attempts])?
            }
        };
        Ok(moved == 1)
    }

    fn finish(self) -> Result<()> {
        self.attempts.finish(self.db)?;
        if self.left > 0 {
            runs::lower_total(self.db, self.target.run, self.left)?;
        }
        self.cells.finish(self.db, self.target)
    }
}
