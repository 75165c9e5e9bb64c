//! The cells of runs that make no calls: read and written thousands at a time, without a record of each task. The cursor
//! of the run moves with what is written, so that whatever was not written is simply done again.

use paceline_model::{ColumnId, FilledCells, NextCells, RowId, Run, RunId};
use rusqlite::params;

use super::cell_writer::{CellWriter, Written};
use super::claims;
use super::connection::Db;
use super::records::Target;
use super::runs;
use crate::due::{Stretch, room};
use crate::end::End;
use crate::error::Result;
use crate::rules;

/// One stretch of rows: it may bring nothing and not be exhausted.
pub(super) fn next_cells(
    db: &Db<'_>,
    run: RunId,
    inputs: &[ColumnId],
    after: Option<RowId>,
    max: usize,
) -> Result<NextCells> {
    let Some(target) = claims::Target::of(db, run, inputs)? else {
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
    let tasks = source.due(db, (after, end), max)?;
    let Stretch { tasks, cursor, ended } = Stretch::new(tasks, max, end, last);
    Ok(NextCells { after: RowId(after), tasks, cursor: RowId(cursor), exhausted: ended })
}

pub(super) fn fill_cells(db: &Db<'_>, run: RunId, filled: &FilledCells) -> Result<Run> {
    let target = Target::of(db, run)?;
    rules::check_not_final(&runs::existing(db, run)?)?;
    move_cursor(db, run, filled)?;
    let mut cells = CellWriter::begin(db, &target)?;
    let mut left = filled.left;
    for cell in &filled.cells {
        if cell.value.is_none() && !cells.is_row(cell.row)? {
            left += 1;
            continue;
        }
        match cells.write(db, &target, &End::filled(cell))? {
            Written::Ended => {}
            Written::Locked => left += 1,
            Written::NoRow => {
                cells.forget(&target, cell.row)?;
                left += 1;
            }
        }
    }
    if left > 0 {
        runs::lower_total(db, run, left)?;
    }
    cells.finish(db, &target)?;
    runs::existing(db, run)
}

/// From where the cells were read after, and from nowhere else.
fn move_cursor(db: &Db<'_>, run: RunId, filled: &FilledCells) -> Result<()> {
    let sql = "-- paceline: fill_cells\nSELECT cursor_row FROM _ht_runs WHERE id = ?1";
    let cursor = db.conn.prepare_cached(sql)?.query_row([run.0], |row| row.get(0))?;
    rules::check_cursor(run, cursor, filled)?;
    let sql = "-- paceline: fill_cells\nUPDATE _ht_runs SET cursor_row = ?2 WHERE id = ?1";
    db.conn.prepare_cached(sql)?.execute(params![run.0, filled.cursor.0])?;
    Ok(())
}
