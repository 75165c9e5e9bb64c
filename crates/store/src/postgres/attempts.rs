//! Every outbound call: kept by cell for people, and by time for limits that remember.

use std::collections::{BTreeSet, HashMap};

use paceline_clock::Timestamp;
use paceline_model::{Attempt, ColumnId, RowId, SentRecord};

use super::db::Db;
use super::param::{Found, params};
use super::records::Target;
use super::spent;
use crate::calls::{CALLS_KEPT, NewestCalls};
use crate::codec::{encode_error, signed, unsigned};
use crate::error::Result;
use crate::packed::{pack_calls, unpack_calls};
use crate::rules;
use crate::spent::SpentByDay;

/// Batches of calls that are read at once.
const BATCHES_PAGE: i64 = 256;

/// Keeps the attempts of one batch, in their order.
pub(super) async fn keep(db: &Db, target: &Target, attempts: &[(RowId, &Attempt)]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    tokio::try_join!(
        biased;
        keep_by_cell(db, target, attempts),
        keep_calls(db, target.column, attempts),
    )?;
    Ok(())
}

async fn keep_by_cell(db: &Db, target: &Target, attempts: &[(RowId, &Attempt)]) -> Result<()> {
    let twins = twins(db, target, attempts).await?;
    insert(db, target, attempts, &twins).await?;
    let many = attempts.iter().zip(&twins).filter(|((_, attempt), twin)| {
        // In a column's first run a cell has no more attempts than their number says, so there is nothing to count.
        target.seen_before || **twin > 0 || attempt.number > db.attempts_kept
    });
    let rows: BTreeSet<i64> = many.map(|((row, _), _)| row.0).collect();
    if rows.is_empty() {
        return Ok(());
    }
    trim(db, target.column, rows.into_iter().collect()).await
}

/// What tells each attempt from others of its number: zero, unless the late one of an earlier holder is there already.
async fn twins(db: &Db, target: &Target, attempts: &[(RowId, &Attempt)]) -> Result<Vec<i64>> {
    let rows: Vec<i64> = attempts.iter().map(|(row, _)| row.0).collect();
    let found = db
        .query(
            "-- paceline: keep_attempts\nSELECT row_id, number, max(twin) FROM paceline._ht_attempts \
             WHERE column_id = $1 AND run_id = $2 AND row_id = ANY ($3) GROUP BY row_id, number",
            params![target.column.0, target.run.0, rows],
        )
        .await?;
    let mut last = HashMap::with_capacity(found.len());
    for row in found {
        last.insert((row.int(0)?, row.int(1)?), row.int(2)?);
    }
    let twin = |(row, attempt): &(RowId, &Attempt)| {
        let last = last.entry((row.0, i64::from(attempt.number))).or_insert(-1);
        *last += 1;
        *last
    };
    Ok(attempts.iter().map(twin).collect())
}

async fn insert(
    db: &Db,
    target: &Target,
    attempts: &[(RowId, &Attempt)],
    twins: &[i64],
) -> Result<()> {
    let all = || attempts.iter().map(|(_, attempt)| *attempt);
    let (codes, messages): (Vec<_>, Vec<_>) =
        all().map(|attempt| encode_error(attempt.error.as_ref())).unzip();
    db.execute(
        "-- paceline: keep_attempts\nINSERT INTO paceline._ht_attempts (column_id, run_id, row_id, \
         number, twin, sent_at, seen_at, status, class, error_code, error_message, request, source, \
         cost_micros) SELECT $1, $2, u.* \
         FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS u",
        params![
            target.column.0,
            target.run.0,
            attempts.iter().map(|(row, _)| row.0).collect::<Vec<_>>(),
            all().map(|attempt| i64::from(attempt.number)).collect::<Vec<_>>(),
            twins.to_vec(),
            all().map(|attempt| attempt.sent_at.map(Timestamp::as_micros)).collect::<Vec<_>>(),
            all().map(|attempt| attempt.seen_at.as_micros()).collect::<Vec<_>>(),
            all().map(|attempt| attempt.status.map(i64::from)).collect::<Vec<_>>(),
            all().map(|attempt| attempt.class.as_str()).collect::<Vec<_>>(),
            codes,
            messages,
            all().map(|attempt| attempt.request.as_deref()).collect::<Vec<_>>(),
            all().map(|attempt| attempt.source.as_deref()).collect::<Vec<_>>(),
            all().map(|attempt| signed(attempt.cost_micros)).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// Drops the oldest attempts of cells that have too many.
async fn trim(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<()> {
    db.execute(
        "-- paceline: trim_attempts\nDELETE FROM paceline._ht_attempts AS a USING \
         (SELECT row_id, run_id, number, twin, row_number() OVER \
         (PARTITION BY row_id ORDER BY run_id DESC, number DESC, twin DESC) AS place \
         FROM paceline._ht_attempts WHERE column_id = $1 AND row_id = ANY ($2)) AS b \
         WHERE b.place > $3 AND a.column_id = $1 AND a.row_id = b.row_id AND a.run_id = b.run_id \
         AND a.number = b.number AND a.twin = b.twin",
        params![column.0, rows, i64::from(db.attempts_kept)],
    )
    .await?;
    Ok(())
}

/// Writes down what the batch's calls came to and when they were sent and seen, and forgets very old ones.
async fn keep_calls(db: &Db, column: ColumnId, attempts: &[(RowId, &Attempt)]) -> Result<()> {
    let sent = attempts.iter().filter_map(|(_, attempt)| {
        attempt.sent_at.map(|sent_at| SentRecord { sent_at, seen_at: attempt.seen_at })
    });
    let mut sent: Vec<SentRecord> = sent.collect();
    sent.sort_unstable_by_key(|call| (call.seen_at, call.sent_at));
    let Some(newest) = sent.last() else { return Ok(()) };
    let insert = "-- paceline: keep_calls\n\
                  INSERT INTO paceline._ht_calls (column_id, seen_until, times) VALUES ($1, $2, $3)";
    let forget = "-- paceline: keep_calls\n\
                  DELETE FROM paceline._ht_calls WHERE column_id = $1 AND seen_until < $2";
    let kept = params![column.0, newest.seen_at, pack_calls(&sent)];
    let forgotten = params![column.0, db.now.before(CALLS_KEPT)];
    let mut by_day = SpentByDay::default();
    attempts.iter().for_each(|(_, attempt)| by_day.add(attempt));
    tokio::try_join!(
        biased;
        spent::add(db, column, &by_day),
        db.execute(insert, kept),
        db.execute(forget, forgotten),
    )?;
    Ok(())
}

pub(super) async fn attempts(db: &Db, column: ColumnId, row: RowId) -> Result<Vec<Attempt>> {
    let found = db
        .query(
            "-- paceline: attempts\nSELECT number, sent_at, seen_at, status, class, error_code, error_message, \
             request, source, cost_micros FROM paceline._ht_attempts WHERE column_id = $1 AND row_id = $2 \
             ORDER BY seen_at, run_id, number, twin",
            params![column.0, row.0],
        )
        .await?;
    let read = |row: Found| {
        Ok(Attempt {
            number: row.small(0)?,
            sent_at: row.opt_time(1)?,
            seen_at: row.time(2)?,
            status: row.opt_small(3)?,
            class: rules::parse_class(&row.text(4)?)?,
            error: row.error(5)?,
            request: row.opt_text(7)?,
            source: row.opt_text(8)?,
            cost_micros: unsigned(row.int(9)?),
        })
    };
    found.into_iter().map(read).collect()
}

/// Walks the batches from the newest back, a page at a time, and stops where an older batch cannot hold one of the
/// newest `max` calls.
pub(super) async fn calls_since(
    db: &Db,
    column: ColumnId,
    since: Timestamp,
    max: usize,
) -> Result<Vec<SentRecord>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let mut newest = NewestCalls::new(since, max);
    let mut before = (i64::MAX, i64::MAX);
    loop {
        let page = db
            .query(
                "-- paceline: calls_since\nSELECT seen_until, times, id FROM paceline._ht_calls \
                 WHERE column_id = $1 AND seen_until >= $2 AND (seen_until, id) < ($3, $4) \
                 ORDER BY seen_until DESC, id DESC LIMIT $5",
                params![column.0, since, before.0, before.1, BATCHES_PAGE],
            )
            .await?;
        for batch in &page {
            if newest.none_before(batch.time(0)?) {
                return Ok(newest.ascending());
            }
            newest.add(unpack_calls(&batch.bytes(1)?)?);
            before = (batch.int(0)?, batch.int(2)?);
        }
        if signed(page.len()) < BATCHES_PAGE {
            return Ok(newest.ascending());
        }
    }
}
