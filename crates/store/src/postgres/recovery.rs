//! What a dead process left in its hands.

use paceline_model::{Attempt, Recovery, RowId, RunId};

use super::attempts;
use super::cells::Ended;
use super::db::Db;
use super::param::{Found, params};
use super::records::Target;
use crate::end::End;
use crate::error::Result;
use crate::interrupted::Ambiguous;

pub(super) async fn recover_run(
    db: &Db,
    run: RunId,
    recovery: Recovery,
    price_micros: u64,
) -> Result<u64> {
    let target = Target::of(db, run).await?;
    let tasks = ambiguous(db, &target).await?;
    let settled: Vec<(RowId, Recovery, Attempt)> = tasks
        .iter()
        .map(|task| {
            let fate = task.fate(recovery);
            (task.row, fate, task.attempt(db.now, fate, price_micros))
        })
        .collect();
    let kept: Vec<(RowId, &Attempt)> =
        settled.iter().map(|(row, _, attempt)| (*row, attempt)).collect();
    attempts::keep(db, &target, &kept).await?;
    let rows = settled.iter().map(|(row, _, _)| row.0).collect();
    let mut ended = Ended::begin(db, target.column, rows).await?;
    let (mut back, mut numbers) = (Vec::new(), Vec::new());
    let mut gone = Vec::new();
    for (row, fate, attempt) in &settled {
        ended.counts.calls += 1;
        ended.counts.cost_micros = ended.counts.cost_micros.saturating_add(price_micros);
        ended.counts.retries += u64::from(attempt.number > 1);
        if *fate == Recovery::Once {
            ended.add(&End::unknown(*row, attempt.error.as_ref()));
            gone.push(row.0);
        } else {
            back.push(row.0);
            numbers.push(i64::from(attempt.number));
        }
    }
    settle(db, run, (back, numbers), gone).await?;
    ended.write(db, &target).await?;
    ended.finish(db, &target).await?;
    db.execute(
        "-- paceline: recover_run\nUPDATE paceline._ht_tasks SET owner = NULL \
         WHERE run_id = $1 AND owner IS NOT NULL",
        params![run.0],
    )
    .await
}

async fn ambiguous(db: &Db, target: &Target) -> Result<Vec<Ambiguous>> {
    let found = db
        .query(
            "-- paceline: recover_run\nSELECT row_id, intent_at, attempts, EXISTS \
             (SELECT 1 FROM paceline._ht_notes AS n WHERE n.column_id = $2 AND n.row_id = k.row_id) \
             FROM paceline._ht_tasks AS k \
             WHERE run_id = $1 AND owner IS NOT NULL AND intent_at IS NOT NULL ORDER BY row_id",
            params![target.run.0, target.column.0],
        )
        .await?;
    let read = |row: Found| {
        Ok(Ambiguous {
            row: RowId(row.int(0)?),
            intent_at: row.time(1)?,
            attempts: row.small(2)?,
            noted: row.bool(3)?,
        })
    };
    found.into_iter().map(read).collect()
}

/// Ends the tasks whose calls may not be repeated and that nobody can look up, and gives the others back. Either way
/// their intents are dealt with.
async fn settle(
    db: &Db,
    run: RunId,
    (back, numbers): (Vec<i64>, Vec<i64>),
    gone: Vec<i64>,
) -> Result<()> {
    db.execute(
        "-- paceline: recover_run\nUPDATE paceline._ht_tasks AS k SET owner = NULL, intent_at = NULL, \
         attempts = u.attempts FROM unnest($2, $3) AS u (row_id, attempts) \
         WHERE k.run_id = $1 AND k.row_id = u.row_id",
        params![run.0, back, numbers],
    )
    .await?;
    db.execute(
        "-- paceline: recover_run\n\
         DELETE FROM paceline._ht_tasks WHERE run_id = $1 AND row_id = ANY ($2)",
        params![run.0, gone],
    )
    .await?;
    Ok(())
}
