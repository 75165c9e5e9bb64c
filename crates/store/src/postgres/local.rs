//! The cells of runs that make no calls: read and written thousands at a time, without a record of each task. How this
//! survives a crash is told in `sqlite/local.rs`.

use std::collections::HashSet;

use paceline_model::{ColumnId, Filled, FilledCells, NextCells, RowId, Run, RunId, limits};

use super::cells::Ended;
use super::claims;
use super::db::Db;
use super::param::params;
use super::records::Target;
use super::runs;
use super::schema::{check_still, table_ref};
use crate::due::{Stretch, room};
use crate::end::End;
use crate::error::Result;
use crate::rules;

/// One stretch of rows: it may bring nothing and not be exhausted.
pub(super) async fn next_cells(
    db: &Db,
    run: RunId,
    inputs: &[ColumnId],
    after: Option<RowId>,
    max: usize,
) -> Result<NextCells> {
    let Some(target) = claims::Target::of(db, run, inputs).await? else {
        return Ok(NextCells { exhausted: true, ..NextCells::default() });
    };
    let (source, last) = (&target.source, target.last);
    let after = after.map_or(target.cursor, |after| after.0.max(target.cursor));
    let max = max.min(room(target.first, target.ended, 0));
    if max == 0 || after >= last {
        let at = RowId(after);
        return Ok(NextCells { after: at, cursor: at, exhausted: true, ..NextCells::default() });
    }
    let end = source.end(after, last);
    let tasks = source.due(db, (after, end), max).await?;
    check_still(db, source.table, &source.table_name).await?;
    let Stretch { tasks, cursor, ended } = Stretch::new(tasks, max, end, last);
    Ok(NextCells { after: RowId(after), tasks, cursor: RowId(cursor), exhausted: ended })
}

pub(super) async fn fill_cells(db: &Db, run: RunId, filled: &FilledCells) -> Result<Run> {
    let target = Target::of(db, run).await?;
    rules::check_not_final(&runs::existing(db, run).await?)?;
    move_cursor(db, run, filled).await?;
    let mut all = Ended::default();
    let mut left = filled.left;
    for part in filled.cells.chunks(limits::COMMIT_REPORTS_MAX) {
        let there = hold_rows(db, &target, part).await?;
        let mut ended = Ended::begin(db, target.column, ids(part)).await?;
        for cell in part {
            if there.contains(&cell.row.0) && !ended.is_locked(cell.row) {
                ended.add(&End::filled(cell));
            } else {
                left += 1;
            }
        }
        ended.write(db, &target).await?;
        all.add_written(&ended);
    }
    if left > 0 {
        runs::lower_total(db, run, left).await?;
    }
    all.finish(db, &target).await
}

/// From where the cells were read after, and from nowhere else. The row of the run is held.
async fn move_cursor(db: &Db, run: RunId, filled: &FilledCells) -> Result<()> {
    let sql = "-- paceline: fill_cells\nSELECT cursor_row FROM paceline._ht_runs WHERE id = $1";
    let cursor = db.one(sql, params![run.0]).await?.int(0)?;
    rules::check_cursor(run, cursor, filled)?;
    let sql = "-- paceline: fill_cells\n\
               UPDATE paceline._ht_runs SET cursor_row = $2 WHERE id = $1";
    db.execute(sql, params![run.0, filled.cursor.0]).await?;
    Ok(())
}

fn ids(cells: &[Filled]) -> Vec<i64> {
    cells.iter().map(|cell| cell.row.0).collect()
}

/// Those of the rows that are there, held in their order until the end of the transaction.
async fn hold_rows(db: &Db, target: &Target, cells: &[Filled]) -> Result<HashSet<i64>> {
    let sql = format!(
        "-- paceline: fill_cells\nSELECT t._ht_id FROM {} AS t WHERE t._ht_id = ANY ($1) \
         ORDER BY t._ht_id FOR UPDATE",
        table_ref(&target.table_name)
    );
    db.query(&sql, params![ids(cells)]).await?.iter().map(|row| row.int(0)).collect()
}
