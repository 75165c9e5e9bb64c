//! Leave to make one call, and what is said when there is none.

use std::fmt;
use std::sync::Arc;

use crate::budget::Shared;
use crate::{Hints, Limit, Outcome, Slot, Trip};

/// Leave to make one call. Tell it when the call is [sent](Permit::sent), when the response's head is
/// [seen](Permit::seen) and how it [ended](Permit::finish).
///
/// Dropped without that, the call counts as sent with an unknown end: the slot it took is held as long as if the vendor
/// had counted it. If nothing left this machine, say so with [`Permit::not_sent`].
#[must_use = "a permit that is dropped counts as a call that was made"]
pub struct Permit {
    /// The budget that keeps the vendor's limits.
    gate: Hold,
    /// The column's own budget, if the call passed two gates.
    own: Option<Hold>,
    over: bool,
}

#[derive(Clone)]
struct Hold {
    shared: Arc<Shared>,
    slot: Slot,
}

impl Permit {
    pub(crate) fn new(shared: Arc<Shared>, slot: Slot) -> Self {
        Self { gate: Hold { shared, slot }, own: None, over: false }
    }

    pub(crate) fn both(gate: (Arc<Shared>, Slot), own: (Arc<Shared>, Slot)) -> Self {
        let hold = |(shared, slot)| Hold { shared, slot };
        Self { gate: hold(gate), own: Some(hold(own)), over: false }
    }

    fn holds(&self) -> impl Iterator<Item = &Hold> {
        std::iter::once(&self.gate).chain(&self.own)
    }

    /// The call leaves now. Say this just before the first byte is written.
    pub fn sent(&mut self) {
        for Hold { shared, slot } in self.holds() {
            // Under a bound this is what tells until when the slot is held; whoever waits first sets its timer by it.
            shared.with_core_then_pump(|core, now| core.sent(*slot, now));
        }
    }

    /// What is to be called with `false` if the call has to make a connection first, and with `true` when that is there:
    /// in between its slot is held, whatever the guard. May be called from anywhere, at any time; after the end of the
    /// permit it does nothing.
    #[must_use]
    pub fn on_connect(&self) -> Arc<dyn Fn(bool) + Send + Sync> {
        let holds: Vec<Hold> = self.holds().cloned().collect();
        Arc::new(move |connected| {
            for Hold { shared, slot } in &holds {
                if connected {
                    shared.with_core_then_pump(|core, now| core.connected(*slot, now));
                } else {
                    shared.with_core(|core, _| core.connecting(*slot));
                }
            }
        })
    }

    /// The response's head is here.
    pub fn seen(&mut self) {
        for Hold { shared, slot } in self.holds() {
            shared.with_core_then_pump(|core, now| core.seen(*slot, now));
        }
    }

    /// What the response's head says of the vendor's quotas, which only ever makes the budget slower
    /// ([`heed_hints`](crate::BudgetConfig::heed_hints)). Say this after [`seen`](Permit::seen). `Retry-After` is not heeded
    /// here but by [`finish`](Permit::finish), as part of the outcome.
    pub fn heard(&mut self, hints: &Hints) {
        if !hints.is_empty() {
            let Hold { shared, slot } = &self.gate;
            shared.with_core_then_pump(|core, now| core.heard(*slot, hints, now));
        }
    }

    /// The call took so many tokens, as its response says; what was reserved beyond is free again (spec G13).
    pub fn settle(&mut self, tokens: u64) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        for Hold { shared, slot } in self.holds() {
            shared.with_core_then_pump(|core, _| core.settle(*slot, tokens));
        }
    }

    /// The call is over, and this is what it teaches: a success proves, a 429 narrows, a wait that the vendor asked for
    /// holds the whole budget unless the call was a success.
    pub fn finish(mut self, outcome: &Outcome) {
        self.over = true;
        let Hold { shared, slot } = &self.gate;
        let Some(own) = &self.own else {
            shared.with_core_then_pump(|core, now| core.finish(*slot, outcome, now));
            return;
        };
        shared.with_core_then_pump(|core, now| core.finish_shared(*slot, outcome, now));
        own.shared.with_core_then_pump(|core, now| core.finish_own(own.slot, outcome, now));
    }

    /// Nothing left this machine: the place is given back as if it had never been taken. `outcome` tells the breaker why,
    /// if there is a why (no connection came about).
    pub fn not_sent(mut self, outcome: Option<&Outcome>) {
        self.over = true;
        let Hold { shared, slot } = &self.gate;
        let shared_outcome = outcome.filter(|_| self.own.is_none());
        shared.with_core_then_pump(|core, now| core.give_back(*slot, shared_outcome, now));
        if let Some(own) = &self.own {
            own.shared.with_core_then_pump(|core, now| core.give_back(own.slot, outcome, now));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        for Hold { shared, slot } in self.holds() {
            shared.with_core_then_pump(|core, now| core.abandon(*slot, now));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<Slot> = self.holds().map(|hold| hold.slot).collect();
        f.debug_tuple("Permit").field(&slots).finish()
    }
}

/// No permit, and waiting would not bring one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The breaker refuses; somebody has to mend the cause and reset it.
    #[error("the breaker stopped all calls: {}", describe(.0))]
    Breaker(Trip),
    /// As many callers as allowed wait already.
    #[error("{waiting} callers wait for this budget already; ask again when some have gone")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// The call is heavier than a whole limit.
    #[error("{tokens} tokens can never fit into {limit}; ask for less, or split the call")]
    NeverFits {
        /// What was asked for.
        tokens: u64,
        /// The limit.
        limit: Limit,
    },
}

fn describe(trip: &Trip) -> String {
    match trip {
        Trip::Failures { failed, calls } => format!("{failed} of the last {calls} calls failed"),
        Trip::CredentialRefused { times } => {
            format!("the credential was refused {times} times in a row")
        }
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self))
    }
}
