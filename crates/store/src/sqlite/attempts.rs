//! Every outbound call: kept by cell for people, and by time for limits that remember.

use paceline_clock::Timestamp;
use paceline_model::{Attempt, ColumnId, RowId, RunId, SentRecord};
use rusqlite::{CachedStatement, ErrorCode, params};

use super::connection::Db;
use super::spent;
use crate::calls::{CALLS_KEPT, NewestCalls};
use crate::codec::{decode_error, encode_error, signed, unsigned};
use crate::error::Result;
use crate::packed::{pack_calls, unpack_calls};
use crate::rules;
use crate::spent::SpentByDay;

/// Keeps the attempts of one batch.
pub(super) struct Keeper<'c> {
    insert: CachedStatement<'c>,
    column: ColumnId,
    run: RunId,
    /// Whether cells may have attempts of an earlier run, which count towards those that are kept.
    seen_before: bool,
    sent: Vec<SentRecord>,
    spent: SpentByDay,
}

impl<'c> Keeper<'c> {
    pub(super) fn begin(db: &Db<'c>, column: ColumnId, run: RunId) -> Result<Self> {
        let seen_before = db
            .conn
            .prepare_cached(
                "-- paceline: keep_attempts\n\
                 SELECT EXISTS (SELECT 1 FROM _ht_runs INDEXED BY _ht_runs_by_column \
                 WHERE column_id = ?1 AND id < ?2)",
            )?
            .query_row(params![column.0, run.0], |row| row.get(0))?;
        let insert = db.conn.prepare_cached(
            "-- paceline: keep_attempts\nINSERT INTO _ht_attempts (column_id, row_id, run_id, \
             number, twin, sent_at, seen_at, status, class, error_code, error_message, request, \
             source, cost_micros) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        Ok(Self {
            insert,
            column,
            run,
            seen_before,
            sent: Vec::new(),
            spent: SpentByDay::default(),
        })
    }

    pub(super) fn keep(&mut self, db: &Db<'_>, row: RowId, attempt: &Attempt) -> Result<()> {
        if let Some(sent_at) = attempt.sent_at {
            self.sent.push(SentRecord { sent_at, seen_at: attempt.seen_at });
        }
        self.spent.add(attempt);
        let twin = match self.insert(row, attempt, 0) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                // Another attempt of this number is there: the late one of an earlier holder, or this one is it.
                let twin = self.next_twin(db, row, attempt.number)?;
                self.insert(row, attempt, twin)?;
                twin
            }
            other => {
                other?;
                0
            }
        };
        // In a column's first run a cell has no more attempts than their number says, so there is nothing to count.
        if self.seen_before || twin > 0 || attempt.number > db.attempts_kept {
            self.trim(db, row)?;
        }
        Ok(())
    }

    /// Writes down what the batch's calls came to and when they were sent and seen, and forgets very old ones.
    pub(super) fn finish(mut self, db: &Db<'_>) -> Result<()> {
        self.sent.sort_unstable_by_key(|call| (call.seen_at, call.sent_at));
        let Some(newest) = self.sent.last() else { return Ok(()) };
        db.conn
            .prepare_cached(
                "-- paceline: keep_calls\nINSERT INTO _ht_calls (column_id, seen_until, times) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![self.column.0, newest.seen_at.as_micros(), pack_calls(&self.sent)])?;
        db.conn
            .prepare_cached(
                "-- paceline: keep_calls\nDELETE FROM _ht_calls WHERE column_id = ?1 AND seen_until < ?2",
            )?
            .execute(params![self.column.0, db.now.before(CALLS_KEPT).as_micros()])?;
        spent::add(db, self.column, &self.spent)
    }

    fn insert(&mut self, row: RowId, attempt: &Attempt, twin: i64) -> rusqlite::Result<usize> {
        let (code, message) = encode_error(attempt.error.as_ref());
        self.insert.execute(params![
            self.column.0,
            row.0,
            self.run.0,
            attempt.number,
            twin,
            attempt.sent_at.map(Timestamp::as_micros),
            attempt.seen_at.as_micros(),
            attempt.status,
            attempt.class.as_str(),
            code,
            message,
            attempt.request,
            attempt.source,
            signed(attempt.cost_micros),
        ])
    }

    fn next_twin(&self, db: &Db<'_>, row: RowId, number: u32) -> Result<i64> {
        Ok(db
            .conn
            .prepare_cached(
                "-- paceline: keep_attempts\nSELECT coalesce(max(twin), 0) + 1 FROM _ht_attempts \
                 WHERE column_id = ?1 AND row_id = ?2 AND run_id = ?3 AND number = ?4",
            )?
            .query_row(params![self.column.0, row.0, self.run.0, number], |row| row.get(0))?)
    }

    /// Drops the oldest attempts of a cell that has too many.
    fn trim(&self, db: &Db<'_>, row: RowId) -> Result<()> {
        let kept: u32 = db
            .conn
            .prepare_cached(
                "-- paceline: trim_attempts\nSELECT count(*) FROM _ht_attempts WHERE column_id = ?1 AND row_id = ?2",
            )?
            .query_row(params![self.column.0, row.0], |row| row.get(0))?;
        if kept > db.attempts_kept {
            db.conn
                .prepare_cached(
                    "-- paceline: trim_attempts\nDELETE FROM _ht_attempts \
                     WHERE column_id = ?1 AND row_id = ?2 AND (run_id, number, twin) IN \
                     (SELECT run_id, number, twin FROM _ht_attempts WHERE column_id = ?1 AND row_id = ?2 \
                     ORDER BY run_id, number, twin LIMIT ?3)",
                )?
                .execute(params![self.column.0, row.0, kept - db.attempts_kept])?;
        }
        Ok(())
    }
}

pub(super) fn attempts(db: &Db<'_>, column: ColumnId, row: RowId) -> Result<Vec<Attempt>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: attempts\n\
         SELECT number, sent_at, seen_at, status, class, error_code, error_message, request, source, \
         cost_micros \
         FROM _ht_attempts WHERE column_id = ?1 AND row_id = ?2 \
         ORDER BY seen_at, run_id, number, twin",
    )?;
    let mut found = statement.query(params![column.0, row.0])?;
    let mut attempts = Vec::new();
    while let Some(row) = found.next()? {
        let class: String = row.get(4)?;
        attempts.push(Attempt {
            number: row.get(0)?,
            sent_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_micros),
            seen_at: Timestamp::from_micros(row.get(2)?),
            status: row.get(3)?,
            class: rules::parse_class(&class)?,
            error: decode_error(row, 5)?,
            request: row.get(7)?,
            source: row.get(8)?,
            cost_micros: unsigned(row.get(9)?),
        });
    }
    Ok(attempts)
}

/// Walks the batches from the newest back, and stops where an older batch cannot hold one of the newest `max` calls.
pub(super) fn calls_since(
    db: &Db<'_>,
    column: ColumnId,
    since: Timestamp,
    max: usize,
) -> Result<Vec<SentRecord>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let mut statement = db.conn.prepare_cached(
        "-- paceline: calls_since\nSELECT seen_until, times FROM _ht_calls \
         WHERE column_id = ?1 AND seen_until >= ?2 ORDER BY seen_until DESC",
    )?;
    let mut found = statement.query(params![column.0, since.as_micros()])?;
    let mut newest = NewestCalls::new(since, max);
    while let Some(row) = found.next()? {
        if newest.none_before(Timestamp::from_micros(row.get(0)?)) {
            break;
        }
        newest.add(unpack_calls(&row.get::<_, Vec<u8>>(1)?)?);
    }
    Ok(newest.ascending())
}
