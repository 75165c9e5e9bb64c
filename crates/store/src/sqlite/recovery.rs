//! What a dead process left in its hands.

use paceline_clock::Timestamp;
use paceline_model::{Recovery, RowId, RunId};
use rusqlite::params;

use super::attempts::Keeper;
use super::cell_writer::CellWriter;
use super::connection::Db;
use super::records::Target;
use crate::end::End;
use crate::error::Result;
use crate::interrupted::Ambiguous;

pub(super) fn recover_run(
    db: &Db<'_>,
    run: RunId,
    recovery: Recovery,
    price_micros: u64,
) -> Result<u64> {
    let target = Target::of(db, run)?;
    let ambiguous = ambiguous(db, &target)?;
    let mut cells = CellWriter::begin(db, &target)?;
    let mut keeper = Keeper::begin(db, target.column, run)?;
    for task in &ambiguous {
        let fate = task.fate(recovery);
        let attempt = task.attempt(db.now, fate, price_micros);
        keeper.keep(db, task.row, &attempt)?;
        cells.counts.calls += 1;
        cells.counts.cost_micros = cells.counts.cost_micros.saturating_add(price_micros);
        cells.counts.retries += u64::from(attempt.number > 1);
        settle(db, run, task.row, attempt.number, fate)?;
        if fate == Recovery::Once {
            let end = End::unknown(task.row, attempt.error.as_ref());
            cells.finish_cell(db, &target, &end)?;
        }
    }
    keeper.finish(db)?;
    cells.finish(db, &target)?;
    let given_back = db
        .conn
        .prepare_cached(
            "-- paceline: recover_run\nUPDATE _ht_tasks SET owner = NULL WHERE run_id = ?1 AND owner IS NOT NULL",
        )?
        .execute([run.0])?;
    Ok(given_back as u64)
}

fn ambiguous(db: &Db<'_>, target: &Target) -> Result<Vec<Ambiguous>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: recover_run\nSELECT row_id, intent_at, attempts, EXISTS (SELECT 1 FROM _ht_notes \
         AS n WHERE n.column_id = ?2 AND n.row_id = k.row_id) FROM _ht_tasks AS k \
         WHERE run_id = ?1 AND owner IS NOT NULL AND intent_at IS NOT NULL ORDER BY row_id",
    )?;
    let mut found = statement.query(params![target.run.0, target.column.0])?;
    let mut tasks = Vec::new();
    while let Some(row) = found.next()? {
        tasks.push(Ambiguous {
            row: RowId(row.get(0)?),
            intent_at: Timestamp::from_micros(row.get(1)?),
            attempts: row.get(2)?,
            noted: row.get(3)?,
        });
    }
    Ok(tasks)
}

/// Ends the task if its call may not be repeated and nobody can look it up, else gives it back. Either way its intent is
/// dealt with.
fn settle(db: &Db<'_>, run: RunId, row: RowId, attempts: u32, fate: Recovery) -> Result<()> {
    if fate != Recovery::Once {
        db.conn
            .prepare_cached(
                "-- paceline: recover_run\nUPDATE _ht_tasks SET owner = NULL, intent_at = NULL, attempts = ?3 \
                 WHERE run_id = ?1 AND row_id = ?2",
            )?
            .execute(params![run.0, row.0, attempts])?;
    } else {
        db.conn
            .prepare_cached(
                "-- paceline: recover_run\nDELETE FROM _ht_tasks WHERE run_id = ?1 AND row_id = ?2",
            )?
            .execute(params![run.0, row.0])?;
    }
    Ok(())
}
