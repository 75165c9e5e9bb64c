//! A batch at work: one run of the account's column after another, until every job has come to an end.

use paceline_engine::Progress;
use paceline_hex::{Note, Session};
use paceline_model::{CellState, Run, RunStatus, Scope};

use super::ledger::{COLUMN, JobState, Ledger};
use super::record::Batch;
use crate::commands::follow::follow;
use crate::exit::Failure;
use crate::output;
use crate::signals::Signals;

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Complete,
    Paused(String),
    Interrupted,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) end: End,
    /// POSTs that asked for a run, also those that were refused.
    pub(super) triggers: u64,
    pub(super) throttled: u64,
    pub(super) retries: u64,
    /// Why starts were refused, each reason once.
    pub(super) explanations: Vec<String>,
}

impl Done {
    /// Both, one after the other.
    pub(super) fn after(mut self, before: Self) -> Self {
        self.triggers += before.triggers;
        self.throttled += before.throttled;
        self.retries += before.retries;
        let new = before.explanations.into_iter().filter(|text| !self.explanations.contains(text));
        let new: Vec<String> = new.collect();
        self.explanations.extend(new);
        self
    }

    fn add(&mut self, before: &Run, after: &Run, progress: Option<&Progress>) {
        self.triggers += after.counts.calls - before.counts.calls.min(after.counts.calls);
        self.throttled +=
            after.counts.throttled - before.counts.throttled.min(after.counts.throttled);
        self.retries += after.counts.retries - before.counts.retries.min(after.counts.retries);
        for text in progress.iter().flat_map(|progress| &progress.explanations) {
            if !self.explanations.contains(text) {
                self.explanations.push(text.clone());
            }
        }
    }
}

/// Works on a batch until nothing is left to do for it. `look_again`: for jobs of which nobody knows, too.
pub(super) async fn work(
    ledger: &Ledger,
    batch: &Batch,
    mut look_again: bool,
    signals: &mut Signals,
) -> Result<Done, Failure> {
    let mut done = Done::default();
    while let Some(run) = next(ledger, batch, &mut look_again).await? {
        let stopping = |progress: &Progress| stopping(batch, progress);
        let followed = follow(&ledger.engine, &run, &ledger.clock, signals, stopping).await?;
        let (ended, progress) = followed;
        done.add(&run, &ended, progress.as_ref());
        match ended.status {
            RunStatus::Completed | RunStatus::CompletedWithErrors => {}
            RunStatus::Paused => {
                done.end = End::Paused(ended.reason.unwrap_or_else(|| "paused".to_owned()));
                break;
            }
            _ => {
                done.end = End::Interrupted;
                break;
            }
        }
    }
    Ok(done)
}

/// The next run, at work: an unfinished one, one for jobs that were not begun, or one that looks again for unknown ones.
pub(super) async fn next(
    ledger: &Ledger,
    batch: &Batch,
    look_again: &mut bool,
) -> Result<Option<Run>, Failure> {
    let Ledger { engine, table, .. } = ledger;
    let last = engine.store().runs(table.id, 1).await?.into_iter().next();
    if let Some(open) = last.filter(|run| !run.status.is_final()) {
        *look_again &= open.scope != Scope::Unknown;
        return Ok(Some(engine.resume_run(open.id).await?));
    }
    let Some(first) = batch.first_row() else { return Ok(None) };
    let jobs = ledger.jobs(first).await?;
    let any = |state: Option<CellState>| jobs.iter().any(|job| job.state == state);
    if any(None) {
        return Ok(Some(engine.start_run(table, COLUMN, Scope::Empty).await?));
    }
    if std::mem::take(look_again) && any(Some(CellState::Unknown)) {
        return Ok(Some(engine.start_run(table, COLUMN, Scope::Unknown).await?));
    }
    Ok(None)
}

fn stopping(batch: &Batch, progress: &Progress) -> String {
    let under_way = progress.jobs.map_or(0, |jobs| jobs.pending + jobs.running);
    format!(
        "stopping {}: {under_way} runs go on at Hex, and starts under way are settled first; again to stop at once",
        batch.name()
    )
}

/// Cancels at Hex what was started for jobs that are not at their end.
pub(super) async fn cancel_started(session: &Session, jobs: &[JobState]) {
    for job in jobs.iter().filter(|job| job.state.is_none()) {
        let Some(Note::Started { project, run_id, attached: false, .. }) = &job.note else {
            continue;
        };
        match session.cancel(project, run_id).await {
            Ok(()) => output::note(&format!("cancelled run {run_id} (line {})", job.line)),
            Err(error) => {
                output::note(&format!(
                    "run {run_id} (line {}) was not cancelled: {error}",
                    job.line
                ));
            }
        }
    }
}
