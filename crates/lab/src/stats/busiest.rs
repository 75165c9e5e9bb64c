//! The most accepted calls that any window of a limit's length ever held.

use std::collections::VecDeque;

use paceline_clock::Tick;

use super::LimitStats;
use crate::Limit;

/// Slides a half-open window over the accepted arrivals of one limit.
///
/// What it remembers is bounded by what the limit lets through in a window.
#[derive(Debug)]
pub(crate) struct Busiest {
    limit: Limit,
    recent: VecDeque<u64>,
    most: usize,
}

impl Busiest {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { limit, recent: VecDeque::new(), most: 0 }
    }

    /// Notes an accepted call. Arrivals come in order.
    pub(crate) fn accepted(&mut self, at: Tick) {
        let now = at.as_nanos();
        let window = self.limit.window_nanos();
        while self.recent.front().is_some_and(|earliest| now - earliest >= window) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.most = self.most.max(self.recent.len());
    }

    pub(crate) fn stats(&self) -> LimitStats {
        LimitStats {
            limit: self.limit.to_string(),
            window_ms: u64::try_from(self.limit.window().as_millis()).unwrap_or(u64::MAX),
            busiest: self.most as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_half_open() {
        let mut busiest = Busiest::new("9/s".parse().unwrap());
        for (at_ms, most) in [(0, 1), (999, 2), (1000, 2), (1001, 3), (5000, 3), (5000, 3)] {
            busiest.accepted(Tick::from_millis(at_ms));
            assert_eq!(busiest.stats().busiest, most, "at {at_ms}");
        }
    }
}
