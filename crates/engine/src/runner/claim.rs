//! One claim: tasks are taken, those that need no work come to their end at once, the others go to the workers.

use paceline_model::{CellState, Fingerprint, Task, TaskReport, TaskStep, Value};

use super::RunContext;
use super::reporter::write;

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
    let sorted = ctx.triage.sort(&ctx.tools, claim.tasks).await?;
    let mut ended = sorted.ended;
    let entered = ctx.flights.enter(sorted.work);
    ctx.control.queue.hold(entered.parked);
    let mut work = Vec::with_capacity(entered.first.len());
    let reused = reusable(ctx, &entered.first).await?;
    for (task, reused) in entered.first.into_iter().zip(reused) {
        match reused {
            Some((value, print)) => ended.push(completed(&task, value, print)),
            None => work.push(task),
        }
    }
    // Jobs that were started already go first: somebody has to watch them.
    work.sort_by_key(|task| task.note.is_none());
    ctx.work.claimed(ctx, &work).await?;
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

/// For each task the value of an earlier call that was the same.
async fn reusable(
    ctx: &RunContext,
    tasks: &[Task],
) -> paceline_model::Result<Vec<Option<(Value, Fingerprint)>>> {
    let prints: Vec<Option<Fingerprint>> = tasks
        .iter()
        // What was begun is brought to its own end.
        .map(|task| ctx.flights.print(task.row).filter(|_| task.note.is_none()))
        .collect();
    let keys: Vec<[u8; 16]> = prints.iter().flatten().filter_map(|print| print.key).collect();
    if keys.is_empty() {
        return Ok(tasks.iter().map(|_| None).collect());
    }
    let mut values = ctx.store.reusable_values(ctx.column.id, &keys).await?.into_iter();
    let value = |print: Option<Fingerprint>| {
        let print = print.filter(|print| print.key.is_some())?;
        values.next().flatten().map(|value| (value, print))
    };
    Ok(prints.into_iter().map(value).collect())
}

fn completed(task: &Task, value: Value, print: Fingerprint) -> TaskReport {
    let step = TaskStep::Finish { state: CellState::Completed, value: Some(value), error: None };
    TaskReport { fingerprint: Some(print), ..TaskReport::new(task.row, None, step) }
}
