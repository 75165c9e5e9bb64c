//! Whether a cell is tried again, and when: a pure function of what happened so far.

use std::time::Duration;

use crate::{Backoff, Outcome, OutcomeClass};

/// A throttled call without a hint waits at most this long before it asks again.
const THROTTLE_WAIT_MAX: Duration = Duration::from_secs(60);

/// When to try again, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits.
    pub backoff: Backoff,
    /// Retries of one cell; throttled calls do not use them up.
    pub max_retries: u32,
    /// How long a cell may be throttled before it fails visibly (spec G8).
    pub throttle_deadline: Duration,
}

/// What happened to a task so far, this attempt included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskHistory {
    /// Attempts that failed in a way that uses up a retry.
    pub errors: u32,
    /// Attempts in a row that were throttled.
    pub throttles: u32,
    /// For how long it has been throttled.
    pub throttled_for: Duration,
}

/// What to do with the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this wait.
    RetryAfter(Duration),
    /// Its retries are used up, or this outcome is not tried again.
    GiveUp,
    /// It has been throttled past its deadline.
    Deadline,
}

impl RetryPolicy {
    /// What to do after an attempt ended with `outcome`. The wait is the larger of the strategy's and the vendor's.
    #[must_use]
    pub fn next(&self, outcome: &Outcome, history: TaskHistory) -> Next {
        let asked = outcome.retry_after.unwrap_or_default();
        match outcome.class {
            OutcomeClass::Throttled if history.throttled_for >= self.throttle_deadline => {
                Next::Deadline
            }
            OutcomeClass::Throttled => {
                let wait =
                    self.backoff.wait(history.throttles.saturating_sub(1)).min(THROTTLE_WAIT_MAX);
                Next::RetryAfter(wait.max(asked))
            }
            // A refused key is retried like a passing fault: if it stays refused, the breaker stops everything before
            // any cell is given up for what is not its fault.
            _ if may_pass(outcome) && history.errors <= self.max_retries => {
                Next::RetryAfter(self.backoff.wait(history.errors.saturating_sub(1)).max(asked))
            }
            _ => Next::GiveUp,
        }
    }
}

fn may_pass(outcome: &Outcome) -> bool {
    outcome.class == OutcomeClass::Transient || outcome.credential_refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Strategy;

    const POLICY: RetryPolicy = RetryPolicy {
        backoff: Backoff { strategy: Strategy::Exponential, base: Duration::from_secs(1) },
        max_retries: 3,
        throttle_deadline: Duration::from_secs(600),
    };

    fn after(class: OutcomeClass, asked: Option<u64>, history: TaskHistory) -> Next {
        POLICY.next(
            &Outcome {
                class,
                retry_after: asked.map(Duration::from_secs),
                credential_refused: false,
            },
            history,
        )
    }

    fn errors(errors: u32) -> TaskHistory {
        TaskHistory { errors, ..TaskHistory::default() }
    }

    #[test]
    fn three_retries_wait_one_two_four_and_then_it_is_over() {
        let waits: Vec<Next> =
            (1..=4).map(|n| after(OutcomeClass::Transient, None, errors(n))).collect();
        let seconds = |s| Next::RetryAfter(Duration::from_secs(s));
        assert_eq!(waits, [seconds(1), seconds(2), seconds(4), Next::GiveUp]);
    }

    #[test]
    fn the_vendor_may_ask_for_more_but_not_for_less() {
        assert_eq!(
            after(OutcomeClass::Transient, Some(9), errors(1)),
            Next::RetryAfter(Duration::from_secs(9))
        );
        assert_eq!(
            after(OutcomeClass::Transient, Some(0), errors(2)),
            Next::RetryAfter(Duration::from_secs(2))
        );
    }

    #[test]
    fn a_throttled_call_uses_up_no_retry_but_has_a_deadline() {
        let throttled = |throttles, seconds| TaskHistory {
            errors: 0,
            throttles,
            throttled_for: Duration::from_secs(seconds),
        };
        assert_eq!(
            after(OutcomeClass::Throttled, None, throttled(50, 599)),
            Next::RetryAfter(THROTTLE_WAIT_MAX)
        );
        assert_eq!(
            after(OutcomeClass::Throttled, Some(3600), throttled(1, 0)),
            Next::RetryAfter(Duration::from_secs(3600))
        );
        assert_eq!(after(OutcomeClass::Throttled, None, throttled(50, 600)), Next::Deadline);
    }

    #[test]
    fn a_refused_key_does_not_fail_its_cell_at_once() {
        let refused =
            Outcome { credential_refused: true, ..Outcome::of(OutcomeClass::ConfigurationCaused) };
        assert_eq!(POLICY.next(&refused, errors(1)), Next::RetryAfter(Duration::from_secs(1)));
        assert_eq!(POLICY.next(&refused, errors(4)), Next::GiveUp);
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        assert_eq!(after(OutcomeClass::RowCaused, Some(1), errors(0)), Next::GiveUp);
        assert_eq!(after(OutcomeClass::ConfigurationCaused, None, errors(0)), Next::GiveUp);
    }
}
