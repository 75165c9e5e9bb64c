//! One cell: render, wait for a permit, call, classify, and say what comes next.

use std::time::Duration;

use paceline_clock::{Clock, Tick, Timestamp};
use paceline_governor::{
    Next, Outcome, OutcomeClass, Permit, Refused, TaskHistory, Transport, classify_status,
    classify_transport, retry_after,
};
use paceline_model::{
    Attempt, AttemptClass, CellError, CellState, Task, TaskReport, TaskStep, Value, limits,
};

use crate::runner::{RunContext, Stop};
use crate::{CallError, CallEvents, ConnectHook, Reply, Request, extract};

/// What became of a task. `again` is the task as it will be tried next.
pub(crate) struct Ended {
    pub(crate) report: TaskReport,
    pub(crate) again: Option<Task>,
}

/// How a call ended: what the budget learns, what is kept, and the value if there is one.
struct Verdict {
    outcome: Outcome,
    status: Option<u16>,
    value: Option<Value>,
    error: Option<CellError>,
    /// It may have taken effect, nobody knows, and it may not be repeated.
    unknown: bool,
    arrived: bool,
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
    let mut events = Events { permit, clock: &ctx.clock, sent: None, head: None };
    let result = ctx.provider.call(request, &mut events).await;
    let Events { permit, sent, head, .. } = events;
    let ended = ctx.clock.now();
    let verdict = judge(ctx, &result);
    if let Some(sent) = sent {
        ctx.progress.called(head.unwrap_or(ended) - sent);
    }
    if verdict.arrived {
        permit.finish(&verdict.outcome);
    } else {
        permit.not_sent(Some(&verdict.outcome));
    }
    if let Some(error) = &verdict.error {
        ctx.note_error(error);
    }
    let attempt = Attempt {
        number: task.attempts + 1,
        sent_at: sent.filter(|_| verdict.arrived).map(|sent| wall_at(&ctx.clock, sent)),
        seen_at: wall_at(&ctx.clock, head.unwrap_or(ended)),
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

fn class_of(verdict: &Verdict) -> AttemptClass {
    if verdict.unknown {
        return AttemptClass::Unknown;
    }
    match verdict.outcome.class {
        OutcomeClass::Success => AttemptClass::Success,
        OutcomeClass::Throttled => AttemptClass::Throttled,
        OutcomeClass::Transient => AttemptClass::Transient,
        OutcomeClass::RowCaused => AttemptClass::RowCaused,
        OutcomeClass::ConfigurationCaused => AttemptClass::ConfigurationCaused,
    }
}

fn judge(ctx: &RunContext, result: &Result<Reply, CallError>) -> Verdict {
    match result {
        Ok(reply) => judge_reply(ctx, reply),
        Err(CallError::TooLong { status, .. }) => Verdict {
            outcome: Outcome::of(OutcomeClass::RowCaused),
            status: Some(*status),
            value: None,
            error: result
                .as_ref()
                .err()
                .map(|error| cell_error("REPLY_TOO_LONG", error.to_string())),
            unknown: false,
            arrived: true,
        },
        Err(CallError::Transport { kind, message }) => {
            let code = match kind {
                Transport::Timeout => "TIMEOUT",
                Transport::Broken => "CONNECTION_BROKEN",
                Transport::Connect => "NO_CONNECTION",
                Transport::UnknownHost => "UNKNOWN_HOST",
                Transport::Blocked => "BLOCKED_URL",
            };
            let unknown = kind.may_have_arrived() && !ctx.http.repeatable;
            Verdict {
                outcome: classify_transport(*kind),
                status: None,
                value: None,
                error: Some(if unknown {
                    unknown_error(message)
                } else {
                    cell_error(code, message.clone())
                }),
                unknown,
                arrived: kind.may_have_arrived(),
            }
        }
    }
}

fn judge_reply(ctx: &RunContext, reply: &Reply) -> Verdict {
    let asked = reply
        .header("retry-after")
        .and_then(|value| retry_after(value, reply.header("date"), ctx.clock.wall()));
    let mut outcome = classify_status(reply.status, asked, &ctx.retry_on);
    let mut verdict = Verdict {
        outcome,
        status: Some(reply.status),
        value: None,
        error: None,
        unknown: false,
        arrived: true,
    };
    if outcome.class == OutcomeClass::Success {
        match extract::value(reply, ctx.http.extract.as_ref(), &ctx.column) {
            Ok(value) => verdict.value = Some(value),
            Err(error) => {
                outcome.class = OutcomeClass::RowCaused;
                verdict.error = Some(error);
            }
        }
    } else {
        // A gateway's error may hide a call that went through.
        verdict.unknown = matches!(reply.status, 502 | 504) && !ctx.http.repeatable;
        let message = status_message(reply);
        verdict.error = Some(if verdict.unknown {
            unknown_error(&message)
        } else {
            cell_error("HTTP_STATUS", message)
        });
    }
    verdict.outcome = outcome;
    verdict
}

fn status_message(reply: &Reply) -> String {
    let reason =
        http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    let mut message = format!("the vendor answered HTTP {}", reply.status);
    if let Some(reason) = reason {
        message = format!("{message} ({reason})");
    }
    if let Some(location) = reply.header("location").filter(|_| (300..400).contains(&reply.status))
    {
        return format!("{message}; redirects are not followed, call {location} instead");
    }
    let body = String::from_utf8_lossy(&reply.body[..reply.body.len().min(200)]).trim().to_owned();
    if body.is_empty() { message } else { format!("{message}: {body}") }
}

fn unknown_error(message: &str) -> CellError {
    let text = format!(
        "{message}. The call may have taken effect and is not repeated; look at the vendor's side, then retry this cell, \
         or allow repeating with an Idempotency-Key header"
    );
    cell_error("OUTCOME_UNKNOWN", text)
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

/// Passes what the provider tells on to the permit, and keeps when it was.
struct Events<'a> {
    permit: Permit,
    clock: &'a Clock,
    sent: Option<Tick>,
    head: Option<Tick>,
}

impl CallEvents for Events<'_> {
    fn sent(&mut self) {
        self.permit.sent();
        self.sent = Some(self.clock.now());
    }

    fn on_connect(&self) -> ConnectHook {
        self.permit.on_connect()
    }

    fn head(&mut self) {
        self.permit.seen();
        self.head = Some(self.clock.now());
    }
}
