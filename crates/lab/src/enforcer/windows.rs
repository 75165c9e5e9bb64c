//! Windows with boundaries: fixed ones that follow one another, and ones that the first call opens.

use super::Rule;
use crate::Limit;

/// Counts the calls of one window at a time; what differs is where a window ends.
#[derive(Debug)]
pub(super) struct Windows {
    limit: Limit,
    /// How far into a window time zero lies; none if the first call opens the window.
    offset: Option<u64>,
    /// Where the window of the latest counted call ends; zero before the first.
    end: u64,
    used: u64,
}

impl Windows {
    /// Windows without gaps; a boundary lies at `phase` nanoseconds.
    pub(super) fn fixed(limit: Limit, phase: u64) -> Self {
        let window = limit.window_nanos();
        Self { limit, offset: Some(window - phase % window), end: 0, used: 0 }
    }

    /// A window begins with the first call after the last window's end.
    pub(super) fn opened_by_first_call(limit: Limit) -> Self {
        Self { limit, offset: None, end: 0, used: 0 }
    }

    fn used_at(&self, now: u64) -> u64 {
        if now < self.end { self.used } else { 0 }
    }
}

impl Rule for Windows {
    fn opens_at(&self, now: u64) -> u64 {
        if self.used_at(now) < self.limit.count() { now } else { self.end }
    }

    fn charge(&mut self, now: u64) {
        self.used = self.used_at(now) + 1;
        if now >= self.end {
            let window = self.limit.window_nanos();
            let into = self.offset.map_or(0, |offset| {
                // The remainder is below the window, so it fits.
                ((u128::from(now) + u128::from(offset)) % u128::from(window)) as u64
            });
            self.end = now.saturating_add(window - into);
        }
    }

    fn remaining(&self, now: u64) -> u64 {
        self.limit.count().saturating_sub(self.used_at(now))
    }

    fn clear_at(&self, now: u64) -> u64 {
        self.end.max(now)
    }
}
