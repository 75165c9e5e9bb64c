//! One cell of an `integration` column: its job is brought to its end, and the end to the cell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_governor::{Next, Outcome, OutcomeClass, TaskHistory};
use paceline_hex::{End, EndKind, Job, Note, RunReport, Session};
use paceline_model::{
    Attempt, CellError, CellState, NoteStep, Task, TaskReport, TaskStep, Value, limits,
};

use super::host::{StoreHost, attempt, class_of};
use super::troubles::Troubles;
use super::{IntegrationColumn, Memories};
use crate::runner::{RunContext, Stop};
use crate::task::{Ended, PastDeadline, cell_error, finish, past_deadline, retry};

/// Candidates that an unknown cell names.
const CANDIDATES_SHOWN: usize = 3;

/// What a run of an `integration` column works with.
pub(crate) struct HexWork {
    pub(crate) column: IntegrationColumn,
    pub(crate) session: Session,
    pub(crate) memories: Arc<Memories>,
    /// A restart forgets them, and waits a little less.
    troubles: Mutex<Troubles>,
}

impl HexWork {
    pub(crate) fn new(
        column: IntegrationColumn,
        session: Session,
        memories: Arc<Memories>,
    ) -> Self {
        Self { column, session, memories, troubles: Mutex::default() }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job of a task and what is on record of it. What cannot be worked on ends here.
    fn job(&self, task: &Task) -> Result<(Job, Option<Note>), Box<Ended>> {
        // The note stays with an unknown cell: it is all that is known of it.
        let failed = |state, error| Err(Box::new(finish(task, None, state, None, Some(error))));
        let note: Option<Note> = match task.note.as_deref().map(serde_json::from_str).transpose() {
            Ok(note) => note,
            Err(error) => {
                let message = format!(
                    "the note of this job cannot be read ({error}); use the program that wrote it, or settle the cell"
                );
                return failed(CellState::Unknown, cell_error("OUTCOME_UNKNOWN", message));
            }
        };
        match (self.column.render(&task.inputs), note) {
            (Ok(job), note) => Ok((job, note)),
            (Err(error), note) => match &note {
                // Its run goes on, whatever became of the row.
                Some(Note::Started { project, .. }) => Ok((Job::new(project.as_str()), note)),
                Some(Note::Sending { .. }) => failed(CellState::Unknown, error),
                Some(Note::Resend) | None => failed(CellState::Failed, error),
            },
        }
    }
}

/// Works on one task until the next thing to report. `None`: it is not ours any more.
pub(crate) async fn work(ctx: &RunContext, hex: &HexWork, task: Task) -> Option<Ended> {
    let (job, note) = match hex.job(&task) {
        Ok(job) => job,
        Err(ended) => return Some(*ended),
    };
    let host = StoreHost::new(ctx, &task, note.as_ref());
    let mut end = hex.session.perform(&job, note, &host).await;
    if host.is_lost() {
        host.settle(end.post.as_ref());
        return None;
    }
    if host.takes_recorded() {
        end.post = None;
    }
    host.settle(end.post.as_ref());
    if let Some(started) = host.started_at() {
        ctx.progress.called(ctx.clock.now() - started);
    }
    let note = end.note.as_ref().and_then(|note| serde_json::to_string(note).ok());
    let mut ended = conclude(ctx, hex, task, host.attempts(), end);
    if let Some(again) = &mut ended.again {
        again.note.clone_from(&note);
    }
    ended.report.note = note.map_or(NoteStep::Drop, NoteStep::Put);
    Some(ended)
}

/// From the end of a job to the step of its task.
fn conclude(ctx: &RunContext, hex: &HexWork, mut task: Task, attempts: u32, end: End) -> Ended {
    task.attempts = attempts;
    let error = error_of(&end.kind);
    if let Some(error) = &error {
        ctx.note_error(error);
    }
    let made = |post| attempt(ctx, attempts + 1, post, error.clone());
    let made: Option<Attempt> = end.post.as_ref().map(made);
    hex.troubles().tried(task.row, &end.kind, ctx.clock.now());
    if matches!(end.kind, EndKind::Completed(_) | EndKind::Failed { .. }) {
        ctx.came_through();
    }
    match end.kind {
        EndKind::Completed(run) => match value(ctx, &run) {
            Ok(value) => finish(&task, made, CellState::Completed, Some(value), None),
            Err(error) => finish(&task, made, CellState::Failed, None, Some(error)),
        },
        EndKind::Failed { run, .. } => {
            let value = run.and_then(|run| value(ctx, &run).ok());
            finish(&task, made, CellState::Failed, value, error)
        }
        EndKind::Unknown { .. } => finish(&task, made, CellState::Unknown, None, error),
        EndKind::Again { outcome, counts_as_error, .. } => {
            let made = made.unwrap_or_else(|| not_sent(ctx, attempts + 1, &outcome, error.clone()));
            let errors = task.errors + u32::from(counts_as_error);
            again(ctx, hex, task, (made, error), (outcome, errors))
        }
        EndKind::NoCredentials { message } => {
            ctx.stop(Stop::Credentials(message));
            given_back(&task, made)
        }
        EndKind::Stopped => given_back(&task, made),
    }
}

/// A try of which nothing reached the trigger: on record for people, and no call.
fn not_sent(ctx: &RunContext, number: u32, outcome: &Outcome, error: Option<CellError>) -> Attempt {
    let class = class_of(outcome.class);
    Attempt { error, ..Attempt::new(number, class, ctx.clock.wall()) }
}

/// What comes after a try that started no run: the provider's own waits decide.
fn again(
    ctx: &RunContext,
    hex: &HexWork,
    task: Task,
    (made, error): (Attempt, Option<CellError>),
    (outcome, errors): (Outcome, u32),
) -> Ended {
    let now = ctx.clock.wall();
    let (throttles, outage_since) = {
        let troubles = hex.troubles();
        (troubles.throttles(task.row), troubles.outage_since(task.row))
    };
    let throttled_since = (throttles > 0).then(|| task.throttled_since.unwrap_or(now));
    let throttled_for = throttled_since.map(|since| now.since(since)).unwrap_or_default();
    let history = TaskHistory { errors, throttles, throttled_for };
    let throttled = outcome.class == OutcomeClass::Throttled;
    match hex.session.next_try(&outcome, history) {
        Next::RetryAfter(_) if throttled && ctx.refused() => given_back(&task, Some(made)),
        Next::RetryAfter(wait) => retry(task, made, errors, now + wait, throttled_since),
        Next::GiveUp => match outage_since.filter(|_| outcome.class == OutcomeClass::Transient) {
            None => finish(&task, Some(made), CellState::Failed, None, error),
            // It is not the job's fault: it is not charged, and after a while nobody tries any more.
            Some(since) if ctx.clock.now().since(since) < limits::OUTAGE_MAX => {
                let errors = task.errors;
                retry(task, made, errors, now + limits::OUTAGE_RETRY, throttled_since)
            }
            Some(_) => {
                ctx.stop(Stop::Outage);
                given_back(&task, Some(made))
            }
        },
        Next::Deadline => match past_deadline(ctx, throttles, throttled_since) {
            PastDeadline::GiveBack => given_back(&task, Some(made)),
            PastDeadline::Again(at) => retry(task, made, errors, at, throttled_since),
            PastDeadline::Failed(error) => {
                finish(&task, Some(made), CellState::Failed, None, Some(error))
            }
        },
    }
}

fn given_back(task: &Task, made: Option<Attempt>) -> Ended {
    Ended { report: TaskReport::new(task.row, made, TaskStep::GiveBack), again: None }
}

fn value(ctx: &RunContext, run: &RunReport) -> Result<Value, CellError> {
    let json = serde_json::to_value(run).unwrap_or_default();
    Value::of(&ctx.column, json).map_err(|error| cell_error("TYPE_MISMATCH", error.to_string()))
}

fn error_of(end: &EndKind) -> Option<CellError> {
    match end {
        EndKind::Completed(_) | EndKind::Stopped => None,
        EndKind::Failed { code, message, .. } | EndKind::Again { code, message, .. } => {
            Some(cell_error(code, message.as_str()))
        }
        EndKind::NoCredentials { message } => Some(cell_error("CREDENTIALS", message.as_str())),
        EndKind::Unknown { message, candidates } => {
            let shown = candidates.iter().take(CANDIDATES_SHOWN).map(ToString::to_string);
            let mut shown: Vec<String> = shown.collect();
            if candidates.len() > CANDIDATES_SHOWN {
                shown.push(format!("and {} more", candidates.len() - CANDIDATES_SHOWN));
            }
            let candidates = match shown.as_slice() {
                [] => String::new(),
                shown => format!("It may be {}. ", shown.join(", ")),
            };
            // First what a program may need: the text is cut at its end.
            let text = format!(
                "{candidates}{message}. Settle the cell: attach a run, resend it, or mark it as failed"
            );
            Some(cell_error("OUTCOME_UNKNOWN", text))
        }
    }
}
