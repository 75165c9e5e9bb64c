//! One cell: the work that its column's kind asks for, and what comes next.

mod http;
mod waterfall;

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Tick, Timestamp};
use paceline_hex::Session;
use paceline_model::{Attempt, CellError, CellState, Task, TaskReport, TaskStep, Value, limits};

use crate::gate::{Gate, GateSwitch};
use crate::integration::{self, HexWork};
use crate::kind::Local;
use crate::runner::{RunContext, Weather};
pub(crate) use http::HttpWork;
pub(crate) use waterfall::{SourceWork, WaterfallWork};

/// What a run does for each of its tasks, by the kind of its column.
pub(crate) enum Work {
    /// One HTTP call.
    Http(HttpWork),
    /// One HTTP call after the other, until one gives a value.
    Waterfall(WaterfallWork),
    /// A job of Hex.
    Hex(Box<HexWork>),
    /// No call.
    Local(Arc<dyn Local>),
}

impl Work {
    /// What the jobs of a run pass through, if it has jobs.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Http(_) | Self::Waterfall(_) | Self::Local(_) => None,
            Self::Hex(hex) => Some(&hex.session),
        }
    }

    /// What the calls of one of its sources pass.
    pub(crate) fn gate(&self, name: &str) -> Option<&Arc<GateSwitch>> {
        let Self::Waterfall(all) = self else { return None };
        let source = all.sources.iter().find(|source| source.name == name)?;
        source.http.source.as_ref().map(|(_, gate)| gate)
    }

    /// What its sources' calls pass, if it has several.
    pub(crate) fn gates(&self) -> Vec<Gate> {
        let Self::Waterfall(all) = self else { return Vec::new() };
        let gates = all.sources.iter().filter_map(|source| source.http.source.as_ref());
        gates.map(|(_, gate)| gate.now()).collect()
    }

    /// These tasks were claimed and are about to be worked on.
    pub(crate) fn claimed(&self, tasks: &[Task]) {
        match self {
            Self::Http(_) | Self::Waterfall(_) | Self::Local(_) => {}
            Self::Hex(hex) => integration::claimed(hex, tasks),
        }
    }

    /// Keeps on record, for ever, what the work's budgets spend beside the attempts.
    pub(crate) async fn keep(&self, ctx: &RunContext) {
        match self {
            Self::Http(_) | Self::Local(_) => std::future::pending().await,
            Self::Waterfall(all) => all.memories.keep(ctx.store.as_ref(), &ctx.clock).await,
            Self::Hex(hex) => hex.memories.keep(ctx.store.as_ref(), &ctx.clock).await,
        }
    }

    /// The run has stopped, and no call is under way.
    pub(crate) async fn close(&self, ctx: &RunContext) {
        let memories = match self {
            Self::Http(_) | Self::Local(_) => return,
            Self::Waterfall(all) => &all.memories,
            Self::Hex(hex) => &hex.memories,
        };
        memories.end(ctx.store.as_ref(), &ctx.clock).await;
    }
}

/// What became of a task. `again` is the task as it will be tried next.
pub(crate) struct Ended {
    pub(crate) report: TaskReport,
    pub(crate) again: Option<Task>,
}

/// Works on one task until the next thing to report. `None`: it is not ours any more.
pub(crate) async fn work(ctx: &RunContext, task: Task) -> Option<Ended> {
    match &ctx.work {
        Work::Http(http) => http::work(ctx, http, task).await,
        Work::Waterfall(all) => waterfall::work(ctx, all, task).await,
        Work::Hex(hex) => integration::work(ctx, hex, task).await,
        // Filled in batches: see `runner/batches.rs`.
        Work::Local(_) => Some(give_back(&task)),
    }
}

/// What a cell says for which a column that calls nobody gave no answer at all.
pub(crate) fn no_value() -> CellError {
    cell_error("INTERNAL", "nothing came of this row; report it, then run it again")
}

/// The wall time of a moment of the recent past.
pub(crate) fn wall_at(clock: &Clock, tick: Tick) -> Timestamp {
    clock.wall().before(clock.now() - tick)
}

pub(crate) fn retry(
    mut task: Task,
    attempt: Attempt,
    errors: u32,
    not_before: Timestamp,
    throttled_since: Option<Timestamp>,
) -> Ended {
    let step = TaskStep::Retry { errors, not_before, throttled_since };
    let report = TaskReport::new(task.row, Some(attempt), step);
    task.attempts += 1;
    task.errors = errors;
    task.throttled_since = throttled_since;
    task.not_before = Some(not_before);
    Ended { report, again: Some(task) }
}

pub(crate) fn finish(
    task: &Task,
    attempt: Option<Attempt>,
    state: CellState,
    value: Option<Value>,
    error: Option<CellError>,
) -> Ended {
    let report = TaskReport::new(task.row, attempt, TaskStep::Finish { state, value, error });
    Ended { report, again: None }
}

pub(crate) fn give_back(task: &Task) -> Ended {
    Ended { report: TaskReport::new(task.row, None, TaskStep::GiveBack), again: None }
}

/// As [`give_back`], after an attempt.
pub(crate) fn give_back_made(task: &Task, attempt: Attempt) -> Ended {
    Ended { report: TaskReport::new(task.row, Some(attempt), TaskStep::GiveBack), again: None }
}

/// What comes after a call that was refused for its rate past the deadline of its cell.
pub(crate) enum PastDeadline {
    /// The run stops.
    GiveBack,
    /// It is made again then.
    Again(Timestamp),
    /// It has failed.
    Failed(CellError),
}

/// See [`Weather`]; `throttles` counts the refusals of the cell.
pub(crate) fn past_deadline(
    ctx: &RunContext,
    throttles: u32,
    throttled_since: Option<Timestamp>,
) -> PastDeadline {
    let now = ctx.clock.wall();
    let since = throttled_since.unwrap_or(now);
    match ctx.weather(throttles, since) {
        Weather::Storm => PastDeadline::GiveBack,
        Weather::Calm => PastDeadline::Again(now + limits::THROTTLED_RETRY),
        Weather::Alone => {
            let error = cell_error("THROTTLED_TOO_LONG", throttled_text(now.since(since)));
            PastDeadline::Failed(error)
        }
    }
}

/// A cell's error, cut to what is kept.
pub(crate) fn cell_error(code: &str, message: impl Into<String>) -> CellError {
    let mut message = message.into();
    if message.len() > limits::ERROR_BYTES_MAX {
        let end = (0..=limits::ERROR_BYTES_MAX)
            .rev()
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(0);
        message.truncate(end);
    }
    CellError { code: code.to_owned(), message }
}

/// What a cell says that was refused for its rate for too long.
fn throttled_text(waited: Duration) -> String {
    format!(
        "the vendor has refused this call for its rate for {} s, while others came through; see what is special about it, \
         then retry failed cells",
        waited.as_secs()
    )
}
