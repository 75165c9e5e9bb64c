//! What a person and a program are told at the end of a batch.

use std::path::Path;

use paceline_model::CellState;
use serde_json::{Value as Json, json};

use super::ledger::JobState;
use super::record::Batch;
use super::work::{Done, End};
use crate::commands::plan::number;
use crate::exit::Exit;
use crate::output;

/// Jobs that people are told of one by one.
const JOBS_SHOWN: usize = 50;
/// Characters of an error that stand in the table; the whole of it is in OUT.
const ERROR_CHARS: usize = 200;

/// The report of one command.
pub(super) struct Report<'a> {
    pub(super) batch: &'a Batch,
    pub(super) jobs: &'a [JobState],
    pub(super) done: &'a Done,
    pub(super) elapsed_ms: f64,
    /// Where the rows are written, once everything has come to an end.
    pub(super) output: Option<&'a Path>,
}

impl Report<'_> {
    fn count(&self, outcome: &str) -> usize {
        self.jobs.iter().filter(|job| job.outcome() == outcome).count()
    }

    pub(super) fn exit(&self) -> Exit {
        match &self.done.end {
            End::Interrupted => Exit::Interrupted,
            End::Paused(_) => Exit::Paused,
            End::Complete if self.count("unknown") > 0 => Exit::SomeUnknown,
            End::Complete if self.count("completed") < self.jobs.len() => Exit::SomeFailed,
            End::Complete => Exit::Done,
        }
    }

    /// The command that settles a job, if nobody knows its outcome.
    fn settle(&self, job: &JobState) -> Option<String> {
        let place = match &self.batch.file {
            Some(_) => format!("{}=", job.line),
            None => String::new(),
        };
        (job.state == Some(CellState::Unknown))
            .then(|| format!("{} --settle {place}RUN_ID|again|failed", self.batch.command))
    }

    pub(super) fn print(&self, as_json: bool) {
        self.lines().iter().for_each(|line| output::note(line));
        if as_json {
            output::result(&self.json().to_string());
        }
    }

    /// The report of a single run.
    pub(super) fn print_one(&self, as_json: bool) {
        let Some(job) = self.jobs.first() else { return };
        if as_json {
            output::result(&job.json(self.settle(job)).to_string());
        } else if let Some(report) = &job.report {
            output::result(&format!("status {}", output::in_one_line(&report.status)));
        }
        let error = job.error.as_ref();
        let error =
            error.map(|error| format!("{} {}: {}", job.outcome(), error.code, error.message));
        let settle = self.settle(job).map(|command| format!("settle it: {command}"));
        error.into_iter().chain(settle).for_each(|line| output::note(&output::in_one_line(&line)));
        self.what_next().iter().for_each(|line| output::note(line));
    }

    fn lines(&self) -> Vec<String> {
        let counted: Vec<String> = ["completed", "failed", "unknown", "abandoned", "open"]
            .iter()
            .map(|outcome| (self.count(outcome), outcome))
            .filter(|(count, outcome)| *count > 0 || **outcome == "completed")
            .map(|(count, outcome)| format!("{count} {outcome}"))
            .collect();
        let Done { triggers, throttled, retries, explanations, .. } = self.done;
        let mut lines = self.table();
        lines.extend([
            format!("jobs         {} ({})", self.jobs.len(), counted.join(", ")),
            format!("triggers     {triggers} (refused by Hex {throttled}, retries {retries})"),
        ]);
        lines.extend(explanations.iter().map(|text| format!("refused      {text}")));
        lines.push(format!("elapsed      {}", output::duration(self.elapsed_ms)));
        lines.extend(self.what_next());
        lines
    }

    /// Everything that ended and did not complete, the unknown first: those need somebody.
    fn table(&self) -> Vec<String> {
        let of = |state| self.jobs.iter().filter(move |job| job.state == Some(state));
        let mut found = of(CellState::Unknown).chain(of(CellState::Failed));
        let mut lines = Vec::new();
        for job in found.by_ref().take(JOBS_SHOWN) {
            let error = job.error.as_ref();
            let code = error.map_or("", |error| error.code.as_str());
            let message = error.map_or("", |error| error.message.as_str());
            let message: String = output::in_one_line(message).chars().take(ERROR_CHARS).collect();
            let run = job.run_id().map_or_else(String::new, |run| format!(" run {run}"));
            lines.push(format!(
                "line {:<5} {:<8} {code} project {}{run}: {message}",
                job.line,
                job.outcome(),
                output::in_one_line(&job.project),
            ));
            lines
                .extend(self.settle(job).map(|command| format!("           settle it: {command}")));
        }
        match found.count() {
            0 => {}
            more => lines.push(format!("and {more} more that did not complete")),
        }
        lines
    }

    fn what_next(&self) -> Vec<String> {
        let command = &self.batch.command;
        let flag = if self.batch.file.is_some() { " --retry-failed" } else { "" };
        match &self.done.end {
            End::Paused(reason) => vec![
                format!("paused: {}", output::in_one_line(reason)),
                format!("{command} --resume goes on; no job has failed for it"),
            ],
            End::Interrupted => vec![format!(
                "interrupted: what was started goes on at Hex; {command} --resume goes on with it"
            )],
            End::Complete if self.count("unknown") > 0 => vec![format!(
                "of the unknown jobs nobody knows whether a run was started, and none is started again by itself: look at \
                 the project's runs at Hex and settle each, or look again with {command} --resume"
            )],
            End::Complete if self.count("failed") > 0 && !flag.is_empty() => {
                vec![format!("{command}{flag} starts the failed jobs again")]
            }
            End::Complete => Vec::new(),
        }
    }

    pub(super) fn json(&self) -> Json {
        let paused_reason = match &self.done.end {
            End::Paused(reason) => Some(reason.as_str()),
            End::Interrupted => Some("interrupted"),
            End::Complete => None,
        };
        let jobs = self.jobs.iter().map(|job| job.json(self.settle(job)));
        json!({
            "batch": self.batch.number,
            "total": self.jobs.len(),
            "completed": self.count("completed"),
            "failed": self.count("failed"),
            "unknown": self.count("unknown"),
            "open": self.count("open"),
            "triggers": self.done.triggers,
            "throttled": self.done.throttled,
            "retries": self.done.retries,
            "explanations": self.done.explanations,
            "elapsed_ms": number(self.elapsed_ms.round()),
            "paused_reason": paused_reason,
            "output": self.output.filter(|_| self.done.end == End::Complete),
            "jobs": jobs.collect::<Vec<_>>(),
        })
    }
}
