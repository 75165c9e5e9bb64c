//! How long to wait before the next try: exactly as documented, jitter apart.

use std::time::Duration;

/// The longest wait that a doubling may lead to.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How waits grow from one retry to the next (spec G7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// `base * 2^attempt`, attempts counted from 0: 1 s, 2 s, 4 s.
    Exponential,
    /// `base * attempt`, attempts counted from 1: 1 s, 2 s, 3 s.
    Linear,
    /// `base`: 1 s, 1 s, 1 s.
    Fixed,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Exponential, Self::Linear, Self::Fixed];

    /// The name in a rate object.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Fixed => "fixed",
        }
    }
}

/// A strategy with its base.
///
/// ```
/// use paceline_governor::{Backoff, Strategy};
/// use std::time::Duration;
/// let backoff = Backoff { strategy: Strategy::Exponential, base: Duration::from_secs(1) };
/// let waits: Vec<u64> = (0..3).map(|retry| backoff.wait(retry).as_secs()).collect();
/// assert_eq!(waits, [1, 2, 4]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// How waits grow.
    pub strategy: Strategy,
    /// The first wait.
    pub base: Duration,
}

impl Backoff {
    /// The wait before retry number `retry`, counted from 0; at most a day.
    #[must_use]
    pub fn wait(&self, retry: u32) -> Duration {
        let factor = match self.strategy {
            Strategy::Exponential => 1_u32.checked_shl(retry).unwrap_or(u32::MAX),
            Strategy::Linear => retry.saturating_add(1),
            Strategy::Fixed => 1,
        };
        self.base.saturating_mul(factor).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_exactly_the_documented_ones() {
        let waits = |strategy| {
            let backoff = Backoff { strategy, base: Duration::from_millis(1000) };
            [0, 1, 2].map(|retry| backoff.wait(retry).as_millis())
        };
        assert_eq!(waits(Strategy::Exponential), [1000, 2000, 4000]);
        assert_eq!(waits(Strategy::Linear), [1000, 2000, 3000]);
        assert_eq!(waits(Strategy::Fixed), [1000, 1000, 1000]);
    }

    #[test]
    fn nothing_overflows() {
        for strategy in Strategy::ALL {
            let backoff = Backoff { strategy, base: Duration::from_secs(60) };
            for retry in [31, 32, 33, u32::MAX] {
                assert!(backoff.wait(retry) <= WAIT_MAX);
            }
        }
    }
}
