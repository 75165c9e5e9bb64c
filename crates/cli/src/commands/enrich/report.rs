//! What a person and a program are told at the end.

use std::time::Duration;

use paceline_engine::Progress;
use paceline_governor::{PlanRequest, Rate, plan};
use serde_json::json;

use super::job::Totals;
use super::request::Request;
use super::state::StateDir;
use crate::commands::plan::number;
use crate::exit::Exit;
use crate::output;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Paused(String),
    Interrupted,
}

/// The report of one command.
#[derive(Debug)]
pub(crate) struct Report {
    before: Totals,
    after: Totals,
    end: End,
    elapsed_ms: f64,
    optimum_ms: f64,
    /// Time spent in calls, for their mean.
    call_ms: f64,
    /// Why calls were refused, each reason once.
    explanations: Vec<String>,
}

impl Report {
    pub(crate) fn new(before: &Totals) -> Self {
        Self {
            before: *before,
            after: *before,
            end: End::Complete,
            elapsed_ms: 0.0,
            optimum_ms: 0.0,
            call_ms: 0.0,
            explanations: Vec::new(),
        }
    }

    /// Adds what one run took.
    pub(crate) fn add(&mut self, progress: &Progress) {
        self.elapsed_ms += progress.elapsed_ms;
        self.call_ms = self.call_ms.max(progress.call_ms);
        for explanation in &progress.explanations {
            if !self.explanations.contains(explanation) {
                self.explanations.push(explanation.clone());
            }
        }
    }

    pub(crate) fn paused(&mut self, reason: Option<&str>) {
        self.end = End::Paused(reason.unwrap_or("paused").to_owned());
    }

    pub(crate) fn interrupted(&mut self) {
        self.end = End::Interrupted;
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.end == End::Complete
    }

    /// Takes the final counts, and works out the optimum: when as many cells could have ended at the earliest, each with
    /// one call as long as the mean of these.
    pub(crate) fn finish(&mut self, after: &Totals, rate: &Rate) {
        self.after = *after;
        let calls =
            (after.calls - self.before.calls).saturating_sub(after.retries - self.before.retries);
        let request = PlanRequest {
            calls,
            limits: rate.limits.clone(),
            concurrency: Some(rate.concurrent_max),
            service: Duration::try_from_secs_f64(self.call_ms / 1e3).unwrap_or_default(),
        };
        self.optimum_ms = plan(&request).map_or(0.0, |plan| plan.end_ms);
    }

    /// Optimum over elapsed, at most 1.
    fn utilisation(&self) -> f64 {
        if self.elapsed_ms <= 0.0 { 1.0 } else { (self.optimum_ms / self.elapsed_ms).min(1.0) }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self.end {
            End::Interrupted => Exit::Interrupted,
            End::Paused(_) => Exit::Paused,
            End::Complete if self.after.unknown > 0 => Exit::SomeUnknown,
            End::Complete if self.after.failed > 0 => Exit::SomeFailed,
            End::Complete => Exit::Done,
        }
    }

    pub(crate) fn print(&self, request: &Request, state: &StateDir) {
        let print = if request.report_on_stdout { output::result } else { output::note };
        for line in self.lines(request, state) {
            print(&line);
        }
        if request.json {
            output::result(&self.json());
        }
    }

    fn lines(&self, request: &Request, state: &StateDir) -> Vec<String> {
        let (now, before) = (&self.after, &self.before);
        let count = output::thousands;
        let mut cells = vec![format!("{} completed", count(now.completed))];
        for (number, name) in
            [(now.failed, "failed"), (now.skipped, "skipped"), (now.unknown, "unknown")]
        {
            if number > 0 {
                cells.push(format!("{} {name}", count(number)));
            }
        }
        let mut lines = vec![
            format!("rows         {} ({})", count(now.rows), cells.join(", ")),
            format!(
                "calls        {} (refused by the vendor {}, retries {})",
                count(now.calls - before.calls),
                count(now.throttled - before.throttled),
                count(now.retries - before.retries)
            ),
        ];
        lines.extend(self.explanations.iter().map(|text| format!("refused      {text}")));
        lines.extend([
            format!("elapsed      {}", output::duration(self.elapsed_ms)),
            format!("optimum      {}", output::duration(self.optimum_ms)),
            format!("utilisation  {:.3}", self.utilisation()),
        ]);
        lines.extend(self.what_next(request, state));
        lines
    }

    fn what_next(&self, request: &Request, state: &StateDir) -> Vec<String> {
        let state = state.path.display();
        match &self.end {
            End::Paused(reason) => {
                return vec![
                    format!("paused: {}", output::in_one_line(reason)),
                    format!(
                        "run the same command again to go on, with --retry-failed for the failed cells too (state: {state})"
                    ),
                ];
            }
            End::Interrupted => {
                return vec![format!(
                    "interrupted: run the same command again to go on (state: {state})"
                )];
            }
            End::Complete => {}
        }
        let mut lines = Vec::new();
        if self.after.calls == self.before.calls && self.after.rows > 0 {
            lines.push(format!(
                "nothing was left to call; {} is written anew. --restart calls everything again",
                request.output.display()
            ));
        }
        if self.after.unknown > 0 {
            lines.push(
                "unknown cells may have taken effect and were not repeated; look at the vendor's side. Their rows stand \
                 in the output with an empty cell; to call them, enrich a file of just these rows, or everything with \
                 --restart"
                    .to_owned(),
            );
        }
        if self.after.failed > 0 {
            lines.push(
                "run the same command with --retry-failed to call again for the failed cells"
                    .to_owned(),
            );
        }
        lines
    }

    fn json(&self) -> String {
        let (now, before) = (&self.after, &self.before);
        let paused_reason = match &self.end {
            End::Paused(reason) => Some(reason.as_str()),
            End::Interrupted => Some("interrupted"),
            End::Complete => None,
        };
        json!({
            "rows": now.rows,
            "completed": now.completed,
            "failed": now.failed,
            "skipped": now.skipped,
            "unknown": now.unknown,
            "calls": now.calls - before.calls,
            "throttled": now.throttled - before.throttled,
            "retries": now.retries - before.retries,
            "explanations": self.explanations,
            "elapsed_ms": number(self.elapsed_ms.round()),
            "optimum_ms": number(self.optimum_ms.round()),
            "utilisation": (self.utilisation() * 1e4).round() / 1e4,
            "paused_reason": paused_reason,
        })
        .to_string()
    }
}
