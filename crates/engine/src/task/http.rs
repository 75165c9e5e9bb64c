//! One cell of a column that makes one call: render, wait for a permit, call, classify, and say what comes next.

mod events;
mod line;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{Next, OutcomeClass, Permit, Refused, RetryPolicy, TaskHistory, Trip};
use paceline_model::{Attempt, CellError, CellState, ColumnId, Task, Value};

use super::{
    Ended, PastDeadline, cell_error, finish, give_back, give_back_made, past_deadline, retry,
    wall_at,
};
use crate::gate::GateSwitch;
use crate::kind::Call;
use crate::runner::{RunContext, Stop};
use crate::{Provider, Request};
use events::Events;
use line::request_line;
pub(crate) use line::{SECRET_BYTES_MIN, Secrets, is_secret_name, masked_address};
pub(crate) use verdict::NOT_RECORDED;
use verdict::{Verdict, class_of, judge};

/// What a run of such a column works with.
pub(crate) struct HttpWork {
    pub(crate) call: Arc<dyn Call>,
    /// For calls whose column names none of its own.
    pub(crate) timeout: Option<Duration>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) policy: RetryPolicy,
    pub(crate) retry_on: Vec<u16>,
    /// Whether each call is noted on disk before it leaves: if it may not be repeated, or if its window is so long
    /// that a restart must know of it.
    pub(crate) records_intents: bool,
    /// What makes the idempotency keys of this directory and this call their own.
    pub(crate) key_seed: [u8; blake3::KEY_LEN],
    /// Of a column with several calls: which one this is, and the gate that it passes.
    pub(crate) source: Option<(String, Arc<GateSwitch>)>,
}

/// What a try at a call came to.
pub(super) enum Try {
    /// There is nothing to send for this row.
    Unaskable(CellError),
    /// Nothing was sent: the run stops.
    Stopped,
    /// Nothing was sent: the breaker is open.
    Refused(Trip),
    /// The task is not ours any more.
    Lost,
    /// It was made.
    Called(Box<(Attempt, Verdict)>),
}

/// What follows from a call that was made.
pub(super) enum Then {
    /// This is the value.
    Value(Value),
    /// Nobody knows whether it took effect.
    Unknown(Option<CellError>),
    /// It is made again.
    Again { errors: u32, not_before: Timestamp, throttled_since: Option<Timestamp> },
    /// It is made again once the run, which stops, goes on.
    GivenBack,
    /// It has failed for good.
    Failed(Option<CellError>),
}

/// What happened to a call before, over its attempts.
#[derive(Clone, Copy)]
pub(super) struct Past {
    pub(super) attempts: u32,
    pub(super) errors: u32,
    pub(super) throttled_since: Option<Timestamp>,
}

impl Past {
    pub(super) fn of(task: &Task) -> Self {
        let Task { attempts, errors, throttled_since, .. } = *task;
        Self { attempts, errors, throttled_since }
    }
}

impl HttpWork {
    /// What tells a vendor that two attempts are one call: the same for every attempt of one cell at one call with the
    /// same inputs, and for nothing else in the world. A new rate or a new secret makes no other call of it.
    fn cell_key(&self, column: ColumnId, task: &Task) -> String {
        // Not the column's version: a new rate or secret raises that too. The call itself is in the seed.
        let mut hasher = blake3::Hasher::new_keyed(&self.key_seed);
        hasher.update([column.0, task.row.0].map(i64::to_le_bytes).as_flattened());
        for input in &task.inputs {
            let text = input.to_text();
            hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
        format!("pl-{}", &hasher.finalize().to_hex()[..32])
    }
}

/// Makes the call of a task and says what comes next. `None`: the task is not ours any more.
pub(super) async fn work(ctx: &RunContext, http: &HttpWork, task: Task) -> Option<Ended> {
    let (attempt, verdict) = match attempt(ctx, http, &task).await {
        Try::Called(called) => *called,
        Try::Unaskable(error) => {
            return Some(finish(&task, None, CellState::Failed, None, Some(error)));
        }
        Try::Refused(trip) => {
            ctx.stop(Stop::Breaker(trip));
            return Some(give_back(&task));
        }
        Try::Stopped => return Some(give_back(&task)),
        Try::Lost => return None,
    };
    Some(match then(ctx, http, Past::of(&task), verdict) {
        Then::Value(value) => finish(&task, Some(attempt), CellState::Completed, Some(value), None),
        Then::Unknown(error) => finish(&task, Some(attempt), CellState::Unknown, None, error),
        Then::Failed(error) => finish(&task, Some(attempt), CellState::Failed, None, error),
        Then::GivenBack => give_back_made(&task, attempt),
        Then::Again { errors, not_before, throttled_since } => {
            retry(task, attempt, errors, not_before, throttled_since)
        }
    })
}

/// Renders the request, waits for a permit, and makes the call.
pub(super) async fn attempt(ctx: &RunContext, http: &HttpWork, task: &Task) -> Try {
    let request = match http.call.render(&task.inputs, &http.cell_key(ctx.column.id, task)) {
        Ok(request) => Request { timeout: http.timeout.unwrap_or(request.timeout), ..request },
        Err(error) => return Try::Unaskable(error),
    };
    let gate = http.source.as_ref().map_or(&ctx.gate, |(_, gate)| gate);
    // The permit is asked for first: mostly it is there at once, and then the stop signal costs nothing.
    let permit = tokio::select! {
        biased;
        permit = gate.acquire(http.call.tokens(&request)) => permit,
        () = ctx.stopped() => return Try::Stopped,
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(Refused::Breaker(trip)) => return Try::Refused(trip),
        Err(refused @ Refused::NeverFits { .. }) => {
            return Try::Unaskable(cell_error("TOO_MANY_TOKENS", refused.to_string()));
        }
        Err(_) => return Try::Stopped,
    };
    if ctx.is_stopped() {
        permit.not_sent(None);
        return Try::Stopped;
    }
    if let Err(reached) = ctx.ledger.reserve() {
        permit.not_sent(None);
        ctx.stop(Stop::Cap(reached));
        return Try::Stopped;
    }
    if http.records_intents {
        match ctx.store.record_intents(ctx.run, ctx.lease.token, &[task.row]).await {
            Ok(held) if held.contains(&task.row) => {}
            Ok(_) => {
                ctx.ledger.release();
                permit.not_sent(None);
                return Try::Lost;
            }
            Err(error) => {
                ctx.ledger.release();
                permit.not_sent(None);
                ctx.stop(Stop::Store(error.to_string()));
                return Try::Stopped;
            }
        }
    }
    if ctx.is_stopped() {
        // Somebody stopped the run while the intent was written down: nothing leaves any more.
        ctx.ledger.release();
        permit.not_sent(None);
        return Try::Stopped;
    }
    Try::Called(Box::new(call(ctx, http, task, request, permit).await))
}

async fn call(
    ctx: &RunContext,
    http: &HttpWork,
    task: &Task,
    request: Request,
    permit: Permit,
) -> (Attempt, Verdict) {
    let secret_path = http.call.secret_path();
    let secrets = Secrets::of(&request, secret_path);
    let line = request_line(&request, secret_path);
    let request = http.call.stamped(request, ctx.clock.wall());
    let cell = (task.row, task.attempts + 1);
    let mut events = Events::new(permit, &ctx.clock, &http.retry_on, cell);
    let result = http.provider.call(request, &mut events).await;
    let (sent, heard) = (events.sent, events.heard);
    let ended = ctx.clock.now();
    let head = heard.map_or(ended, |heard| heard.at);
    let mut verdict = judge(http, &ctx.column, heard.as_ref(), &result);
    if let Some(error) = &mut verdict.error {
        error.message = secrets.masked(std::mem::take(&mut error.message));
    }
    if let Some(sent) = sent {
        ctx.progress.called(head - sent);
    }
    events.end(&verdict);
    let is_charged = sent.is_some() && verdict.arrived;
    if !is_charged {
        ctx.ledger.release();
    }
    if let Some(error) = &verdict.error {
        ctx.note_error(error);
    }
    let attempt = Attempt {
        sent_at: sent.filter(|_| verdict.arrived).map(|sent| wall_at(&ctx.clock, sent)),
        status: verdict.status,
        error: verdict.error.clone(),
        request: Some(line),
        source: http.source.as_ref().map(|(name, _)| name.clone()),
        cost_micros: if is_charged { ctx.ledger.price_micros() } else { 0 },
        ..Attempt::new(task.attempts + 1, class_of(&verdict), wall_at(&ctx.clock, head))
    };
    (attempt, verdict)
}

/// What follows from a call that was made; the policy decides whether it is made again.
pub(super) fn then(ctx: &RunContext, http: &HttpWork, past: Past, verdict: Verdict) -> Then {
    if let (true, Some(error)) = (verdict.stops, &verdict.error) {
        ctx.stop(Stop::Configuration(error.message.clone()));
        return Then::GivenBack;
    }
    if matches!(verdict.outcome.class, OutcomeClass::Success | OutcomeClass::RowCaused) {
        ctx.came_through();
    }
    if let Some(value) = verdict.value {
        return Then::Value(value);
    }
    if verdict.unknown {
        return Then::Unknown(verdict.error);
    }
    let now = ctx.clock.wall();
    let throttled = verdict.outcome.class == OutcomeClass::Throttled;
    let throttled_since = throttled.then(|| past.throttled_since.unwrap_or(now));
    let errors = past.errors + u32::from(!throttled);
    let history = TaskHistory {
        errors,
        throttles: (past.attempts + 1).saturating_sub(errors),
        throttled_for: throttled_since.map(|since| now.since(since)).unwrap_or_default(),
    };
    match http.policy.next(&verdict.outcome, history) {
        // The run pauses, and no cell is to blame.
        Next::RetryAfter(_) if throttled && ctx.refused() => Then::GivenBack,
        Next::RetryAfter(wait) => Then::Again { errors, not_before: now + wait, throttled_since },
        Next::GiveUp => Then::Failed(verdict.error),
        Next::Deadline => match past_deadline(ctx, history.throttles, throttled_since) {
            PastDeadline::GiveBack => Then::GivenBack,
            PastDeadline::Again(not_before) => Then::Again { errors, not_before, throttled_since },
            PastDeadline::Failed(error) => Then::Failed(Some(error)),
        },
    }
}
