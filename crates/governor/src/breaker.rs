//! The breaker (spec G9): more than half of at least ten calls within a minute failed, or three keys in a row were
//! refused, and nothing more is sent until somebody mends the cause. A throttled call is not a failure.

use std::time::Duration;

use paceline_clock::Tick;

use crate::{Outcome, OutcomeClass};

/// Buckets that the window is counted in; the oldest drops out as a whole.
const BUCKETS: usize = 60;

/// When the breaker trips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// The window that failures are counted over. (seed B): 60 s.
    pub window: Duration,
    /// Trips when more than this share of the calls failed. (seed B): 0.5.
    pub failure_ratio: f64,
    /// Calls in the window before it may trip. Default 10.
    pub calls_min: u32,
    /// Refused credentials in a row that trip it. Default 3.
    pub credentials_refused_max: u32,
    /// Whether a call that its own row made fail (400, 404, 409, 422) counts as failed, as it does by default; if not, it counts
    /// as one that the vendor answered.
    pub counts_row_caused: bool,
    /// Whether to let one call through by itself this long after tripping; `None` (default): a person.
    pub probe_after: Option<Duration>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            failure_ratio: 0.5,
            calls_min: 10,
            credentials_refused_max: 3,
            counts_row_caused: true,
            probe_after: None,
        }
    }
}

/// Why the breaker tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// Too many calls failed.
    Failures {
        /// How many failed.
        failed: u32,
        /// Of how many.
        calls: u32,
    },
    /// The vendor refused the credential several times in a row.
    CredentialRefused {
        /// How often in a row.
        times: u32,
    },
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Admitting,
    /// Nothing goes through; if `until` is set, a probe does from then on.
    Refusing {
        /// Why.
        trip: Trip,
        /// When a probe may be sent.
        until: Option<Tick>,
    },
    /// One call is under way to see whether the cause is gone.
    Probing {
        /// Why it tripped.
        trip: Trip,
    },
}

/// Counts outcomes and decides whether calls may go through. Pure: the time is an argument.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// (bucket number, calls, failed), one per slice of the window.
    buckets: [(u64, u32, u32); BUCKETS],
    credentials_refused: u32,
}

impl Breaker {
    /// A breaker that admits.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: BreakerState::Admitting,
            buckets: [(0, 0, 0); BUCKETS],
            credentials_refused: 0,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Why a call may not go through now and until when, if it may not; nothing changes.
    pub(crate) fn refuses(&self, now: Tick) -> Option<(Trip, Option<Tick>)> {
        match self.state {
            BreakerState::Admitting => None,
            BreakerState::Refusing { until: Some(until), .. } if now >= until => None,
            BreakerState::Refusing { trip, until } => Some((trip, until)),
            BreakerState::Probing { trip } => Some((trip, None)),
        }
    }

    /// Whether a call may go through now; if it may as a probe, from now on only that one.
    ///
    /// # Errors
    /// Why it tripped.
    pub fn admit(&mut self, now: Tick) -> Result<(), Trip> {
        match self.state {
            BreakerState::Admitting => Ok(()),
            BreakerState::Refusing { trip, until: Some(until) } if now >= until => {
                self.state = BreakerState::Probing { trip };
                Ok(())
            }
            BreakerState::Refusing { trip, .. } | BreakerState::Probing { trip } => Err(trip),
        }
    }

    /// Whether it is as good as new: it admits, and no failure is inside its window.
    pub(crate) fn is_fresh(&self, now: Tick) -> bool {
        let newest = self.bucket_number(now);
        let failed = |bucket: &(u64, u32, u32)| bucket.2 > 0 && bucket.0 + BUCKETS as u64 > newest;
        self.state == BreakerState::Admitting
            && self.credentials_refused == 0
            && !self.buckets.iter().any(failed)
    }

    /// Takes the outcome of a call into account; true if this trips it.
    pub fn record(&mut self, now: Tick, outcome: &Outcome) -> bool {
        if outcome.class == OutcomeClass::Throttled {
            return false;
        }
        let failed = match outcome.class {
            OutcomeClass::Success => false,
            OutcomeClass::RowCaused => self.config.counts_row_caused,
            _ => true,
        };
        match self.state {
            BreakerState::Refusing { .. } => return false,
            BreakerState::Probing { trip } if failed => {
                self.refuse(now, trip);
                return true;
            }
            BreakerState::Probing { .. } => self.reset(),
            BreakerState::Admitting => {}
        }
        self.count(now, failed);
        self.credentials_refused =
            if outcome.credential_refused { self.credentials_refused + 1 } else { 0 };
        // A success makes the ratio smaller: nothing to look at.
        let verdict = if failed { self.verdict(now) } else { None };
        match verdict {
            Some(trip) => {
                self.refuse(now, trip);
                true
            }
            None => false,
        }
    }

    /// A probe ended without an outcome (it was never sent): the next call may probe.
    pub fn probe_lost(&mut self, now: Tick) {
        if let BreakerState::Probing { trip } = self.state {
            self.state = BreakerState::Refusing { trip, until: Some(now) };
        }
    }

    /// Admits again and forgets what led here: the cause was mended.
    pub fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    fn refuse(&mut self, now: Tick, trip: Trip) {
        let until = self.config.probe_after.map(|wait| now + wait);
        self.state = BreakerState::Refusing { trip, until };
    }

    fn count(&mut self, now: Tick, failed: bool) {
        let number = self.bucket_number(now);
        let bucket = &mut self.buckets[(number % BUCKETS as u64) as usize];
        if bucket.0 != number {
            *bucket = (number, 0, 0);
        }
        bucket.1 = bucket.1.saturating_add(1);
        bucket.2 = bucket.2.saturating_add(u32::from(failed));
    }

    fn verdict(&self, now: Tick) -> Option<Trip> {
        if self.credentials_refused >= self.config.credentials_refused_max {
            return Some(Trip::CredentialRefused { times: self.credentials_refused });
        }
        let newest = self.bucket_number(now);
        let inside = self.buckets.iter().filter(|bucket| bucket.0 + BUCKETS as u64 > newest);
        let (calls, failed) = inside.fold((0_u32, 0_u32), |(calls, failed), bucket| {
            (calls.saturating_add(bucket.1), failed.saturating_add(bucket.2))
        });
        let too_many = f64::from(failed) > f64::from(calls) * self.config.failure_ratio;
        (calls >= self.config.calls_min && too_many).then_some(Trip::Failures { failed, calls })
    }

    fn bucket_number(&self, now: Tick) -> u64 {
        let slice_nanos = (self.config.window.as_nanos() as u64 / BUCKETS as u64).max(1);
        now.as_nanos() / slice_nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Outcome =
        Outcome { class: OutcomeClass::Transient, retry_after: None, credential_refused: false };
    const REFUSED: Outcome = Outcome {
        class: OutcomeClass::ConfigurationCaused,
        retry_after: None,
        credential_refused: true,
    };

    fn good() -> Outcome {
        Outcome::of(OutcomeClass::Success)
    }

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    #[test]
    fn more_than_half_of_at_least_ten_trips_it() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        let tripped: Vec<bool> = (0..10).map(|_| breaker.record(at(1), &FAILED)).collect();
        assert_eq!(tripped.iter().position(|tripped| *tripped), Some(9), "not before the tenth");
        assert!(breaker.admit(at(9999)).is_err(), "without a probe it waits for a person");
        breaker.reset();
        assert!(breaker.admit(at(9999)).is_ok());
    }

    #[test]
    fn exactly_half_does_not_and_throttled_calls_do_not_count() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..50 {
            assert!(!breaker.record(at(1), &good()));
            assert!(!breaker.record(at(1), &FAILED));
            assert!(!breaker.record(at(1), &Outcome::of(OutcomeClass::Throttled)));
        }
        assert!(breaker.record(at(1), &FAILED));
    }

    #[test]
    fn a_row_that_fails_counts_unless_it_is_said_not_to() {
        let row = Outcome::of(OutcomeClass::RowCaused);
        let mut breaker = Breaker::new(BreakerConfig::default());
        assert!((0..10).any(|_| breaker.record(at(1), &row)));
        let config = BreakerConfig { counts_row_caused: false, ..BreakerConfig::default() };
        let mut breaker = Breaker::new(config);
        assert!(!(0..500).any(|_| breaker.record(at(1), &row)));
        // They were calls that the vendor answered.
        assert!(!(0..500).any(|_| breaker.record(at(1), &FAILED)));
        assert!(breaker.record(at(1), &FAILED));
    }

    #[test]
    fn failures_leave_the_window() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..9 {
            breaker.record(at(0), &FAILED);
        }
        assert!(!breaker.record(at(61), &FAILED));
        assert_eq!(breaker.state(), BreakerState::Admitting);
    }

    #[test]
    fn three_refused_keys_in_a_row_trip_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        breaker.record(at(0), &REFUSED);
        breaker.record(at(0), &REFUSED);
        breaker.record(at(0), &good());
        breaker.record(at(0), &REFUSED);
        breaker.record(at(0), &REFUSED);
        assert_eq!(breaker.state(), BreakerState::Admitting);
        assert!(breaker.record(at(0), &REFUSED));
        let BreakerState::Refusing { trip, .. } = breaker.state() else { panic!("refusing") };
        assert_eq!(trip, Trip::CredentialRefused { times: 3 });
    }

    #[test]
    fn one_probe_at_a_time() {
        let config = BreakerConfig {
            probe_after: Some(Duration::from_secs(30)),
            ..BreakerConfig::default()
        };
        let mut breaker = Breaker::new(config);
        for _ in 0..10 {
            breaker.record(at(0), &FAILED);
        }
        assert!(breaker.admit(at(29)).is_err());
        assert!(breaker.admit(at(30)).is_ok());
        assert!(breaker.admit(at(30)).is_err(), "the probe is under way");
        breaker.probe_lost(at(31));
        assert!(breaker.admit(at(31)).is_ok(), "a probe that was never sent is no answer");
        assert!(breaker.record(at(32), &FAILED));
        assert!(breaker.admit(at(61)).is_err());
        assert!(breaker.admit(at(62)).is_ok());
        assert!(!breaker.record(at(63), &good()));
        assert_eq!(breaker.state(), BreakerState::Admitting);
    }
}
