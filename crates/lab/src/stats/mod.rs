//! What the vendor saw: the judge's own count, kept apart from anything the judged side says.

mod busiest;
mod keys;
mod recent;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use paceline_clock::Tick;
use serde::Serialize;

pub(crate) use busiest::Busiest;
pub use keys::KEYS_MAX;
pub(crate) use keys::{KeyHash, Keys, Sighting};
pub(crate) use recent::Recent;

use crate::fault::FaultKind;

/// What a vendor has seen since it started or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls that passed the limits, whatever became of them.
    pub accepted: u64,
    /// Calls that the limits refused.
    pub refused: u64,
    /// Calls that were done, whether or not the reply reached the caller.
    pub served: u64,
    /// Calls that passed the limits and were wrong in themselves (404, 400), so that nothing was done.
    pub invalid: u64,
    /// Calls that were done although a call with the same `Idempotency-Key` had been done before.
    pub duplicates: u64,
    /// Distinct keys of the calls that were done, [`KEYS_MAX`] at most.
    pub keys: u64,
    /// Calls whose new key was not remembered because there were [`KEYS_MAX`] already; repeats of these go unnoticed.
    pub keys_not_kept: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// What each limit saw, in the order of the configuration.
    pub limits: Vec<LimitStats>,
    /// The most calls that were at the vendor at once: counted, and not yet sent on their way back.
    pub in_flight_max: u64,
    /// When the first call arrived, in ms since the lab started.
    pub first_call_ms: Option<u64>,
    /// When the latest call arrived, in ms since the lab started.
    pub last_call_ms: Option<u64>,
}

/// What one limit saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitStats {
    /// The limit, as `20/min`.
    pub limit: String,
    /// Its window in ms.
    pub window_ms: u64,
    /// The most accepted calls in any half-open window of that length.
    pub busiest: u64,
}

/// The counts that need no lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) invalid: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    keys_not_kept: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
    /// One more than the arrival in nanoseconds; zero before the first call.
    first_call: AtomicU64,
    last_call: AtomicU64,
}

impl Counters {
    /// Notes an arrival and tells when the first one was.
    pub(crate) fn arrived(&self, at: Tick) -> Tick {
        let mark = at.as_nanos().saturating_add(1);
        self.last_call.fetch_max(mark, Relaxed);
        let first = match self.first_call.load(Relaxed) {
            0 => match self.first_call.compare_exchange(0, mark, Relaxed, Relaxed) {
                Ok(_) => mark,
                Err(other) => other,
            },
            first => first,
        };
        Tick::from_nanos(first - 1)
    }

    /// Counts a call as being at the vendor until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        // A load is cheaper than a write that changes nothing, and that is the usual case.
        if self.in_flight_max.load(Relaxed) < now {
            self.in_flight_max.fetch_max(now, Relaxed);
        }
        InFlight(self)
    }

    pub(crate) fn struck(&self, kind: FaultKind) {
        self.faults[kind as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn sighted(&self, sighting: Sighting) {
        match sighting {
            Sighting::First => return,
            Sighting::Again => &self.duplicates,
            Sighting::NotKept => &self.keys_not_kept,
        }
        .fetch_add(1, Relaxed);
    }

    /// Sets every count to zero; calls that are at the vendor stay in flight.
    pub(crate) fn reset(&self) {
        let counts = [
            &self.accepted,
            &self.refused,
            &self.served,
            &self.invalid,
            &self.duplicates,
            &self.keys_not_kept,
            &self.first_call,
            &self.last_call,
        ];
        counts.into_iter().chain(&self.faults).for_each(|count| count.store(0, Relaxed));
        self.in_flight_max.store(self.in_flight.load(Relaxed), Relaxed);
    }

    /// The counts, without what the limits and the keys know.
    pub(crate) fn stats(&self) -> Stats {
        let millis = |mark: &AtomicU64| mark.load(Relaxed).checked_sub(1).map(|n| n / 1_000_000);
        let struck = FaultKind::ALL.into_iter().zip(&self.faults);
        Stats {
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            served: self.served.load(Relaxed),
            invalid: self.invalid.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            keys_not_kept: self.keys_not_kept.load(Relaxed),
            faults: struck
                .map(|(kind, count)| (kind.name(), count.load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            in_flight_max: self.in_flight_max.load(Relaxed),
            first_call_ms: millis(&self.first_call),
            last_call_ms: millis(&self.last_call),
            ..Stats::default()
        }
    }
}

/// A call that is at the vendor.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Counters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
