//! One cell: render, wait for a permit, call, classify, and say what comes next.

mod events;
mod verdict;

use std::time::Duration;

use paceline_clock::{Clock, Tick, Timestamp};
use paceline_governor::{Next, OutcomeClass, Permit, Refused, TaskHistory};
use paceline_model::{Attempt, CellError, CellState, Task, TaskReport, TaskStep, Value};

use crate::Request;
use crate::runner::{RunContext, Stop};
use events::Events;
pub(crate) use verdict::cell_error;
use verdict::{Verdict, class_of, judge};

/// What became of a task. `again` is the task as it will be tried next.
pub(crate) struct Ended {
    pub(crate) report: TaskReport,
    pub(crate) again: Option<Task>,
}

/// Works on one task until the next thing to report. `None`: it is not ours any more.
pub(crate) async fn work(ctx: &RunContext, task: Task) -> Option<Ended> {
    let request = match ctx.http.render(&task.inputs, &ctx.cell_key(&task)) {
        Ok(request) => request,
        Err(error) => return Some(finish(&task, None, CellState::Failed, None, Some(error))),
    };
    // The permit is asked for first: mostly it is there at once, and then the stop signal costs nothing.
    let permit = tokio::select! {
        biased;
        permit = ctx.budget.acquire() => permit,
        () = ctx.stopped() => return Some(give_back(&task)),
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(Refused::Breaker(trip)) => {
            ctx.stop(Stop::Breaker(trip));
            return Some(give_back(&task));
        }
        Err(_) => return Some(give_back(&task)),
    };
    if ctx.is_stopped() {
        permit.not_sent(None);
        return Some(give_back(&task));
    }
    if ctx.records_intents {
        match ctx.store.record_intents(ctx.run, ctx.lease.token, &[task.row]).await {
            Ok(held) if held.contains(&task.row) => {}
            Ok(_) => {
                permit.not_sent(None);
                return None;
            }
            Err(error) => {
                permit.not_sent(None);
                ctx.stop(Stop::Store(error.to_string()));
                return Some(give_back(&task));
            }
        }
    }
    Some(call(ctx, task, request, permit).await)
}

async fn call(ctx: &RunContext, task: Task, request: Request, permit: Permit) -> Ended {
    let mut events = Events::new(permit, &ctx.clock, &ctx.retry_on);
    let result = ctx.provider.call(request, &mut events).await;
    let (sent, heard) = (events.sent, events.heard);
    let ended = ctx.clock.now();
    let head = heard.map_or(ended, |heard| heard.at);
    let verdict = judge(ctx, heard.as_ref(), &result);
    if let Some(sent) = sent {
        ctx.progress.called(head - sent);
    }
    events.end(&verdict);
    if let Some(error) = &verdict.error {
        ctx.note_error(error);
    }
    let attempt = Attempt {
        number: task.attempts + 1,
        sent_at: sent.filter(|_| verdict.arrived).map(|sent| wall_at(&ctx.clock, sent)),
        seen_at: wall_at(&ctx.clock, head),
        status: verdict.status,
        class: class_of(&verdict),
        error: verdict.error.clone(),
    };
    next_step(ctx, task, attempt, verdict)
}

/// The wall time of a moment of the recent past.
fn wall_at(clock: &Clock, tick: Tick) -> Timestamp {
    clock.wall().before(clock.now() - tick)
}

/// What comes after an attempt (the policy decides), as a report and perhaps the task to be tried again.
fn next_step(ctx: &RunContext, task: Task, attempt: Attempt, verdict: Verdict) -> Ended {
    if let Some(value) = verdict.value {
        return finish(&task, Some(attempt), CellState::Completed, Some(value), None);
    }
    if verdict.unknown {
        return finish(&task, Some(attempt), CellState::Unknown, None, verdict.error);
    }
    let now = ctx.clock.wall();
    let throttled = verdict.outcome.class == OutcomeClass::Throttled;
    let throttled_since = throttled.then(|| task.throttled_since.unwrap_or(now));
    let errors = task.errors + u32::from(!throttled);
    let history = TaskHistory {
        errors,
        throttles: (task.attempts + 1).saturating_sub(errors),
        throttled_for: throttled_since.map(|since| now.since(since)).unwrap_or_default(),
    };
    match ctx.policy.next(&verdict.outcome, history) {
        Next::RetryAfter(wait) => retry(task, attempt, errors, now + wait, throttled_since),
        Next::GiveUp => finish(&task, Some(attempt), CellState::Failed, None, verdict.error),
        Next::Deadline => {
            let error = cell_error("THROTTLED_TOO_LONG", throttled_text(history.throttled_for));
            finish(&task, Some(attempt), CellState::Failed, None, Some(error))
        }
    }
}

fn throttled_text(waited: Duration) -> String {
    format!(
        "the vendor has refused this call for its rate for {} s; lower the rate or raise max_wait_ms, then retry failed \
         cells",
        waited.as_secs()
    )
}

fn retry(
    mut task: Task,
    attempt: Attempt,
    errors: u32,
    not_before: Timestamp,
    throttled_since: Option<Timestamp>,
) -> Ended {
    let step = TaskStep::Retry { errors, not_before, throttled_since };
    let report = TaskReport { row: task.row, attempt: Some(attempt), step };
    task.attempts += 1;
    task.errors = errors;
    task.throttled_since = throttled_since;
    task.not_before = Some(not_before);
    Ended { report, again: Some(task) }
}

fn finish(
    task: &Task,
    attempt: Option<Attempt>,
    state: CellState,
    value: Option<Value>,
    error: Option<CellError>,
) -> Ended {
    let report =
        TaskReport { row: task.row, attempt, step: TaskStep::Finish { state, value, error } };
    Ended { report, again: None }
}

pub(crate) fn give_back(task: &Task) -> Ended {
    Ended {
        report: TaskReport { row: task.row, attempt: None, step: TaskStep::GiveBack },
        again: None,
    }
}
