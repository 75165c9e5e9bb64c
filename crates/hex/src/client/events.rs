//! What the wire tells while it makes a call, passed on to the call's permit.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use paceline_clock::{Clock, Tick};
use paceline_governor::{
    Hints, Outcome, OutcomeClass, Permit, classify_response, classify_transport,
    retry_after_in_body,
};

use super::Called;
use crate::Secret;
use crate::answer::Answer;
use crate::wire::{ConnectHook, WireError, WireEvents, WireReply};

pub(super) struct Events<'a> {
    /// Until the call is over for the budget.
    permit: Option<Permit>,
    clock: &'a Clock,
    sent_at: Option<Tick>,
    head: Option<(Tick, u16, Hints)>,
}

impl<'a> Events<'a> {
    pub(super) fn new(permit: Permit, clock: &'a Clock) -> Self {
        Self { permit: Some(permit), clock, sent_at: None, head: None }
    }

    /// The call is over: the budget learns how, and the answer is freed of the token.
    pub(super) fn end(
        self,
        reply: Result<WireReply, WireError>,
        throttle_pause: Duration,
        secret: &Secret,
    ) -> Called {
        let now = self.clock.now();
        let head = self.head.map(|(_, status, _)| status);
        let hints = self.head.map(|(_, _, hints)| hints).unwrap_or_default();
        let (outcome, arrived) = match &reply {
            Ok(reply) => (outcome(reply.status, &hints, &reply.body, throttle_pause), true),
            Err(WireError::TooLong { status, .. }) => {
                (outcome(*status, &hints, &[], throttle_pause), true)
            }
            Err(WireError::Transport { kind, .. }) => match head {
                Some(status) => (outcome(status, &hints, &[], throttle_pause), true),
                None => (classify_transport(*kind), kind.may_have_arrived()),
            },
        };
        match self.permit {
            Some(permit) if arrived => permit.finish(&for_budget(outcome)),
            Some(permit) => permit.not_sent(None),
            None => {}
        }
        let answer = match reply {
            Ok(reply) => Ok(Answer::new(reply.status, &reply.headers, &reply.body, secret)),
            Err(WireError::Transport { kind, message }) => {
                Err(WireError::Transport { kind, message: secret.mask(&message) })
            }
            Err(error) => Err(error),
        };
        let seen_at = self.head.map_or(now, |(at, _, _)| at);
        Called { answer, head, outcome, sent_at: self.sent_at.filter(|_| arrived), seen_at }
    }
}

fn outcome(status: u16, hints: &Hints, body: &[u8], throttle_pause: Duration) -> Outcome {
    let outcome = classify_response(status, hints, &[]);
    if status != 429 {
        return outcome;
    }
    let wait = outcome.retry_after.or_else(|| retry_after_in_body(body));
    Outcome { retry_after: Some(wait.unwrap_or(throttle_pause)), ..outcome }
}

/// Only a refusal for its rate pauses a budget. What else goes wrong concerns this call, and a refused token is dealt with
/// by reading it again.
fn for_budget(outcome: Outcome) -> Outcome {
    match outcome.class {
        OutcomeClass::Throttled => outcome,
        class => Outcome::of(class),
    }
}

impl WireEvents for Events<'_> {
    fn sent(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.sent();
        }
        self.sent_at = Some(self.clock.now());
    }

    fn head(&mut self, status: u16, headers: &HeaderMap) {
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let hints = Hints::read(fields, self.clock.wall());
        self.head = Some((self.clock.now(), status, hints));
        if let Some(permit) = &mut self.permit {
            permit.seen();
            permit.heard(&hints);
        }
        let outcome = classify_response(status, &hints, &[]);
        if outcome.class == OutcomeClass::Throttled && outcome.retry_after.is_some() {
            // At once: what Hex asks for must not wait until a body has been read.
            if let Some(permit) = self.permit.take() {
                permit.finish(&outcome);
            }
        }
    }

    fn on_connect(&self) -> ConnectHook {
        self.permit.as_ref().map_or_else(|| Arc::new(|_| {}) as ConnectHook, Permit::on_connect)
    }
}
