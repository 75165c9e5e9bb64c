//! From a run to its end: what is heard of it, and what is done when it takes too long.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use paceline_clock::Tick;

use super::clocks::{Alarm, Vigil};
use super::{Performance, unknown};
use crate::watcher::News;
use crate::{End, EndKind, Error, Run, RunId, RunReport, RunStatus, codes};

/// From one cancel that gets no answer to the next, at least and at most.
const CANCEL_WAIT_MIN: Duration = Duration::from_secs(1);
const CANCEL_WAIT_MAX: Duration = Duration::from_secs(60);

/// A run that is a job's.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) project: String,
    pub(super) run_id: RunId,
    pub(super) run_url: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) started_at: Tick,
    /// It is somebody else's: never cancelled.
    pub(super) attached: bool,
}

/// A watch over one run.
struct Watch {
    started: Started,
    vigil: Vigil,
    last: Option<Run>,
    gone: String,
}

impl Performance<'_> {
    /// Watches the run to its end.
    pub(super) async fn watch(&self, started: Started) -> Result<End, End> {
        let now = self.session.clock.now();
        let due = (started.started_at + self.session.options.poll_interval).max(now);
        let mut ear = self.session.watcher.watch(&started.project, &started.run_id, due);
        let vigil = Vigil::new(started.started_at, now);
        let mut watch = Watch { started, vigil, last: None, gone: String::new() };
        loop {
            let (at, alarm) = watch.vigil.next(&self.session.options);
            let news = async {
                tokio::select! {
                    biased;
                    news = ear.hear() => Some(news),
                    () = self.session.clock.sleep_until(at) => None,
                }
            };
            match self.or_stopped(news).await? {
                Some(News::Seen(run)) => {
                    if let Some(end) = self.seen(&mut watch, run) {
                        return Ok(end);
                    }
                }
                Some(News::Gone(message)) => {
                    watch.vigil.gone(self.session.clock.now());
                    watch.gone = message;
                }
                Some(News::NoCredentials(message)) => {
                    return Ok(self.end(EndKind::NoCredentials { message }));
                }
                Some(News::None) => {}
                None => {
                    if let Some(end) = self.alarm(&mut watch, alarm).await? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    fn seen(&self, watch: &mut Watch, run: Run) -> Option<End> {
        let (now, wall) = (self.session.clock.now(), self.session.clock.wall());
        let began = run.start_time.map(|start| now.before(wall.since(start)));
        watch.vigil.seen(now, run.status == RunStatus::Running, began);
        if let RunStatus::Unknown(word) = &run.status
            && watch.last.as_ref().is_none_or(|last| last.status != run.status)
        {
            tracing::warn!(run = %run.run_id, status = %word, "Hex tells of a status that is not known; it is no end");
        }
        let is_over = run.status.is_terminal();
        let end = is_over.then(|| self.over(watch, &run));
        watch.last = Some(run);
        end
    }

    /// The run is over.
    fn over(&self, watch: &Watch, run: &Run) -> End {
        self.session.ended.fetch_add(1, Relaxed);
        let report = report(&watch.started, run);
        let name = format!("run {} of project {}", run.run_id, watch.started.project);
        let failed = |code, message| EndKind::Failed { code, message, run: Some(report.clone()) };
        let kind = match &run.status {
            RunStatus::Completed => EndKind::Completed(report),
            RunStatus::Killed if watch.vigil.is_cancelled() => {
                failed(codes::STUCK, format!("{name} was cancelled because it took too long"))
            }
            RunStatus::Killed => failed(
                codes::KILLED,
                format!(
                    "{name} was cancelled in Hex, not from here; retry it if that was a mistake"
                ),
            ),
            RunStatus::UnableToAllocateKernel => failed(
                codes::NO_KERNEL,
                format!(
                    "{name} got no kernel of Hex's; close notebooks, or lower kernels, then retry"
                ),
            ),
            _ => failed(codes::ERRORED, format!("{name} failed in Hex; look at its log there")),
        };
        End { kind, post: None, note: None }
    }

    async fn alarm(&self, watch: &mut Watch, alarm: Alarm) -> Result<Option<End>, End> {
        let name = format!("run {} of project {}", watch.started.run_id, watch.started.project);
        let candidates = vec![watch.started.run_id.clone()];
        let message = match alarm {
            Alarm::Stuck if self.session.options.cancel_stuck && !watch.started.attached => {
                self.cancel(&watch.started).await?;
                watch.vigil.cancelled(self.session.clock.now());
                return Ok(None);
            }
            Alarm::Stuck => format!("{name} takes too long; it was left running"),
            Alarm::NotCancelled => {
                format!(
                    "{name} took too long, and did not end after it was cancelled; look at it in Hex"
                )
            }
            Alarm::Gone => {
                let gone = format!("{name} was started, but Hex does not show it: {}", watch.gone);
                return Ok(Some(self.end(unknown(gone, candidates))));
            }
            Alarm::Unseen => {
                let unseen = format!(
                    "{name} was started, and nothing was heard of it since; look at it in Hex"
                );
                return Ok(Some(self.end(unknown(unseen, candidates))));
            }
        };
        let run = watch.last.as_ref().map(|run| report(&watch.started, run));
        let kind = EndKind::Failed { code: codes::STUCK, message, run };
        Ok(Some(End { kind, post: None, note: None }))
    }

    /// Has Hex cancel the run, as long as a cancelled one may take to end. What came of it the run's status tells: it may
    /// have ended meanwhile.
    async fn cancel(&self, started: &Started) -> Result<(), End> {
        let clock = &self.session.clock;
        let until = clock.now() + self.session.options.cancel_wait_max;
        let mut wait = self.session.options.retry.error_base.max(CANCEL_WAIT_MIN);
        loop {
            let cancel = self.session.client.cancel(&started.project, &started.run_id);
            match self.or_stopped(cancel).await? {
                Err(Error::NoCredentials(message)) => {
                    return Err(self.end(EndKind::NoCredentials { message }));
                }
                Err(error) if error.may_pass() && clock.now() + wait < until => {
                    tracing::debug!(%error, "a cancel failed; it will be sent again");
                    self.or_stopped(clock.sleep(wait)).await?;
                    wait = wait.saturating_mul(2).min(CANCEL_WAIT_MAX);
                }
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }
}

fn report(started: &Started, run: &Run) -> RunReport {
    RunReport {
        run_id: run.run_id.clone(),
        status: run.status.as_str().to_owned(),
        elapsed_ms: run.elapsed_ms,
        run_url: run.run_url.clone().or_else(|| started.run_url.clone()),
        trace_id: run.trace_id.clone().or_else(|| started.trace_id.clone()),
    }
}
