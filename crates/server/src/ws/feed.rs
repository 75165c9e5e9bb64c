//! From a table's changes to messages: read by number, written once. The hub reads so for all, and a client that resumes
//! for itself.

use std::sync::Arc;

use paceline_model::{RunId, Table};

use super::cells::Cells;
use super::gather::{Group, GroupKind, gather};
use super::message::{Frame, Message};
use crate::App;
use crate::error::Result;
use crate::ops::runs::RunView;

/// Changes of one read. Each may name as many rows as `CHANGE_ROWS_MAX`, so this bounds what a read holds.
const READ_CHANGES: usize = 64;

/// What a read brought.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) frames: Vec<Frame>,
    /// The last change read; where to read on from.
    pub(super) last: i64,
    /// There may be more.
    pub(super) is_full: bool,
    /// Changes after the number asked for are no longer kept.
    pub(super) missed: bool,
    /// The table is deleted.
    pub(super) gone: bool,
    /// Runs that were told, and whether they have come to their end.
    pub(super) runs: Vec<(RunId, bool)>,
}

/// Reads what came after `after`. `table` is read again when its schema has changed.
pub(super) async fn read(app: &App, table: &mut Arc<Table>, after: i64) -> Result<Read> {
    let (changes, oldest) = app.engine.store().changes_after(table.id, after, READ_CHANGES).await?;
    let mut read = Read { last: after, ..Read::default() };
    if after.saturating_add(1) < oldest {
        read.missed = true;
        return Ok(read);
    }
    read.is_full = changes.len() == READ_CHANGES;
    read.last = changes.last().map_or(after, |change| change.sequence);
    for group in gather(changes) {
        if group.kind == GroupKind::Schema {
            match app.engine.store().table(&table.id.to_string()).await? {
                Some(now) => *table = Arc::new(now),
                None => {
                    read.gone = true;
                    return Ok(read);
                }
            }
        }
        tell(app, table, &group, &mut read).await?;
    }
    Ok(read)
}

async fn tell(app: &App, table: &Table, group: &Group, read: &mut Read) -> Result<()> {
    let sequence = group.sequence;
    let frame = match &group.kind {
        GroupKind::Schema => Frame::of(sequence, &Message::Schema { sequence })?,
        GroupKind::Inserted { first, last } => {
            let (first, last) = (*first, *last);
            let count = last.0.saturating_sub(first.0).saturating_add(1);
            Frame::of(sequence, &Message::Inserted { sequence, first, last, count })?
        }
        GroupKind::Updated(rows) => Frame::of(sequence, &Message::Updated { sequence, rows })?,
        GroupKind::Deleted(rows) => Frame::of(sequence, &Message::Deleted { sequence, rows })?,
        GroupKind::Reload => Frame::of(sequence, &Message::Reload { sequence })?,
        GroupKind::Cells(wanted) => {
            let cells = Cells::read(app, table, wanted).await?;
            let message = Message::Cells { sequence, cells: &cells.told, more: &cells.more };
            Frame::of(sequence, &message)?
        }
        GroupKind::Run(id) => {
            // Gone with its column: a change of the schema tells that.
            let Some(run) = app.engine.store().run(*id).await? else { return Ok(()) };
            read.runs.push((*id, run.status.is_final()));
            let run = &RunView::of(app, Some(table), run);
            Frame::of(sequence, &Message::Run { sequence, run })?
        }
    };
    read.frames.push(frame);
    Ok(())
}

/// How a run at work is coming along; `None` if it is not at work here.
pub(super) async fn progress(
    app: &App,
    table: &Table,
    run: RunId,
    sequence: i64,
) -> Result<Option<Frame>> {
    if app.engine.progress(run).is_none() {
        return Ok(None);
    }
    let Some(run) = app.engine.store().run(run).await? else { return Ok(None) };
    let run = &RunView::of(app, Some(table), run);
    Frame::passing(sequence, &Message::Run { sequence, run }).map(Some)
}
