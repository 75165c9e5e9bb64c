//! The workers of a run that calls nobody and whose rows come from other runs: each takes whatever is ready, fills it
//! together, and reports cell by cell.

use std::sync::Arc;

use paceline_model::{CellState, Task};
use tokio::sync::mpsc;

use super::local::BatchSize;
use super::{RunContext, Stop};
use crate::kind::Local;
use crate::task::{self, Ended, no_value};

/// One fills while what the other has filled is handed on.
pub(super) const WORKERS: usize = 2;

/// Fills what is ready until the queue is closed or the run stops.
pub(super) async fn worker(
    ctx: Arc<RunContext>,
    local: Arc<dyn Local>,
    size: Arc<BatchSize>,
    reports: mpsc::Sender<Ended>,
) {
    let share = (ctx.concurrent_max / WORKERS).max(1);
    while let Some(first) = ctx.control.queue.next().await {
        let mut tasks = vec![first];
        tasks.extend(ctx.control.queue.more(size.rows().min(share) - 1));
        // Never more than there are, or it would wait for ever. Closed when nobody is left to write what comes of them.
        let slots = ctx.control.unrecorded.acquire_many(tasks.len() as u32).await;
        let Some(slots) = slots.ok().filter(|_| !ctx.is_stopped()) else {
            tasks.into_iter().rev().for_each(|task| ctx.control.queue.put_back(task));
            break;
        };
        slots.forget();
        for ended in fill(&ctx, local.as_ref(), &size, &tasks).await {
            if reports.send(ended).await.is_err() {
                return;
            }
        }
    }
}

/// Cells without a call. A run that is stopped meanwhile does not wait for them.
async fn fill(ctx: &RunContext, local: &dyn Local, size: &BatchSize, tasks: &[Task]) -> Vec<Ended> {
    let began = ctx.clock.now();
    let values = tokio::select! {
        values = local.fill(&ctx.tools, &ctx.column, tasks) => values,
        () = ctx.stopped() => return tasks.iter().map(task::give_back).collect(),
    };
    let mut values = match values {
        Ok(values) => values.into_iter(),
        Err(error) => {
            ctx.stop(Stop::Store(error.to_string()));
            return tasks.iter().map(task::give_back).collect();
        }
    };
    size.learn(tasks, ctx.clock.now() - began);
    let ended = tasks.iter().map(|task| match values.next() {
        Some(Ok(value)) => task::finish(task, None, CellState::Completed, Some(value), None),
        Some(Err(error)) => task::finish(task, None, CellState::Failed, None, Some(error)),
        None => task::finish(task, None, CellState::Failed, None, Some(no_value())),
    });
    ended.collect()
}
