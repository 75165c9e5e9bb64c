//! What became of each job, as a table and a program see it.

use paceline_model::{CellState, Value};
use serde_json::{Value as Json, json};

use super::ledger::JobState;

impl JobState {
    /// How it ended, in a word.
    pub(super) fn outcome(&self) -> &'static str {
        match self.state {
            None => "open",
            Some(CellState::Completed) => "completed",
            Some(CellState::Failed) => "failed",
            Some(CellState::Skipped) => "abandoned",
            Some(CellState::Unknown) => "unknown",
        }
    }

    /// Hex's word on the run where its end was seen, else ours.
    pub(super) fn status(&self) -> Option<String> {
        match (&self.report, self.state) {
            (_, Some(CellState::Unknown)) => Some("UNKNOWN".to_owned()),
            (Some(report), _) => Some(report.status.clone()),
            (None, None) => None,
            (None, Some(_)) => Some(self.outcome().to_ascii_uppercase()),
        }
    }

    /// The new columns of its row: those of [`super::jobs::RESULT`].
    pub(super) fn cells(&self) -> [Value; 6] {
        let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
        let report = self.report.as_ref();
        let elapsed = report.and_then(|report| report.elapsed_ms);
        let error = self.error.as_ref();
        [
            text(self.run_id().map(str::to_owned)),
            text(self.status()),
            elapsed.and_then(|ms| i64::try_from(ms).ok()).map_or(Value::Null, Value::Int),
            text(report.and_then(|report| report.run_url.clone())),
            text(report.and_then(|report| report.trace_id.clone())),
            text(error.map(|error| format!("{}: {}", error.code, error.message))),
        ]
    }

    /// Everything about it; `settle` is the command that settles it, if its outcome is unknown.
    pub(super) fn json(&self, settle: Option<String>) -> Json {
        let report = self.report.as_ref();
        json!({
            "line": self.line,
            "project_id": self.project,
            "outcome": self.outcome(),
            "status": self.status(),
            "run_id": self.run_id(),
            "elapsed_ms": report.and_then(|report| report.elapsed_ms),
            "run_url": report.and_then(|report| report.run_url.as_deref()),
            "trace_id": report.and_then(|report| report.trace_id.as_deref()),
            "code": self.error.as_ref().map(|error| error.code.as_str()),
            "error": self.error.as_ref().map(|error| error.message.as_str()),
            "settle": settle,
        })
    }
}
