//! The token bucket (GCRA) of any size, in exact integers.

use super::Rule;
use crate::Limit;

/// A bucket that starts full and gains COUNT tokens per window, evenly.
///
/// Levels are kept in parts of a token: one token is as many parts as the window has nanoseconds, so that one
/// nanosecond brings exactly COUNT parts.
#[derive(Debug)]
pub(super) struct Bucket {
    token: u128,
    parts_per_nano: u128,
    capacity: u128,
    level: u128,
    at: u64,
}

impl Bucket {
    pub(super) fn new(limit: Limit, size: u64) -> Self {
        let token = u128::from(limit.window_nanos());
        let capacity = u128::from(size) * token;
        let parts_per_nano = u128::from(limit.count());
        Self { token, parts_per_nano, capacity, level: capacity, at: 0 }
    }

    fn level_at(&self, now: u64) -> u128 {
        let gained = u128::from(now.saturating_sub(self.at)) * self.parts_per_nano;
        (self.level + gained).min(self.capacity)
    }

    fn reaches(&self, now: u64, level: u128) -> u64 {
        let missing = level.saturating_sub(self.level_at(now));
        let nanos = missing.div_ceil(self.parts_per_nano);
        now.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Rule for Bucket {
    fn opens_at(&self, now: u64) -> u64 {
        self.reaches(now, self.token)
    }

    fn charge(&mut self, now: u64) {
        self.level = self.level_at(now).saturating_sub(self.token);
        self.at = now;
    }

    fn remaining(&self, now: u64) -> u64 {
        u64::try_from(self.level_at(now) / self.token).unwrap_or(u64::MAX)
    }

    fn clear_at(&self, now: u64) -> u64 {
        self.reaches(now, self.capacity)
    }
}
