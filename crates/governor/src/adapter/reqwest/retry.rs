//! Which requests may be sent twice, and what happened to one so far.

use http::Method;
use paceline_clock::Tick;
use reqwest::Request;

use crate::{Outcome, OutcomeClass, TaskHistory};

/// Whether a vendor that gets it twice does no more than one that gets it once.
pub(super) fn is_repeatable(request: &Request) -> bool {
    // `Method::is_idempotent` as RFC 9110 has it: GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    Method::is_idempotent(request.method()) || request.headers().contains_key("idempotency-key")
}

/// What the retry policy wants to know.
#[derive(Debug, Default)]
pub(super) struct History {
    errors: u32,
    throttles: u32,
    throttled_since: Option<Tick>,
}

impl History {
    /// Adds an attempt that ended now.
    pub(super) fn add(&mut self, outcome: &Outcome, now: Tick) -> TaskHistory {
        if outcome.class == OutcomeClass::Throttled {
            self.throttles = self.throttles.saturating_add(1);
            self.throttled_since.get_or_insert(now);
        } else {
            self.errors = self.errors.saturating_add(1);
            self.throttles = 0;
            self.throttled_since = None;
        }
        TaskHistory {
            errors: self.errors,
            throttles: self.throttles,
            throttled_for: self.throttled_since.map(|since| now - since).unwrap_or_default(),
        }
    }
}
