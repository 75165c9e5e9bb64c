//! A person's word on jobs of which nobody knows whether they were started.

use paceline_engine::Settle;
use paceline_model::CellState;

use super::jobs::clip;
use super::ledger::{COLUMN, JobState, Ledger};
use crate::exit::{Failure, usage};

/// What became of one job, by the line that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) line: u64,
    pub(super) settle: Settle,
}

impl Word {
    /// Reads `LINE=RUN|again|failed`.
    pub(super) fn read(flag: &str) -> Result<Self, Failure> {
        let parts = flag.split_once('=');
        let read = parts.and_then(|(line, word)| Some((line.trim().parse().ok()?, word)));
        let (line, word) = read.ok_or_else(|| {
            usage(format!("--settle {}: write LINE=RUN_ID, LINE=again or LINE=failed", clip(flag)))
        })?;
        Ok(Self { line, settle: settle(word)? })
    }
}

/// Reads `RUN|again|failed`.
pub(super) fn settle(word: &str) -> Result<Settle, Failure> {
    match word.trim() {
        "again" => Ok(Settle::Resend),
        "failed" => Ok(Settle::Failed),
        run if !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Settle::Attach(run.to_owned()))
        }
        _ => Err(usage("--settle: write a run's id, again, or failed")),
    }
}

impl Ledger {
    /// Takes a person's words on jobs; each must be unknown.
    pub(super) async fn settle(&self, jobs: &[JobState], words: &[Word]) -> Result<(), Failure> {
        let unknown = |line: u64| {
            jobs.iter().find(|job| job.line == line && job.state == Some(CellState::Unknown))
        };
        let lines = || {
            let unknown = jobs.iter().filter(|job| job.state == Some(CellState::Unknown));
            let lines: Vec<String> = unknown.take(20).map(|job| job.line.to_string()).collect();
            if lines.is_empty() { "none".to_owned() } else { lines.join(", ") }
        };
        // All or none.
        for word in words {
            if unknown(word.line).is_none() {
                return Err(usage(format!(
                    "--settle: the job of line {} is not unknown; those lines are: {}",
                    word.line,
                    lines()
                )));
            }
            if words.iter().filter(|other| other.line == word.line).count() > 1 {
                return Err(usage(format!("--settle: line {} is there twice", word.line)));
            }
        }
        for word in words {
            if let Some(job) = unknown(word.line) {
                self.engine.settle(&self.table, COLUMN, job.row, word.settle.clone()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let read = |flag| Word::read(flag).map(|word| (word.line, word.settle)).ok();
        let run = Settle::Attach("0190-a".to_owned());
        let cases = [
            ("17=0190-a", Some((17, run))),
            ("2=again", Some((2, Settle::Resend))),
            ("2=failed", Some((2, Settle::Failed))),
            ("2", None),
            ("x=again", None),
            ("2=", None),
            ("2=a b", None),
        ];
        for (flag, wanted) in cases {
            assert_eq!(read(flag), wanted, "{flag}");
        }
    }
}
