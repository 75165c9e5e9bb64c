//! One claim: tasks are taken, those that need no work come to their end at once, the others go to the workers.

use std::collections::HashMap;

use paceline_model::{CellState, Fingerprint, RowId, Task, TaskReport, TaskStep, Value};

use super::RunContext;
use super::reporter::write;
use crate::recording::{REUSED, UNCHANGED};
use crate::triage::CONDITION;

/// What a claim came to.
pub(super) struct Claimed {
    /// Nothing is left to claim.
    pub(super) all: bool,
    /// Nothing was there now.
    pub(super) none: bool,
}

/// Claims once.
pub(super) async fn claim(ctx: &RunContext) -> paceline_model::Result<Claimed> {
    let max = ctx.claim_max();
    let claim = ctx.store.claim_tasks(ctx.run, ctx.triage.columns(), ctx.lease, max).await?;
    let brought = claim.tasks.len();
    let claimed =
        Claimed { all: claim.exhausted && brought < max, none: brought == 0 && !claim.exhausted };
    let seen = seen(ctx, &claim.tasks);
    let sorted = ctx.triage.sort(&ctx.tools, claim.tasks).await?;
    let mut ended = sorted.ended;
    let mut fates: HashMap<RowId, &str> = ended.iter().filter_map(left_out).collect();
    let entered = ctx.flights.enter(sorted.work);
    ctx.control.queue.hold(entered.parked);
    let mut work = Vec::with_capacity(entered.first.len());
    let reused = reusable(ctx, &entered.first).await?;
    let mut reused_reports = Vec::new();
    for ((task, _), reused) in entered.first.into_iter().zip(reused) {
        match reused {
            Some((value, print)) => {
                fates.insert(task.row, REUSED);
                reused_reports.push(completed(&task, value, print));
            }
            None => work.push(task),
        }
    }
    if let Some(recorder) = &ctx.recorder {
        seen.iter().for_each(|(row, inputs)| recorder.row(*row, inputs, fates.get(row).copied()));
    }
    ended.extend(reused_reports);
    // Jobs that were started already go first: somebody has to watch them.
    work.sort_by_key(|task| task.note.is_none());
    ctx.work.claimed(&work);
    ctx.control.queue.hold(ended.len());
    ctx.control.queue.add(work, &ctx.clock);
    let count = write(ctx, ended).await?;
    ctx.control.queue.ended(count);
    if brought > 0 {
        // The others may go on with rows that this run had nothing to do for.
        ctx.reported.send_replace(());
    }
    Ok(claimed)
}

/// The rows of tasks with what they bring, if somebody wants to know.
fn seen(ctx: &RunContext, tasks: &[Task]) -> Vec<(RowId, Vec<Value>)> {
    let tasks = tasks.iter().filter(|_| ctx.recorder.is_some());
    tasks.map(|task| (task.row, task.inputs.clone())).collect()
}

/// A row that came to its end for what other columns or earlier runs have to say.
fn left_out(report: &TaskReport) -> Option<(RowId, &str)> {
    match &report.step {
        TaskStep::Leave => Some((report.row, UNCHANGED)),
        TaskStep::Finish { error: Some(error), .. } if error.code != CONDITION => {
            Some((report.row, &error.code))
        }
        _ => None,
    }
}

/// For each task the value of an earlier call that was the same.
async fn reusable(
    ctx: &RunContext,
    tasks: &[(Task, Option<[u8; 16]>)],
) -> paceline_model::Result<Vec<Option<(Value, Fingerprint)>>> {
    // What was begun is brought to its own end.
    let key = |(task, key): &(Task, Option<[u8; 16]>)| key.filter(|_| task.note.is_none());
    let keys: Vec<[u8; 16]> = tasks.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Ok(tasks.iter().map(|_| None).collect());
    }
    let mut values = ctx.store.reusable_values(ctx.column.id, &keys).await?.into_iter();
    let value = |one: &(Task, Option<[u8; 16]>)| {
        key(one)?;
        let value = values.next().flatten()?;
        ctx.flights.print(one.0.row).map(|print| (value, print))
    };
    Ok(tasks.iter().map(value).collect())
}

fn completed(task: &Task, value: Value, print: Fingerprint) -> TaskReport {
    let step = TaskStep::Finish { state: CellState::Completed, value: Some(value), error: None };
    TaskReport { fingerprint: Some(print), ..TaskReport::new(task.row, None, step) }
}
