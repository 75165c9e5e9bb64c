//! What a session has to know of the jobs of earlier processes before it looks for the run of one of them.

use std::collections::VecDeque;

use paceline_hex::{Note, RunId};
use paceline_model::{RowId, RowQuery, Task, limits};

use super::HexWork;
use crate::runner::RunContext;

/// Runs on record that are told, the newest ones: more than any listing shows.
const RUNS_MAX: usize = 10_000;

/// Tells the session of these tasks' notes. Where one of them has to be reconciled, the runs that the column's cells hold
/// are told too: none of them is anybody else's.
pub(crate) async fn claimed(
    ctx: &RunContext,
    hex: &HexWork,
    tasks: &[Task],
) -> paceline_model::Result<()> {
    let noted = tasks.iter().filter_map(|task| task.note.as_deref());
    let notes: Vec<Note> = noted.filter_map(|note| serde_json::from_str(note).ok()).collect();
    hex.session.recall(&notes);
    let mut runs = None;
    for note in &notes {
        let Note::Sending { project, .. } = note else { continue };
        if runs.is_none() {
            runs = Some(on_record(ctx).await?);
        }
        hex.session.own(project, runs.iter().flatten());
    }
    Ok(())
}

/// The runs of the column's cells, the newest of them.
async fn on_record(ctx: &RunContext) -> paceline_model::Result<VecDeque<RunId>> {
    let mut runs = VecDeque::new();
    let mut after = RowId(0);
    loop {
        let query = RowQuery {
            columns: vec![ctx.column.id],
            after,
            limit: limits::PAGE_ROWS_MAX,
            ..RowQuery::of(ctx.column.table)
        };
        let rows = ctx.store.rows(query).await?;
        let Some(last) = rows.last() else { return Ok(runs) };
        after = last.id;
        for value in rows.iter().filter_map(|row| row.values.first()) {
            if let Some(run) = value.to_json()["runId"].as_str() {
                runs.push_back(RunId(run.to_owned()));
            }
            if runs.len() > RUNS_MAX {
                runs.pop_front();
            }
        }
    }
}
