//! A run at work: a feeder that claims tasks under a lease, workers that make the calls, a reporter that writes what
//! became of them in groups.
//!
//! Bounds: as many workers as calls at once; as many calls that are not on disk yet, under way and answered together;
//! tasks claimed ahead are at most [`RunContext::open_max`]. So after a kill, what may have been sent and is not on disk
//! is at most what may be in flight (spec R4).

mod queue;
mod reporter;

use std::sync::{Arc, Mutex, PoisonError};

use paceline_clock::Clock;
use paceline_governor::{Budget, RetryPolicy, Trip};
use paceline_model::{
    CellError, Column, Lease, Run, RunId, RunStatus, Store, Task, TaskReport, limits,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::Instrument;

use crate::progress::ProgressState;
use crate::task::{self, Ended};
use crate::{HttpColumn, Provider};
use queue::TaskQueue;
use reporter::report;

/// Tasks claimed at once at the least: a claim costs a transaction.
const CLAIM_TASKS_MIN: usize = 256;

/// Why a run stops before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A person paused it.
    Pause,
    /// A person cancelled it.
    Cancel,
    /// The process is going down; the run stays `running` on record and goes on at the next start.
    Shutdown,
    /// The breaker tripped.
    Breaker(Trip),
    /// The store failed for good.
    Store(String),
}

/// Everything the parts of a run share.
pub(crate) struct RunContext {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) run: RunId,
    pub(crate) column: Column,
    pub(crate) http: HttpColumn,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) budget: Budget,
    pub(crate) policy: RetryPolicy,
    pub(crate) retry_on: Vec<u16>,
    pub(crate) lease: Lease,
    /// Whether each call is noted on disk before it leaves: if it may not be repeated, or if its window is so long
    /// that a restart must know of it.
    pub(crate) records_intents: bool,
    pub(crate) concurrent_max: usize,
    pub(crate) progress: Arc<ProgressState>,
    /// What makes the idempotency keys of this directory and this call their own.
    key_seed: [u8; blake3::KEY_LEN],
    /// One per call that may be sent and not be on disk; the reporter gives back what it has written.
    unrecorded: Semaphore,
    stop: watch::Sender<Option<Stop>>,
    last_error: Mutex<Option<CellError>>,
    queue: TaskQueue,
}

/// What a context is made from; named, because several have the same type.
pub(crate) struct RunParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) run: RunId,
    pub(crate) column: Column,
    pub(crate) http: HttpColumn,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) budget: Budget,
    pub(crate) policy: RetryPolicy,
    pub(crate) retry_on: Vec<u16>,
    pub(crate) lease: Lease,
    pub(crate) records_intents: bool,
    pub(crate) concurrent_max: usize,
    pub(crate) progress: Arc<ProgressState>,
    pub(crate) key_seed: String,
}

impl RunContext {
    pub(crate) fn new(parts: RunParts) -> Arc<Self> {
        Arc::new(Self {
            store: parts.store,
            clock: parts.clock,
            run: parts.run,
            column: parts.column,
            http: parts.http,
            provider: parts.provider,
            budget: parts.budget,
            policy: parts.policy,
            retry_on: parts.retry_on,
            lease: parts.lease,
            records_intents: parts.records_intents,
            concurrent_max: parts.concurrent_max,
            progress: parts.progress,
            key_seed: *blake3::hash(parts.key_seed.as_bytes()).as_bytes(),
            unrecorded: Semaphore::new(parts.concurrent_max),
            stop: watch::Sender::new(None),
            last_error: Mutex::new(None),
            queue: TaskQueue::default(),
        })
    }

    /// Stops the run: nothing new starts, what is in flight ends and is recorded. The first reason stands.
    pub(crate) fn stop(&self, stop: Stop) {
        self.stop.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(stop);
            first
        });
        self.queue.wake_feeder();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`.
        let _ = stop.wait_for(Option::is_some).await;
    }

    /// What tells a vendor that two attempts are one call: the same for every attempt of one cell at one call with the
    /// same inputs, and for nothing else in the world. A new rate or a new secret makes no other call of it.
    pub(crate) fn cell_key(&self, task: &Task) -> String {
        // Not the column's version: a new rate or secret raises that too. The call itself is in the seed.
        let mut hasher = blake3::Hasher::new_keyed(&self.key_seed);
        hasher.update([self.column.id.0, task.row.0].map(i64::to_le_bytes).as_flattened());
        for input in &task.inputs {
            let text = input.to_text();
            hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
        format!("pl-{}", &hasher.finalize().to_hex()[..32])
    }

    pub(crate) fn note_error(&self, error: &CellError) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    fn last_error(&self) -> Option<CellError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn claim_max(&self) -> usize {
        (2 * self.concurrent_max).clamp(CLAIM_TASKS_MIN, limits::CLAIM_TASKS_MAX)
    }

    /// Tasks held at the most: what the workers hold, what is claimed ahead, and what waits to be tried again.
    pub(crate) fn open_max(&self) -> usize {
        4 * self.concurrent_max + 2 * self.claim_max()
    }

    /// Why the run stopped, in words that say what to do.
    fn reason(&self, stop: &Stop) -> Option<String> {
        let last = self
            .last_error()
            .map_or_else(String::new, |error| format!("; last: {}", error.message));
        match stop {
            Stop::Pause => Some("paused by a person; resume it to go on".to_owned()),
            Stop::Cancel => Some("cancelled by a person".to_owned()),
            Stop::Shutdown => None,
            Stop::Breaker(trip) => Some(format!(
                "breaker: {trip}{last}. Mend the cause, then resume with the failed cells (retry failed)"
            )),
            Stop::Store(error) => Some(format!("store: {error}. Mend the cause, then resume")),
        }
    }
}

/// Works on a run to its end, or until it is stopped. Answers the run as it then stands.
pub(crate) async fn work(ctx: Arc<RunContext>) -> paceline_model::Result<Run> {
    let (reports, inbox) = mpsc::channel(ctx.concurrent_max.max(1));
    let reporter = tokio::spawn(report(Arc::clone(&ctx), inbox).in_current_span());
    let workers: Vec<_> = (0..ctx.concurrent_max)
        .map(|_| worker(Arc::clone(&ctx), reports.clone()).in_current_span())
        .map(tokio::spawn)
        .collect();
    drop(reports);
    let fed = feed(&ctx).await;
    if let Err(error) = &fed {
        ctx.stop(Stop::Store(error.to_string()));
    }
    ctx.queue.close();
    for worker in workers {
        if let Err(error) = worker.await {
            tracing::error!(%error, "a worker ended in a panic");
        }
    }
    if let Err(error) = reporter.await {
        tracing::error!(%error, "the reporter ended in a panic");
    }
    let ended = end(&ctx).await;
    ctx.progress.end();
    ended
}

/// Gives back what is still held, and writes how the run ended.
async fn end(ctx: &RunContext) -> paceline_model::Result<Run> {
    let held: Vec<TaskReport> =
        ctx.queue.drain().iter().map(|task| task::give_back(task).report).collect();
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
    let stop = ctx.stop.borrow().clone();
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
    let mut renew_at = ctx.clock.now() + limits::LEASE_RENEWAL;
    while !ctx.is_stopped() {
        let now = ctx.clock.now();
        let due_at = ctx.queue.release_due(now);
        if now >= renew_at {
            ctx.store.renew_leases(ctx.lease).await?;
            renew_at = now + limits::LEASE_RENEWAL;
        }
        let (ready, open) = ctx.queue.sizes();
        if all_claimed && open == 0 {
            return Ok(());
        }
        let room = ctx.open_max().saturating_sub(open);
        if !all_claimed && ready < ctx.claim_max() / 2 && room >= ctx.claim_max() {
            all_claimed = claim(ctx).await?;
            continue;
        }
        tokio::select! {
            () = ctx.queue.feeder_woken() => {}
            () = ctx.clock.sleep_until(due_at.min(renew_at)) => {}
        }
    }
    Ok(())
}

/// Claims once; true if nothing is left to claim.
async fn claim(ctx: &RunContext) -> paceline_model::Result<bool> {
    let max = ctx.claim_max();
    let claim = ctx.store.claim_tasks(ctx.run, &ctx.http.inputs, ctx.lease, max).await?;
    let all_claimed = claim.exhausted && claim.tasks.len() < max;
    ctx.queue.add(claim.tasks, &ctx.clock);
    Ok(all_claimed)
}

async fn worker(ctx: Arc<RunContext>, reports: mpsc::Sender<Ended>) {
    while let Some(task) = ctx.queue.next().await {
        if ctx.is_stopped() {
            ctx.queue.put_back(task);
            break;
        }
        // Never closed.
        if let Ok(slot) = ctx.unrecorded.acquire().await {
            slot.forget();
        }
        match task::work(&ctx, task).await {
            Some(ended) => {
                if reports.send(ended).await.is_err() {
                    break;
                }
            }
            None => {
                ctx.unrecorded.add_permits(1);
                ctx.queue.ended(1);
            }
        }
    }
}

/// The tasks of a run that nobody works on yet, as the feeder and the workers see them.
pub(crate) fn delayed_until(task: &Task, clock: &Clock) -> Option<paceline_clock::Tick> {
    let wait = task.not_before?.since(clock.wall());
    (!wait.is_zero()).then(|| clock.now() + wait)
}
