//! What becomes of a batch that nobody wants to end: none of its jobs is ever started or looked at again.

use paceline_hex::Note;
use paceline_model::{
    CellError, CellState, Lease, NewRun, NoteStep, Recovery, RowId, RunId, RunStatus, Scope,
    TaskReport, TaskStep, limits,
};

use super::ledger::{JobState, Ledger};
use crate::exit::Failure;

/// The code of jobs that were given up with their batch.
pub(super) const ABANDONED: &str = "ABANDONED";

impl Ledger {
    /// Ends every job that is open, without a call. Rows that a crash left behind before their batch was there go too.
    /// `first` is the batch's first row, if there is a batch.
    pub(super) async fn abandon(&self, first: Option<RowId>) -> Result<(), Failure> {
        let store = self.engine.store();
        let last = store.runs(self.table.id, 1).await?.into_iter().next();
        if let Some(open) = last.filter(|run| !run.status.is_final()) {
            store.recover_run(open.id, Recovery::Reconciled).await?;
            self.skip_all(open.id).await?;
        }
        let known: u64 = store.count_cells(self.column).await?.iter().map(|(_, count)| count).sum();
        if known < store.count_rows(self.table.id, None).await? {
            let scope = Scope::Empty;
            let rest = NewRun::new(self.table.id, self.column, scope);
            let rest = store.create_run(rest).await?;
            self.skip_all(rest.id).await?;
        }
        let Some(first) = first else { return Ok(()) };
        let jobs = self.jobs(first).await?;
        for job in jobs.iter().filter(|job| job.state == Some(CellState::Unknown)) {
            store.fail_unknown(self.column, job.row, abandoned()).await?;
        }
        Ok(())
    }

    async fn skip_all(&self, run: RunId) -> Result<(), Failure> {
        let store = self.engine.store();
        let token = (self.random.next_u64() >> 1) as i64;
        loop {
            let lease = Lease { token, lease: limits::LEASE };
            let claim = store.claim_tasks(run, &[], lease, limits::COMMIT_REPORTS_MAX).await?;
            if claim.tasks.is_empty() && claim.exhausted {
                break;
            }
            let skipped = claim.tasks.iter().map(|task| {
                let (state, error) = (CellState::Skipped, Some(abandoned()));
                let step = TaskStep::Finish { state, value: None, error };
                TaskReport { note: NoteStep::Drop, ..TaskReport::new(task.row, None, step) }
            });
            store.record(run, token, skipped.collect()).await?;
        }
        let reason = Some("abandoned by a person".to_owned());
        store.set_run_status(run, RunStatus::Cancelled, reason).await?;
        Ok(())
    }

    /// Ends the one open job with what is known of its run, which nobody here will watch.
    pub(super) async fn detach(&self, job: &JobState) -> Result<(), Failure> {
        let store = self.engine.store();
        let (Some(Note::Started { .. }), Some(value)) = (&job.note, started_value(job)) else {
            return Ok(());
        };
        let Some(run) = store.runs(self.table.id, 1).await?.into_iter().next() else {
            return Ok(());
        };
        store.recover_run(run.id, Recovery::Reconciled).await?;
        let token = (self.random.next_u64() >> 1) as i64;
        let lease = Lease { token, lease: limits::LEASE };
        store.claim_tasks(run.id, &[], lease, 1).await?;
        let step = TaskStep::Finish {
            state: CellState::Completed,
            value: Some(paceline_model::Value::Json(value)),
            error: None,
        };
        let report = TaskReport { note: NoteStep::Drop, ..TaskReport::new(job.row, None, step) };
        store.record(run.id, token, vec![report]).await?;
        store.set_run_status(run.id, RunStatus::Completed, None).await?;
        Ok(())
    }
}

/// What stands in the cell of a run that was started and left alone.
fn started_value(job: &JobState) -> Option<serde_json::Value> {
    let Some(Note::Started { run_id, run_url, trace_id, .. }) = &job.note else { return None };
    Some(serde_json::json!({
        "runId": run_id, "status": "STARTED", "elapsed_ms": null, "runUrl": run_url, "traceId": trace_id,
    }))
}

fn abandoned() -> CellError {
    CellError {
        code: ABANDONED.to_owned(),
        message: "its batch was abandoned (--restart); a run that was started goes on at Hex"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use clap::Parser;
    use paceline_clock::{Clock, Random};
    use paceline_hex::{Secret, TokenError, TokenSource};

    use super::*;
    use crate::args::hex::{BatchArgs, HexCommand};
    use crate::args::{Args, Command};
    use crate::commands::hex::account::{Account, Settings};
    use crate::commands::hex::jobs::JobRow;
    use crate::commands::hex::state::State;

    struct NoToken;

    #[async_trait]
    impl TokenSource for NoToken {
        async fn read(&self) -> Result<Secret, TokenError> {
            Err(TokenError("nobody may ask".to_owned()))
        }
    }

    fn batch_args(state: &str) -> BatchArgs {
        let words = ["paceline", "hex", "batch", "x.csv", "--state", state];
        let words = words.iter().chain(&["--base-url", "https://hex.example.com"]);
        match Args::try_parse_from(words).unwrap().command {
            Command::Hex(args) => match args.command {
                HexCommand::Batch(args) => *args,
                _ => unreachable!(),
            },
            _ => unreachable!(),
        }
    }

    fn rows(lines: std::ops::Range<u64>) -> Vec<JobRow> {
        let row = |line| JobRow { line, project: "p".to_owned(), params: serde_json::Map::new() };
        lines.map(row).collect()
    }

    /// A crash between the rows of a batch and its record leaves rows that belong to nobody: no later run may take them.
    #[tokio::test]
    async fn rows_without_a_batch_are_never_started() {
        let dir = tempfile::tempdir().unwrap();
        let args = batch_args(dir.path().join("state").to_str().unwrap());
        let (clock, random) = (Clock::system(), Random::system());
        let account = Account::of(&args.account).unwrap();
        let settings = Settings::of(&account, &args.tuning, 5).unwrap();
        let state = State::open(&account, "test", &clock).unwrap();
        let tokens = Arc::new(NoToken);
        let ledger = Ledger::open(&state, &account, &settings, tokens, (&clock, &random));
        let ledger = ledger.await.unwrap();
        ledger.insert(1, rows(2..5)).await.unwrap();
        ledger.abandon(None).await.unwrap();
        let first = ledger.insert(2, rows(2..4)).await.unwrap().unwrap();
        assert_eq!(first, RowId(4));
        let (all, new) = (ledger.jobs(RowId(1)).await.unwrap(), ledger.jobs(first).await.unwrap());
        // Of each line the last row counts; only the third one's row is of the batch that never was.
        let states = |jobs: &[crate::commands::hex::ledger::JobState]| {
            jobs.iter().map(|job| (job.line, job.state)).collect::<Vec<_>>()
        };
        assert_eq!(states(&new), [(2, None), (3, None)]);
        assert_eq!(states(&all), [(2, None), (3, None), (4, Some(CellState::Skipped))]);
        let run = NewRun::new(ledger.table.id, ledger.column, Scope::Empty);
        let run = ledger.engine.store().create_run(run).await.unwrap();
        assert_eq!(run.counts.total, 2);
        // What is under way is given up as well.
        ledger.abandon(Some(first)).await.unwrap();
        let states = states(&ledger.jobs(first).await.unwrap());
        assert_eq!(states, [(2, Some(CellState::Skipped)), (3, Some(CellState::Skipped))]);
        ledger.abandon(Some(first)).await.unwrap();
    }
}
