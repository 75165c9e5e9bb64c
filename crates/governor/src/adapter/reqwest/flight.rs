//! One attempt: a permit, a call, and what the budget is told of it, whatever becomes of its future.

use std::sync::Arc;

use reqwest::{Request, Response};

use super::connect::Connecting;
use super::{CallError, GovernedClient, body};
use crate::adapter::outcome_of_head;
use crate::{Budget, Hints, Outcome, OutcomeClass, Permit, classify_transport};

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The vendor certainly did nothing: it refused the call, or never saw it.
    pub(super) did_nothing: bool,
    pub(super) result: Result<Response, CallError>,
}

/// A permit that knows of its call's connection. Dropped, it counts as sent, unless the call was still waiting for one.
pub(super) struct Flight {
    permit: Option<Permit>,
    connecting: Arc<Connecting>,
}

impl Flight {
    /// The call leaves now.
    fn depart(budget: Budget, mut permit: Permit) -> Self {
        let connecting = Connecting::new(budget, &permit);
        permit.sent();
        Self { permit: Some(permit), connecting }
    }

    fn seen(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.seen();
        }
    }

    fn heard(&mut self, hints: &Hints) {
        if let Some(permit) = &mut self.permit {
            permit.heard(hints);
        }
    }

    pub(super) fn finish(mut self, outcome: &Outcome) {
        if let Some(permit) = self.permit.take() {
            permit.finish(outcome);
        }
    }

    fn not_sent(mut self, outcome: Option<&Outcome>) {
        if let Some(permit) = self.permit.take() {
            permit.not_sent(outcome);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.connecting.stayed()
        {
            permit.not_sent(None);
        }
    }
}

impl GovernedClient {
    /// One call with one permit. An `Err` is for what no retry mends.
    pub(super) async fn attempt(&self, request: Request) -> Result<Ended, CallError> {
        let origin = request.url().origin().ascii_serialization();
        let permit = self.budget.acquire().await?;
        let flight = Flight::depart(self.budget.clone(), permit);
        let connecting = Arc::clone(&flight.connecting);
        match connecting.scope(self.client.execute(request)).await {
            Ok(response) => Ok(self.answered(response, flight)),
            Err(error) => failed(CallError::of(&error, origin, connecting.stayed()), flight),
        }
    }

    fn answered(&self, response: Response, mut flight: Flight) -> Ended {
        flight.seen();
        let wall = self.clock().wall();
        let (status, headers) = (response.status(), response.headers());
        let (outcome, hints) = outcome_of_head(status, headers, wall, &self.retry_on);
        flight.heard(&hints);
        let response = if outcome.class == OutcomeClass::Success {
            body::hold(response, flight, outcome)
        } else {
            // At once: a `Retry-After` must not wait for a body to be read.
            flight.finish(&outcome);
            response
        };
        let did_nothing = outcome.class == OutcomeClass::Throttled;
        Ended { outcome, did_nothing, result: Ok(response) }
    }
}

fn failed(error: CallError, flight: Flight) -> Result<Ended, CallError> {
    let CallError::Transport { kind, .. } = error else {
        flight.not_sent(None);
        return Err(error);
    };
    let outcome = classify_transport(kind);
    let did_nothing = !kind.may_have_arrived();
    if did_nothing {
        flight.not_sent(Some(&outcome));
    } else {
        flight.finish(&outcome);
    }
    Ok(Ended { outcome, did_nothing, result: Err(error) })
}
