//! When a job that started no run is tried again: the seed's waits, as a pure function of what happened so far.

use std::time::Duration;

use paceline_governor::{Next, Outcome, OutcomeClass, TaskHistory};
use serde::{Deserialize, Serialize};

use crate::OptionsError;
use crate::millis::one;

/// No doubling leads to a longer wait.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// The longest duration that a setting may have: a day.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
const RETRIES_MAX: u32 = 100;

/// The waits between two tries of one job. The vendor's word wins where it is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryOptions {
    /// After 429 number n (from 0) the wait is this * 2^n. Default 30 s (seed).
    #[serde(rename = "throttle_base_ms", with = "one")]
    pub throttle_base: Duration,
    /// Up to so much is added to it, by chance. Default 5 s (seed).
    #[serde(rename = "throttle_jitter_ms", with = "one")]
    pub throttle_jitter: Duration,
    /// After error number n (from 0) the wait is this * 2^n. Default 3 s (seed).
    #[serde(rename = "error_base_ms", with = "one")]
    pub error_base: Duration,
    /// Tries after the first one; a 429 uses up none. Default 3 (seed).
    pub retries: u32,
    /// How long a job may be refused for its rate before it fails. Default 6 h (ours).
    #[serde(rename = "throttle_deadline_ms", with = "one")]
    pub throttle_deadline: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            throttle_base: Duration::from_secs(30),
            throttle_jitter: Duration::from_secs(5),
            error_base: Duration::from_secs(3),
            retries: 3,
            throttle_deadline: Duration::from_secs(6 * 3600),
        }
    }
}

impl RetryOptions {
    /// What to do after [`EndKind::Again`](crate::EndKind::Again). `history` holds this try too; `chance` is in `0.0..1.0`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline_governor::{Next, Outcome, OutcomeClass, TaskHistory};
    /// use paceline_hex::RetryOptions;
    /// let third = TaskHistory { throttles: 3, ..TaskHistory::default() };
    /// let next = RetryOptions::default().next(&Outcome::of(OutcomeClass::Throttled), third, 0.5);
    /// assert_eq!(next, Next::RetryAfter(Duration::from_millis(122_500)));
    /// ```
    #[must_use]
    pub fn next(&self, outcome: &Outcome, history: TaskHistory, chance: f64) -> Next {
        let asked = outcome.retry_after.unwrap_or_default();
        let doubled = |base: Duration, tries: u32| {
            let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
            base.saturating_mul(factor).min(WAIT_MAX)
        };
        match outcome.class {
            OutcomeClass::Throttled if history.throttled_for >= self.throttle_deadline => {
                Next::Deadline
            }
            OutcomeClass::Throttled => {
                let jitter = self.throttle_jitter.mul_f64(chance.clamp(0.0, 1.0));
                let wait = doubled(self.throttle_base, history.throttles).max(asked);
                Next::RetryAfter(wait.saturating_add(jitter))
            }
            OutcomeClass::Transient if history.errors <= self.retries => {
                Next::RetryAfter(doubled(self.error_base, history.errors).max(asked))
            }
            _ => Next::GiveUp,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let durations = [
            ("throttle_base_ms", self.throttle_base),
            ("throttle_jitter_ms", self.throttle_jitter),
            ("error_base_ms", self.error_base),
            ("throttle_deadline_ms", self.throttle_deadline),
        ];
        for (name, value) in durations {
            if value > DURATION_MAX {
                return Err(OptionsError(format!("{name} must be at most 86400000 (a day)")));
            }
        }
        if self.retries > RETRIES_MAX {
            return Err(OptionsError(format!("retries must be at most {RETRIES_MAX}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(class: OutcomeClass, asked: Option<u64>, tries: u32, chance: f64) -> Next {
        let outcome = Outcome { retry_after: asked.map(Duration::from_secs), ..Outcome::of(class) };
        let history = match class {
            OutcomeClass::Throttled => TaskHistory { throttles: tries, ..TaskHistory::default() },
            _ => TaskHistory { errors: tries, ..TaskHistory::default() },
        };
        RetryOptions::default().next(&outcome, history, chance)
    }

    #[test]
    fn the_seed_s_waits() {
        let throttled = (1..=4).map(|n| after(OutcomeClass::Throttled, None, n, 0.0));
        let wanted = [30, 60, 120, 240].map(|wait| Next::RetryAfter(wait * SECOND));
        assert_eq!(throttled.collect::<Vec<_>>(), wanted);
        let errors = (1..=4).map(|n| after(OutcomeClass::Transient, None, n, 0.9));
        let mut wanted = [3, 6, 12, 0].map(|wait| Next::RetryAfter(wait * SECOND));
        wanted[3] = Next::GiveUp;
        assert_eq!(errors.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_vendor_s_word_wins_where_it_is_longer() {
        let throttled = |asked| after(OutcomeClass::Throttled, Some(asked), 1, 0.0);
        assert_eq!(throttled(3_000), Next::RetryAfter(3_000 * SECOND));
        assert_eq!(throttled(1), Next::RetryAfter(30 * SECOND));
        assert_eq!(after(OutcomeClass::Transient, Some(9), 1, 0.0), Next::RetryAfter(9 * SECOND));
    }

    #[test]
    fn jitter_stays_inside_its_bound_and_nothing_overflows() {
        for tries in [0, 1, 31, 32, 33, u32::MAX] {
            for chance in [0.0, 0.999, 7.0, -1.0] {
                let Next::RetryAfter(wait) = after(OutcomeClass::Throttled, None, tries, chance)
                else {
                    panic!("{tries}");
                };
                assert!(wait >= 30 * SECOND && wait <= WAIT_MAX + 5 * SECOND, "{wait:?}");
            }
        }
    }

    #[test]
    fn other_outcomes_are_not_tried_again_and_a_throttle_has_a_deadline() {
        assert_eq!(after(OutcomeClass::RowCaused, Some(1), 1, 0.0), Next::GiveUp);
        let history = TaskHistory { throttled_for: 6 * 3600 * SECOND, ..TaskHistory::default() };
        let outcome = Outcome::of(OutcomeClass::Throttled);
        assert_eq!(RetryOptions::default().next(&outcome, history, 0.0), Next::Deadline);
    }
}
