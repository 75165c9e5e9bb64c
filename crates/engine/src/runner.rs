//! A run at work: a feeder that claims tasks under a lease, workers that make the calls, a reporter that writes what
//! became of them in groups.
//!
//! Bounds: as many workers as calls at once; as many calls that are not on disk yet, under way and answered together;
//! tasks claimed ahead are at most [`RunContext::open_max`]. So after a kill, what may have been sent and is not on disk
//! is at most what may be in flight (spec R4).

mod claim;
mod context;
mod flights;
mod local;
mod queue;
mod reporter;
mod storm;
mod upstream;

use std::sync::Arc;

use paceline_clock::Clock;
use paceline_model::{RowId, Run, RunStatus, Task, TaskReport, TaskStep, limits};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use crate::kind::Local;
use crate::task::{self, Ended, Work};
use claim::claim;
pub use context::Stop;
pub(crate) use context::{Control, RunContext};
pub(crate) use flights::Flights;
use reporter::report;
pub(crate) use reporter::until_recovered;
pub(crate) use storm::Weather;
pub(crate) use upstream::{Reported, Upstream};

/// Works on a run to its end, or until it is stopped. Answers the run as it then stands.
pub(crate) async fn work(ctx: Arc<RunContext>) -> paceline_model::Result<Run> {
    if let Work::Local(local) = &ctx.work
        && ctx.after.is_empty()
    {
        return work_locally(&ctx, local.as_ref()).await;
    }
    let (reports, inbox) = mpsc::channel(ctx.concurrent_max.max(1));
    let mut parts = JoinSet::new();
    parts.spawn(report(Arc::clone(&ctx), inbox).in_current_span());
    for _ in 0..ctx.concurrent_max {
        parts.spawn(worker(Arc::clone(&ctx), reports.clone()).in_current_span());
    }
    drop(reports);
    let fed = tokio::select! {
        fed = feed(&ctx) => fed,
        () = ctx.work.keep(&ctx) => Ok(()),
        () = broken(&ctx, &mut parts) => Ok(()),
    };
    if let Err(error) = &fed {
        ctx.stop(Stop::Store(error.to_string()));
    }
    ctx.control.queue.close();
    while let Some(ended) = parts.join_next().await {
        tell_of_a_panic(&ctx, ended);
    }
    ctx.work.close(&ctx).await;
    let ended = end(&ctx).await;
    ctx.progress.end();
    ctx.reported.send_replace(());
    ended
}

/// Ends when a part of the run has ended in a panic; the run is told to stop. Its cell is in nobody's hands then, and the
/// feeder would wait for it for ever.
async fn broken(ctx: &RunContext, parts: &mut JoinSet<()>) {
    while let Some(ended) = parts.join_next().await {
        if tell_of_a_panic(ctx, ended) {
            return;
        }
    }
    // All have ended because the run was stopped, and the feeder knows.
    std::future::pending::<()>().await;
}

fn tell_of_a_panic(ctx: &RunContext, ended: Result<(), JoinError>) -> bool {
    let Err(error) = ended else { return false };
    tracing::error!(%error, "a part of the run ended in a panic");
    ctx.stop(Stop::Broken);
    ctx.control.unrecorded.close();
    true
}

/// Fills the cells of a column that calls nobody. Where rows come one by one from other runs, the workers do it.
async fn work_locally(ctx: &RunContext, local: &dyn Local) -> paceline_model::Result<Run> {
    if let Err(error) = local::fill(ctx, local).await {
        ctx.stop(Stop::Store(error.to_string()));
    }
    let ended = end(ctx).await;
    ctx.progress.end();
    ctx.reported.send_replace(());
    ended
}

/// Gives back what is still held, and writes how the run ended.
async fn end(ctx: &RunContext) -> paceline_model::Result<Run> {
    let mut held = ctx.control.queue.drain();
    held.extend(ctx.flights.drain());
    let held: Vec<TaskReport> = held.iter().map(|task| task::give_back(task).report).collect();
    let mut run = None;
    for chunk in held.chunks(limits::COMMIT_REPORTS_MAX) {
        run = Some(ctx.store.record(ctx.run, ctx.lease.token, chunk.to_vec()).await?);
    }
    let run =
        match run {
            Some(run) => run,
            None => ctx.store.run(ctx.run).await?.ok_or_else(|| {
                paceline_model::Error::Missing(format!("run {} is gone", ctx.run))
            })?,
        };
    let stop = ctx.stop_reason();
    let status = match &stop {
        _ if run.status.is_final() => return Ok(run),
        Some(Stop::Shutdown) => return Ok(run),
        Some(Stop::Cancel) => RunStatus::Cancelled,
        Some(_) => RunStatus::Paused,
        None if run.counts.failed + run.counts.unknown > 0 => RunStatus::CompletedWithErrors,
        None => RunStatus::Completed,
    };
    ctx.store.set_run_status(ctx.run, status, stop.and_then(|stop| ctx.reason(&stop))).await
}

/// Keeps the queue filled and the leases alive until every task has ended.
async fn feed(ctx: &RunContext) -> paceline_model::Result<()> {
    let mut all_claimed = false;
    let mut upstream = Upstream::new(&ctx.reported, ctx.clock.now());
    let mut renew_at = ctx.clock.now() + limits::LEASE_RENEWAL;
    while !ctx.is_stopped() {
        let now = ctx.clock.now();
        let due_at = ctx.control.queue.release_due(now);
        if now >= renew_at {
            ctx.store.renew_leases(ctx.lease).await?;
            renew_at = now + limits::LEASE_RENEWAL;
        }
        ctx.look_at_the_storm();
        let (ready, open) = ctx.control.queue.sizes();
        if all_claimed && open == 0 {
            return Ok(());
        }
        let room = ctx.open_max().saturating_sub(open);
        let has_room = ready < ctx.claim_max() / 2 && room >= ctx.claim_max();
        if !all_claimed && has_room && upstream.may_look(now) {
            let claimed = claim(ctx).await?;
            all_claimed = claimed.all;
            // Other runs are at its rows, or as many cells as it may take are in its own hands.
            upstream.looked(ctx.clock.now(), claimed.none);
            let waits = claimed.none && !ctx.after.is_empty();
            ctx.progress.waits_for(if waits { waited_for(ctx).await? } else { None });
            continue;
        }
        tokio::select! {
            () = ctx.control.queue.feeder_woken() => {}
            () = ctx.clock.sleep_until(due_at.min(renew_at).min(ctx.storm_due_at())) => {}
            () = upstream.woken(&ctx.clock), if !all_claimed && has_room => {}
        }
    }
    Ok(())
}

/// The run that this one waits for, for people.
async fn waited_for(ctx: &RunContext) -> paceline_model::Result<Option<String>> {
    for run in &ctx.after {
        let Some(run) = ctx.store.run(*run).await?.filter(|run| !run.status.is_final()) else {
            continue;
        };
        let column = ctx.triage.name_of(run.column);
        let mut text = format!("run {} of column {column}", run.id);
        if run.status == RunStatus::Paused {
            text.push_str(", which is paused");
        }
        return Ok(Some(text));
    }
    Ok(None)
}

async fn worker(ctx: Arc<RunContext>, reports: mpsc::Sender<Ended>) {
    while let Some(task) = ctx.control.queue.next().await {
        if ctx.is_stopped() {
            ctx.control.queue.put_back(task);
            break;
        }
        // Closed when nobody is left to write what the call would come to.
        let Ok(slot) = ctx.control.unrecorded.acquire().await else {
            ctx.control.queue.put_back(task);
            break;
        };
        slot.forget();
        let row = task.row;
        match task::work(&ctx, task).await {
            Some(ended) => {
                if reports.send(ended).await.is_err() {
                    break;
                }
            }
            None => {
                leave(&ctx, row).await;
                let next = ctx.flights.lost(row);
                ctx.control.queue.again(next.into_iter().collect(), &ctx.clock);
                ctx.control.unrecorded.add_permits(1);
                ctx.control.queue.ended(1);
            }
        }
    }
}

/// Ends a task that may not be worked on any more, if it is still ours: a person has locked its cell. Of somebody else's the
/// store takes no word of ours.
async fn leave(ctx: &RunContext, row: RowId) {
    let report = TaskReport::new(row, None, TaskStep::Leave);
    let ended = || ctx.store.record(ctx.run, ctx.lease.token, vec![report.clone()]);
    match until_recovered(&ctx.clock, ended).await {
        Ok(run) => ctx.progress.counted(run.counts),
        Err(error) => ctx.stop(Stop::Store(error.to_string())),
    }
}

/// The tasks of a run that nobody works on yet, as the feeder and the workers see them.
pub(crate) fn delayed_until(task: &Task, clock: &Clock) -> Option<paceline_clock::Tick> {
    let wait = task.not_before?.since(clock.wall());
    (!wait.is_zero()).then(|| clock.now() + wait)
}
