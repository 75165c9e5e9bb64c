//! The belief that the vendor's clock is finer than a second. One that keeps whole seconds drops a call up to a second
//! late, so a slot that is used again within a second of coming free is on unproved ground.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use super::probe::PARTS;

const SECOND: Duration = Duration::from_secs(1);
/// Above so many calls per window nothing is proved beforehand, for memory's sake; a refusal is explained all the same.
const COUNT_MAX: u64 = 10_000;

#[derive(Clone, Debug)]
pub(super) struct Seconds {
    count: u64,
    hold: Duration,
    /// Stamps of the last window and second, ascending but for failures.
    stamps: VecDeque<Tick>,
}

impl Seconds {
    pub(super) fn new(count: u64, hold: Duration) -> Self {
        Self { count, hold, stamps: VecDeque::new() }
    }

    pub(super) fn stamp(&mut self, at: Tick) {
        if self.count <= COUNT_MAX {
            self.stamps.push_back(at);
        }
    }

    pub(super) fn advance(&mut self, now: Tick) {
        while self.stamps.front().is_some_and(|at| *at + self.hold + SECOND <= now) {
            self.stamps.pop_front();
        }
    }

    /// Whether one more call would use a slot that a vendor of whole seconds may not have freed.
    pub(super) fn at_edge(&self, unstamped: u64) -> bool {
        self.stamps.len() as u64 + unstamped >= self.count
    }

    /// When the oldest call has left for a vendor of whole seconds too.
    pub(super) fn fine_at(&self) -> Option<Tick> {
        self.stamps.front().map(|at| *at + self.hold + SECOND)
    }
}

/// Which part of a second it is: such a vendor refuses the more, the later in its second.
pub(super) fn part(at: Tick) -> u8 {
    (at.as_nanos() % 1_000_000_000 * PARTS as u64 / 1_000_000_000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_used_again_within_a_second_is_at_the_edge() {
        let ms = Tick::from_millis;
        let mut seconds = Seconds::new(2, Duration::from_secs(60));
        seconds.stamp(ms(1_000));
        assert!(!seconds.at_edge(0));
        assert!(seconds.at_edge(1), "one is under way");
        seconds.stamp(ms(1_100));
        seconds.advance(ms(61_500));
        assert!(seconds.at_edge(0));
        assert_eq!(seconds.fine_at(), Some(ms(62_000)));
        seconds.advance(ms(62_000));
        assert!(!seconds.at_edge(0), "a second has passed for one of two");
    }

    #[test]
    fn a_second_has_eight_parts() {
        let parts = [0, 124, 125, 999, 1_000].map(|ms| part(Tick::from_millis(ms)));
        assert_eq!(parts, [0, 0, 1, 7, 0]);
    }
}
