//! One cell of a column that makes one call: render, wait for a permit, call, classify, and say what comes next.

mod events;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use paceline_governor::{Next, OutcomeClass, Permit, Refused, RetryPolicy, TaskHistory};
use paceline_model::{Attempt, CellState, ColumnId, Task};

use super::{Ended, cell_error, finish, give_back, give_back_made, past_deadline, retry, wall_at};
use crate::kind::Call;
use crate::runner::{RunContext, Stop};
use crate::{Provider, Request};
use events::Events;
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

/// Renders the request, waits for a permit, makes the call and says what comes next. `None`: the task is not ours any
/// more.
pub(super) async fn work(ctx: &RunContext, http: &HttpWork, task: Task) -> Option<Ended> {
    let request = match http.call.render(&task.inputs, &http.cell_key(ctx.column.id, &task)) {
        Ok(request) => Request { timeout: http.timeout.unwrap_or(request.timeout), ..request },
        Err(error) => return Some(finish(&task, None, CellState::Failed, None, Some(error))),
    };
    // The permit is asked for first: mostly it is there at once, and then the stop signal costs nothing.
    let permit = tokio::select! {
        biased;
        permit = ctx.gate.acquire(http.call.tokens(&request)) => permit,
        () = ctx.stopped() => return Some(give_back(&task)),
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(Refused::Breaker(trip)) => {
            ctx.stop(Stop::Breaker(trip));
            return Some(give_back(&task));
        }
        Err(refused @ Refused::NeverFits { .. }) => {
            let error = cell_error("TOO_MANY_TOKENS", refused.to_string());
            return Some(finish(&task, None, CellState::Failed, None, Some(error)));
        }
        Err(_) => return Some(give_back(&task)),
    };
    if ctx.is_stopped() {
        permit.not_sent(None);
        return Some(give_back(&task));
    }
    if let Err(reached) = ctx.ledger.reserve() {
        permit.not_sent(None);
        ctx.stop(Stop::Cap(reached));
        return Some(give_back(&task));
    }
    if http.records_intents {
        match ctx.store.record_intents(ctx.run, ctx.lease.token, &[task.row]).await {
            Ok(held) if held.contains(&task.row) => {}
            Ok(_) => {
                ctx.ledger.release();
                permit.not_sent(None);
                return None;
            }
            Err(error) => {
                ctx.ledger.release();
                permit.not_sent(None);
                ctx.stop(Stop::Store(error.to_string()));
                return Some(give_back(&task));
            }
        }
    }
    if ctx.is_stopped() {
        // Somebody stopped the run while the intent was written down: nothing leaves any more.
        ctx.ledger.release();
        permit.not_sent(None);
        return Some(give_back(&task));
    }
    Some(call(ctx, http, task, request, permit).await)
}

async fn call(
    ctx: &RunContext,
    http: &HttpWork,
    task: Task,
    request: Request,
    permit: Permit,
) -> Ended {
    let mut events = Events::new(permit, &ctx.clock, &http.retry_on);
    let result = http.provider.call(request, &mut events).await;
    let (sent, heard) = (events.sent, events.heard);
    let ended = ctx.clock.now();
    let head = heard.map_or(ended, |heard| heard.at);
    let verdict = judge(http, &ctx.column, heard.as_ref(), &result);
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
        cost_micros: if is_charged { ctx.ledger.price_micros() } else { 0 },
        ..Attempt::new(task.attempts + 1, class_of(&verdict), wall_at(&ctx.clock, head))
    };
    if let (true, Some(error)) = (verdict.stops, &verdict.error) {
        ctx.stop(Stop::Configuration(error.message.clone()));
        return give_back_made(&task, attempt);
    }
    next_step(ctx, http, task, attempt, verdict)
}

/// What comes after an attempt (the policy decides), as a report and perhaps the task to be tried again.
fn next_step(
    ctx: &RunContext,
    http: &HttpWork,
    task: Task,
    attempt: Attempt,
    verdict: Verdict,
) -> Ended {
    if matches!(verdict.outcome.class, OutcomeClass::Success | OutcomeClass::RowCaused) {
        ctx.came_through();
    }
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
    match http.policy.next(&verdict.outcome, history) {
        // The run pauses, and no cell is to blame.
        Next::RetryAfter(_) if throttled && ctx.refused() => give_back_made(&task, attempt),
        Next::RetryAfter(wait) => retry(task, attempt, errors, now + wait, throttled_since),
        Next::GiveUp => finish(&task, Some(attempt), CellState::Failed, None, verdict.error),
        Next::Deadline => {
            past_deadline(ctx, task, attempt, (errors, history.throttles), throttled_since)
        }
    }
}
