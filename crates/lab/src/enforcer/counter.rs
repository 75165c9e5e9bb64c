//! The sliding counter: two fixed windows, the earlier one weighted by how much of it still overlaps.

use super::Rule;
use crate::Limit;

/// Accepts while `floor(earlier * rest / window) + current < count`, where `rest` is what is left of the current window.
#[derive(Debug)]
pub(super) struct Counter {
    limit: Limit,
    seen: Seen,
}

/// How many calls were counted in the window that begins at `start` and in the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    start: u64,
    current: u64,
    earlier: u64,
}

impl Counter {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, seen: Seen::default() }
    }

    fn seen_at(&self, now: u64) -> Seen {
        let window = self.limit.window_nanos();
        let start = now - now % window;
        let earlier = match start.saturating_sub(self.seen.start) / window {
            0 => return self.seen,
            1 => self.seen.current,
            _ => 0,
        };
        Seen { start, current: 0, earlier }
    }

    /// The first moment in `seen`'s window from which on the earlier window weighs at most `weight`.
    fn fades_to(&self, seen: Seen, weight: u64) -> u64 {
        if seen.earlier <= weight {
            return seen.start;
        }
        let window = u128::from(self.limit.window_nanos());
        // floor(earlier * rest / window) <= weight, that is: earlier * rest < (weight + 1) * window.
        let rest = ((u128::from(weight) + 1) * window - 1) / u128::from(seen.earlier);
        // `earlier > weight`, so the rest is at most the window.
        seen.start.saturating_add((window - rest.min(window)) as u64)
    }

    fn next(&self, seen: Seen) -> Seen {
        let start = seen.start.saturating_add(self.limit.window_nanos());
        Seen { start, current: 0, earlier: seen.current }
    }
}

impl Rule for Counter {
    fn opens_at(&self, now: u64) -> u64 {
        let most = self.limit.count() - 1;
        let seen = self.seen_at(now);
        let opens_at = if seen.current <= most {
            self.fades_to(seen, most - seen.current)
        } else {
            self.fades_to(self.next(seen), most)
        };
        opens_at.max(now)
    }

    fn charge(&mut self, now: u64) {
        self.seen = self.seen_at(now);
        self.seen.current += 1;
    }

    fn remaining(&self, now: u64) -> u64 {
        let window = u128::from(self.limit.window_nanos());
        let seen = self.seen_at(now);
        let rest = window - u128::from(now - seen.start);
        let weight = u128::from(seen.earlier) * rest / window;
        // The weight is at most what one window accepted.
        self.limit.count().saturating_sub(weight as u64 + seen.current)
    }

    fn clear_at(&self, now: u64) -> u64 {
        let seen = self.seen_at(now);
        let last = if seen.current > 0 { self.next(seen) } else { seen };
        self.fades_to(last, 0).max(now)
    }
}
