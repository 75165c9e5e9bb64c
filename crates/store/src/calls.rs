//! Calls that a budget remembers, found among the batches they are kept in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::SentRecord;

/// How long the times of calls are kept: longer than the longest window a limit may sensibly have, a month.
pub(crate) const CALLS_KEPT: Duration = Duration::from_secs(32 * 24 * 3600);

/// The newest `max` of many calls.
#[derive(Debug)]
pub(crate) struct NewestCalls {
    since: Timestamp,
    max: usize,
    /// The oldest of those kept is on top.
    kept: BinaryHeap<Reverse<(Timestamp, Timestamp)>>,
}

impl NewestCalls {
    pub(crate) fn new(since: Timestamp, max: usize) -> Self {
        Self { since, max, kept: BinaryHeap::new() }
    }

    /// Whether nothing that was seen by `seen_until` can be among them any more.
    pub(crate) fn none_before(&self, seen_until: Timestamp) -> bool {
        self.kept.len() >= self.max
            && self.kept.peek().is_some_and(|Reverse((oldest, _))| *oldest >= seen_until)
    }

    pub(crate) fn add(&mut self, calls: Vec<SentRecord>) {
        for call in calls {
            if call.seen_at >= self.since {
                self.kept.push(Reverse((call.seen_at, call.sent_at)));
                if self.kept.len() > self.max {
                    self.kept.pop();
                }
            }
        }
    }

    pub(crate) fn ascending(self) -> Vec<SentRecord> {
        let calls = self.kept.into_iter();
        let mut calls: Vec<SentRecord> =
            calls.map(|Reverse((seen_at, sent_at))| SentRecord { sent_at, seen_at }).collect();
        calls.sort_unstable_by_key(|call| (call.seen_at, call.sent_at));
        calls
    }
}
