//! The batch that the state is about: the one that is under way, or the last one.

use paceline_hex::Note;
use paceline_model::RowId;
use serde::{Deserialize, Serialize};

use super::ledger::{JobState, Ledger, damaged};
use crate::exit::{Failure, usage};
use paceline_files::Spooled;

const BATCH: &str = "hex_batch";

/// A batch, as the state keeps it. Its jobs are the rows from `first` on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// The file's kept copy; none for a single run.
    pub(super) file: Option<Spooled>,
    /// Of everything that says what is run: who gives the same again goes on with it.
    pub(super) identity: String,
    /// The command that goes on with it, ready for a shell.
    pub(super) command: String,
    pub(super) jobs: u64,
    /// `None`: it has no jobs.
    pub(super) first: Option<i64>,
    /// Everything is known of it and has been written.
    pub(super) closed: bool,
}

impl Batch {
    pub(super) fn first_row(&self) -> Option<RowId> {
        self.first.map(RowId)
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        let what = self.file.as_ref().map_or("one run", |file| &file.name);
        format!("batch {} ({what}, {} jobs)", self.number, self.jobs)
    }

    /// The last batch of a state, if there was one. If it is open, and nothing was ever sent for it (a wrong token, say), it
    /// is closed, unless it is the one to go on with.
    pub(super) async fn last(
        ledger: &Ledger,
        identity: &str,
        wish: Wish,
    ) -> Result<Option<Self>, Failure> {
        let kept = ledger.engine.store().setting(BATCH).await?;
        let last: Option<Self> =
            kept.map(|kept| serde_json::from_str(&kept).map_err(|_| damaged())).transpose()?;
        let Some(mut last) = last else { return Ok(None) };
        let is_wanted = wish.goes_on() && last.identity == identity;
        if let Some(first) = last.first_row().filter(|_| !last.closed && !is_wanted) {
            let jobs = ledger.jobs(first).await?;
            let untouched = |job: &JobState| {
                job.state.is_none() && matches!(job.note, None | Some(Note::Resend))
            };
            if jobs.iter().all(untouched) {
                ledger.abandon(None).await?;
                last.closed = true;
                last.save(ledger).await?;
            }
        }
        Ok(Some(last))
    }

    pub(super) async fn save(&self, ledger: &Ledger) -> Result<(), Failure> {
        let text = serde_json::to_string(self)?;
        Ok(ledger.engine.store().set_setting(BATCH, &text).await?)
    }
}

/// What a command wants of what is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    pub(super) resume: bool,
    pub(super) restart: bool,
    pub(super) retry_failed: bool,
    pub(super) settle: bool,
}

impl Wish {
    fn goes_on(self) -> bool {
        self.resume || self.retry_failed || self.settle
    }
}

/// What becomes of it.
#[derive(Debug)]
pub(super) enum Way {
    /// Begin a new batch with this number.
    Begin(u64),
    /// Give up the open batch and begin a new one with this number.
    Replace(Batch, u64),
    GoOn(Batch),
    /// Everything of it has ended; its failed jobs are to be started again.
    RetryFailed(Batch),
}

/// Which way to go; or what is in the way, and what to do about it.
pub(super) fn way(last: Option<Batch>, identity: &str, wish: Wish) -> Result<Way, Failure> {
    let next = last.as_ref().map_or(1, |last| last.number + 1);
    let goes_on = wish.goes_on();
    match last {
        Some(open) if !open.closed => match () {
            () if wish.restart => Ok(Way::Replace(open, next)),
            () if goes_on && open.identity == identity => Ok(Way::GoOn(open)),
            () if goes_on => Err(usage(format!(
                "{} is unfinished, and this is not the same: go on with it first ({} --resume), or give it up with --restart",
                open.name(),
                open.command
            ))),
            () => Err(usage(format!(
                "{} is unfinished: go on with it ({} --resume), or give it up with --restart",
                open.name(),
                open.command
            ))),
        },
        Some(closed) if wish.retry_failed && closed.identity == identity => {
            Ok(Way::RetryFailed(closed))
        }
        Some(closed) if wish.retry_failed => Err(usage(format!(
            "--retry-failed is for the last batch, and that was {}; make a file of the failed rows instead",
            closed.name()
        ))),
        None if wish.retry_failed => Err(usage("--retry-failed: there was no batch yet")),
        Some(_) | None if wish.settle => Err(usage("--settle: no job's outcome is unknown")),
        Some(_) | None => Ok(Way::Begin(next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(closed: bool) -> Option<Batch> {
        Some(Batch {
            number: 3,
            file: None,
            identity: "same".to_owned(),
            command: "paceline hex run p".to_owned(),
            jobs: 1,
            first: Some(7),
            closed,
        })
    }

    fn told(last: Option<Batch>, identity: &str, flags: [bool; 4]) -> String {
        let [resume, restart, retry_failed, settle] = flags;
        match way(last, identity, Wish { resume, restart, retry_failed, settle }) {
            Ok(Way::Begin(number)) => format!("begin {number}"),
            Ok(Way::Replace(_, number)) => format!("replace {number}"),
            Ok(Way::GoOn(_)) => "go on".to_owned(),
            Ok(Way::RetryFailed(_)) => "retry".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_open_is_never_forgotten_by_accident() {
        const RESUME: [bool; 4] = [true, false, false, false];
        const RESTART: [bool; 4] = [false, true, false, false];
        const RETRY: [bool; 4] = [false, false, true, false];
        const SETTLE: [bool; 4] = [false, false, false, true];
        let cases = [
            (None, "same", [false; 4], "begin 1"),
            (None, "same", RESUME, "begin 1"),
            (None, "same", RETRY, "no batch yet"),
            (None, "same", SETTLE, "unknown"),
            (batch(false), "same", [false; 4], "paceline hex run p --resume"),
            (batch(false), "same", RESUME, "go on"),
            (batch(false), "same", RETRY, "go on"),
            (batch(false), "same", SETTLE, "go on"),
            (batch(false), "other", RESUME, "not the same"),
            (batch(false), "other", RESTART, "replace 4"),
            (batch(true), "same", [false; 4], "begin 4"),
            (batch(true), "same", RESUME, "begin 4"),
            (batch(true), "same", RESTART, "begin 4"),
            (batch(true), "same", RETRY, "retry"),
            (batch(true), "other", RETRY, "batch 3"),
        ];
        for (last, identity, flags, wanted) in cases {
            let found = told(last, identity, flags);
            assert!(found.contains(wanted), "{wanted}: {found}");
        }
    }
}
