//! What a provider tells while it makes a call, passed on to the call's permit: when it left, and what the head of its
//! response says of the vendor's limits.

use std::sync::Arc;

use http::HeaderMap;
use paceline_clock::{Clock, Tick};
use paceline_governor::{Hints, OutcomeClass, Permit, classify_response};
use paceline_model::RowId;

use super::verdict::Verdict;
use crate::{CallEvents, ConnectHook};

/// The head of a response, as far as it matters to anybody but the cell.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub(super) at: Tick,
    pub(super) status: u16,
    pub(super) hints: Hints,
}

pub(super) struct Events<'a> {
    /// Until the call is over for the budget.
    permit: Option<Permit>,
    clock: &'a Clock,
    retry_on: &'a [u16],
    cell: (RowId, u32),
    pub(super) sent: Option<Tick>,
    pub(super) heard: Option<Heard>,
}

impl<'a> Events<'a> {
    pub(super) fn new(
        permit: Permit,
        clock: &'a Clock,
        retry_on: &'a [u16],
        cell: (RowId, u32),
    ) -> Self {
        Self { permit: Some(permit), clock, retry_on, cell, sent: None, heard: None }
    }

    /// The call is over, if it was not so at its response's head.
    pub(super) fn end(self, verdict: &Verdict) {
        match self.permit {
            Some(mut permit) if verdict.arrived => {
                if let Some(tokens) = verdict.tokens {
                    permit.settle(tokens);
                }
                permit.finish(&verdict.lesson());
            }
            Some(permit) => permit.not_sent(Some(&verdict.lesson())),
            None => {}
        }
    }
}

impl CallEvents for Events<'_> {
    fn sent(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.sent();
        }
        self.sent = Some(self.clock.now());
    }

    fn on_connect(&self) -> ConnectHook {
        self.permit.as_ref().map_or_else(|| Arc::new(|_| {}) as ConnectHook, Permit::on_connect)
    }

    fn cell(&self) -> Option<(RowId, u32)> {
        Some(self.cell)
    }

    fn head(&mut self, status: u16, headers: &HeaderMap) {
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let hints = Hints::read(fields, self.clock.wall());
        self.heard = Some(Heard { at: self.clock.now(), status, hints });
        if let Some(permit) = &mut self.permit {
            permit.seen();
            permit.heard(&hints);
        }
        let outcome = classify_response(status, &hints, self.retry_on);
        if outcome.class == OutcomeClass::Throttled && outcome.retry_after.is_some() {
            // At once: what the vendor asks for must not wait until a body has been read.
            if let Some(permit) = self.permit.take() {
                permit.finish(&outcome);
            }
        }
    }
}
