//! One cell of a waterfall: its sources are asked in order until one gives a value.
//!
//! One step is one attempt at one source, reported like any other. The report that ends a source carries the note of the
//! next one in the same transaction, so that after a crash no source is asked again that has given its answer.

use paceline_model::{Attempt, CellError, CellState, NoteStep, Task, TaskStep, Value, limits};
use serde::{Deserialize, Serialize};

use super::http::{self, HttpWork, Past, Then, Try};
use super::{Ended, cell_error, finish, give_back, give_back_made, retry};
use crate::integration::Memories;
use crate::kind::Until;
use crate::runner::{RunContext, Stop};

/// What a run of a waterfall works with.
pub(crate) struct WaterfallWork {
    pub(crate) sources: Vec<SourceWork>,
    pub(crate) until: Until,
    /// What each source's budget spent.
    pub(crate) memories: Memories,
}

/// One of its sources.
pub(crate) struct SourceWork {
    pub(crate) name: String,
    /// Passed over while its breaker is open or its credential is refused.
    pub(crate) optional: bool,
    pub(crate) http: HttpWork,
}

/// How far a row has come: the note of its cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    /// The source whose turn it is, by name: the column's configuration may have changed since.
    source: String,
    /// Attempts at the sources before it.
    before: u32,
    /// Why an earlier source failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// A row at one of its sources.
struct Turn {
    at: usize,
    before: u32,
    failed: Option<String>,
}

impl Turn {
    fn of(task: &Task, sources: &[SourceWork]) -> Self {
        let note = task.note.as_deref().and_then(|note| serde_json::from_str::<Place>(note).ok());
        let known = note.and_then(|place| {
            let at = sources.iter().position(|source| source.name == place.source)?;
            Some(Self { at, before: place.before.min(task.attempts), failed: place.failed })
        });
        known.unwrap_or(Self { at: 0, before: task.attempts, failed: None })
    }

    fn note(&self, source: &SourceWork) -> Option<String> {
        let (source, failed) = (source.name.clone(), self.failed.clone());
        serde_json::to_string(&Place { source, before: self.before, failed }).ok()
    }

    /// The next source's turn; `failed`: why this one did.
    fn pass(&mut self, source: &SourceWork, failed: Option<&CellError>) {
        self.at += 1;
        if let Some(error) = failed {
            // The error of a cell has room for it beside what is said around it.
            let most = limits::ERROR_BYTES_MAX / 2;
            let told: String = error.message.chars().take(most / 4).collect();
            self.failed = Some(format!("{}: {told}", source.name));
        }
    }
}

pub(super) async fn work(ctx: &RunContext, all: &WaterfallWork, task: Task) -> Option<Ended> {
    let mut turn = Turn::of(&task, &all.sources);
    while let Some(source) = all.sources.get(turn.at) {
        match http::attempt(ctx, &source.http, &task).await {
            Try::Called(called) => {
                let (attempt, verdict) = *called;
                let past = Past { attempts: task.attempts - turn.before, ..Past::of(&task) };
                let refused = verdict.is_not_recorded()
                    || !source.optional && verdict.outcome.credential_refused;
                let then = http::then(ctx, &source.http, past, verdict);
                return Some(next(all, turn, task, attempt, then, refused));
            }
            // A row without what this source is asked by has no answer from it.
            Try::Unaskable(error) => turn.pass(source, Some(&error)),
            Try::Refused(trip) if source.optional => {
                let error = cell_error("BREAKER", trip.to_string());
                turn.pass(source, Some(&error));
            }
            Try::Refused(trip) => {
                ctx.stop(Stop::Breaker(trip));
                return Some(give_back(&task));
            }
            Try::Stopped => return Some(give_back(&task)),
            Try::Lost => return None,
        }
    }
    Some(exhausted(&turn, &task, None))
}

/// What comes after an attempt at the source whose turn it is. `refused`: it refuses the credential, which is no row's fault,
/// or a replay has no answer of it.
fn next(
    all: &WaterfallWork,
    mut turn: Turn,
    task: Task,
    attempt: Attempt,
    then: Then,
    refused: bool,
) -> Ended {
    let Some(source) = all.sources.get(turn.at) else {
        return exhausted(&turn, &task, Some(attempt));
    };
    let number = attempt.number;
    match then {
        Then::Value(value) if all.until.is_met(&value) => {
            return finish(&task, Some(attempt), CellState::Completed, Some(value), None);
        }
        Then::Unknown(error) => {
            return finish(&task, Some(attempt), CellState::Unknown, None, error);
        }
        Then::GivenBack => {
            let ended = give_back_made(&task, attempt);
            return noted(ended, turn.note(source));
        }
        Then::Again { errors, not_before, throttled_since } => {
            let ended = retry(task, attempt, errors, not_before, throttled_since);
            return noted(ended, turn.note(source));
        }
        Then::Failed(error) if refused => {
            return finish(&task, Some(attempt), CellState::Failed, None, error);
        }
        Then::Value(_) => turn.pass(source, None),
        Then::Failed(error) => {
            // 404 says that a source has nothing on a row, which is no failure.
            let error = error.filter(|_| attempt.status != Some(404));
            turn.pass(source, error.as_ref());
        }
    }
    let Some(source) = all.sources.get(turn.at) else {
        return exhausted(&turn, &task, Some(attempt));
    };
    turn.before = number;
    let now = attempt.seen_at;
    noted(retry(task, attempt, 0, now, None), turn.note(source))
}

/// No source is left: the cell is empty, or has failed where one of them did.
fn exhausted(turn: &Turn, task: &Task, attempt: Option<Attempt>) -> Ended {
    let Some(failed) = &turn.failed else {
        return finish(task, attempt, CellState::Completed, Some(Value::Null), None);
    };
    let message =
        format!("no source gave a value, and one of them failed ({failed}); retry failed cells");
    finish(task, attempt, CellState::Failed, None, Some(cell_error("NO_SOURCE", message)))
}

/// With the note that says whose turn it is.
fn noted(mut ended: Ended, note: Option<String>) -> Ended {
    let ends = matches!(ended.report.step, TaskStep::Finish { .. });
    debug_assert!(!ends, "a note is for a task that goes on");
    if let Some(note) = note {
        if let Some(again) = &mut ended.again {
            again.note = Some(note.clone());
        }
        ended.report.note = NoteStep::Put(note);
    }
    ended
}
