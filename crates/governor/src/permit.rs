//! Leave to make one call, and what is said when there is none.

use std::fmt;
use std::sync::Arc;

use crate::budget::Shared;
use crate::{Outcome, Slot, Trip};

/// Leave to make one call. Tell it when the call is [sent](Permit::sent), when the response's head is
/// [seen](Permit::seen) and how it [ended](Permit::finish).
///
/// Dropped without that, the call counts as sent with an unknown end: the slot it took is held as long as if the vendor
/// had counted it. If nothing left this machine, say so with [`Permit::not_sent`].
#[must_use = "a permit that is dropped counts as a call that was made"]
pub struct Permit {
    shared: Arc<Shared>,
    slot: Option<Slot>,
}

impl Permit {
    pub(crate) fn new(shared: Arc<Shared>, slot: Slot) -> Self {
        Self { shared, slot: Some(slot) }
    }

    /// The call leaves now. Say this just before the first byte is written.
    pub fn sent(&mut self) {
        if let Some(slot) = self.slot {
            self.shared.with_core(|core, now| core.sent(slot, now));
        }
    }

    /// What is to be called with `false` if the call has to make a connection first, and with `true` when that is there:
    /// in between its slot is held, whatever the guard. May be called from anywhere, at any time; after the end of the
    /// permit it does nothing.
    #[must_use]
    pub fn on_connect(&self) -> Arc<dyn Fn(bool) + Send + Sync> {
        let (shared, slot) = (Arc::clone(&self.shared), self.slot);
        Arc::new(move |connected| match slot {
            Some(slot) if connected => {
                shared.with_core_then_pump(|core, now| core.connected(slot, now));
            }
            Some(slot) => shared.with_core(|core, _| core.connecting(slot)),
            None => {}
        })
    }

    /// The response's head is here.
    pub fn seen(&mut self) {
        if let Some(slot) = self.slot {
            self.shared.with_core_then_pump(|core, now| core.seen(slot, now));
        }
    }

    /// The call is over.
    pub fn finish(mut self, outcome: &Outcome) {
        if let Some(slot) = self.slot.take() {
            self.shared.with_core_then_pump(|core, now| core.finish(slot, outcome, now));
        }
    }

    /// Nothing left this machine: the place is given back as if it had never been taken. `outcome` tells the breaker why,
    /// if there is a why (no connection came about).
    pub fn not_sent(mut self, outcome: Option<&Outcome>) {
        if let Some(slot) = self.slot.take() {
            self.shared.with_core_then_pump(|core, now| core.give_back(slot, outcome, now));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.shared.with_core_then_pump(|core, now| core.abandon(slot, now));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.slot).finish()
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
