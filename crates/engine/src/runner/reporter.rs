//! Writes what became of tasks, in groups, and now and then what their calls taught.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{CellState, RowId, Run, TaskReport, TaskStep, limits};
use tokio::sync::mpsc;

use super::{RunContext, Stop};
use crate::memory::Memory;
use crate::task::{Ended, cell_error};

/// How often a store that may recover is asked again before the run stops, and the first wait in between.
const STORE_RETRIES: u32 = 5;
const STORE_WAIT: Duration = Duration::from_millis(100);

/// How often those who are ready to go on may do so before a group is written, so that what they report goes with it:
/// a commit costs as much as a dozen reports. Nobody is waited for who is not ready.
const GATHER_TURNS: usize = 3;

/// Writes reports in groups: whatever has come while the last group was being written.
pub(super) async fn report(ctx: Arc<RunContext>, mut inbox: mpsc::Receiver<Ended>) {
    let group_max = ctx.concurrent_max.clamp(1, limits::COMMIT_REPORTS_MAX);
    let mut group = Vec::with_capacity(group_max);
    let mut memory = Memory::begin(&ctx);
    while inbox.recv_many(&mut group, group_max).await > 0 {
        gather(&mut inbox, &mut group, group_max).await;
        let written = group.len();
        let mut again = Vec::new();
        let mut reports = Vec::with_capacity(written);
        let mut ended = 0;
        for one in group.drain(..) {
            ended += usize::from(matches!(one.report.step, TaskStep::GiveBack));
            again.extend(one.again);
            reports.push(one.report);
        }
        if let Some(smart) = &ctx.column.smart {
            ctx.tally.add(smart.kind, reports.iter().filter_map(|report| report.attempt.as_ref()));
        }
        match write(&ctx, reports).await {
            Ok(with_them) => ended += with_them,
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

/// Adds to a group what comes from those who are ready.
async fn gather(inbox: &mut mpsc::Receiver<Ended>, group: &mut Vec<Ended>, group_max: usize) {
    for _ in 0..GATHER_TURNS {
        tokio::task::yield_now().await;
        while group.len() < group_max
            && let Ok(ended) = inbox.try_recv()
        {
            group.push(ended);
        }
    }
}

/// Writes reports, with what the cells were made from; then, for calls that came to an end, the cells of the rows that
/// waited for them. Answers how many tasks have ended.
pub(super) async fn write(
    ctx: &RunContext,
    reports: Vec<TaskReport>,
) -> paceline_model::Result<usize> {
    let mut ended = 0;
    let mut waiting = VecDeque::from(reports);
    while !waiting.is_empty() {
        let group = waiting.drain(..waiting.len().min(limits::COMMIT_REPORTS_MAX));
        let group: Vec<TaskReport> = group.map(|report| printed(ctx, report)).collect();
        if let Some(recorder) = &ctx.recorder {
            group.iter().filter(|report| is_end(report)).for_each(|end| recorder.ended(end));
        }
        let run = record(ctx, &group).await?;
        ctx.progress.counted(run.counts);
        for end in group.into_iter().filter(is_end) {
            ended += 1;
            let parked = ctx.flights.ended(end.row);
            waiting.extend(parked.into_iter().map(|task| shared(task.row, &end)));
        }
    }
    if ended > 0 {
        ctx.reported.send_replace(());
    }
    Ok(ended)
}

fn is_end(report: &TaskReport) -> bool {
    matches!(report.step, TaskStep::Finish { .. } | TaskStep::Leave)
}

/// With what its cell was made from, if it ends with something made from it.
fn printed(ctx: &RunContext, mut report: TaskReport) -> TaskReport {
    if let TaskStep::Finish { state, .. } = &report.step
        && *state != CellState::Skipped
        && report.fingerprint.is_none()
    {
        report.fingerprint = ctx.flights.print(report.row);
    }
    report
}

/// What the call of another row comes to for a row that waited for it.
fn shared(row: RowId, end: &TaskReport) -> TaskReport {
    let step = match &end.step {
        // It may have taken effect, but not for this row.
        TaskStep::Finish { state: CellState::Unknown, .. } => TaskStep::Finish {
            state: CellState::Failed,
            value: None,
            error: Some(cell_error(
                "OUTCOME_UNKNOWN",
                format!(
                    "the same call was made for row {}, and nobody knows what became of it; settle that cell, then retry \
                     failed cells",
                    end.row
                ),
            )),
        },
        step => step.clone(),
    };
    TaskReport::new(row, None, step)
}

async fn record(ctx: &RunContext, reports: &[TaskReport]) -> paceline_model::Result<Run> {
    until_recovered(&ctx.clock, || ctx.store.record(ctx.run, ctx.lease.token, reports.to_vec()))
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
