//! Writes what became of tasks, in groups, and now and then what their calls taught.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{Run, TaskReport, TaskStep, limits};
use tokio::sync::mpsc;

use super::{RunContext, Stop};
use crate::memory::Memory;
use crate::task::Ended;

/// How often a store that may recover is asked again before the run stops, and the first wait in between.
const STORE_RETRIES: u32 = 5;
const STORE_WAIT: Duration = Duration::from_millis(100);

/// Writes reports in groups: whatever has come while the last group was being written.
pub(super) async fn report(ctx: Arc<RunContext>, mut inbox: mpsc::Receiver<Ended>) {
    let group_max = ctx.concurrent_max.clamp(1, limits::COMMIT_REPORTS_MAX);
    let mut group = Vec::with_capacity(group_max);
    let mut memory = Memory::begin(&ctx);
    while inbox.recv_many(&mut group, group_max).await > 0 {
        let written = group.len();
        let mut again = Vec::new();
        let mut reports = Vec::with_capacity(written);
        let mut ended = 0;
        for one in group.drain(..) {
            ended += usize::from(!matches!(one.report.step, TaskStep::Retry { .. }));
            again.extend(one.again);
            reports.push(one.report);
        }
        if let Some(smart) = &ctx.column.smart {
            ctx.tally.add(smart.kind, reports.iter().filter_map(|report| report.attempt.as_ref()));
        }
        match record(&ctx, reports).await {
            Ok(run) => ctx.progress.counted(run.counts),
            // What was not written stays leased and is taken up again by whoever resumes.
            Err(error) => ctx.stop(Stop::Store(error.to_string())),
        }
        ctx.control.unrecorded.add_permits(written);
        ctx.control.queue.again(again, &ctx.clock);
        ctx.control.queue.ended(ended);
        memory.save_if_due(&ctx).await;
    }
    memory.save(&ctx).await;
}

async fn record(ctx: &RunContext, reports: Vec<TaskReport>) -> paceline_model::Result<Run> {
    until_recovered(&ctx.clock, || ctx.store.record(ctx.run, ctx.lease.token, reports.clone()))
        .await
}

/// Asks the store again while it says that it may recover, a few times.
pub(crate) async fn until_recovered<T, F>(
    clock: &Clock,
    ask: impl Fn() -> F,
) -> paceline_model::Result<T>
where
    F: Future<Output = paceline_model::Result<T>>,
{
    let mut wait = STORE_WAIT;
    for _ in 0..STORE_RETRIES {
        match ask().await {
            Err(error) if error.retryable() => {
                tracing::warn!(%error, "the store will be asked again");
                clock.sleep(wait).await;
                wait *= 2;
            }
            answer => return answer,
        }
    }
    ask().await
}
