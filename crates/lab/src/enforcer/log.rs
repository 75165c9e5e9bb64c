//! The sliding log: at most COUNT calls in any window, exactly or in whole seconds.

use std::collections::VecDeque;

use super::Rule;
use crate::Limit;

const SECOND: u64 = 1_000_000_000;

/// The moments from which on each of the latest COUNT calls no longer weighs. More of them than the limit's count can
/// never matter, even where refused calls are written down too.
#[derive(Debug)]
pub(super) struct Log {
    limit: Limit,
    seconds: bool,
    free_at: VecDeque<u64>,
}

impl Log {
    pub(super) fn new(limit: Limit, seconds: bool) -> Self {
        Self { limit, seconds, free_at: VecDeque::new() }
    }

    fn is_full(&self) -> bool {
        self.free_at.len() as u64 >= self.limit.count()
    }
}

impl Rule for Log {
    fn opens_at(&self, now: u64) -> u64 {
        match self.free_at.front() {
            Some(&oldest) if self.is_full() => oldest.max(now),
            _ => now,
        }
    }

    fn charge(&mut self, now: u64) {
        let window = self.limit.window_nanos();
        let free_at = if self.seconds {
            // Such a vendor compares whole seconds and drops a call only once its second lies more than a window
            // back: `floor(now) - floor(counted) > window`.
            let second = now / SECOND;
            (second + 1).saturating_add(window / SECOND).saturating_mul(SECOND)
        } else {
            now.saturating_add(window)
        };
        if self.is_full() {
            self.free_at.pop_front();
        }
        self.free_at.push_back(free_at);
    }

    fn remaining(&self, now: u64) -> u64 {
        let weighing = self.free_at.len() - self.free_at.partition_point(|&free| free <= now);
        self.limit.count().saturating_sub(weighing as u64)
    }

    fn clear_at(&self, now: u64) -> u64 {
        self.free_at.back().map_or(now, |&newest| newest.max(now))
    }
}
