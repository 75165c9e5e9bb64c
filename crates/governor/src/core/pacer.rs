//! A bucket that is counted late: how far ahead of an even pace the calls may be, by upper bounds of their arrival.
//!
//! A vendor's token bucket drains each call from the moment it arrives. This one counts a call in full from its
//! sending, and drains it only from its stamp, an upper bound of the arrival. So it is never emptier than the vendor's
//! of the same depth and interval, and a call that fits here fits there, however calls overtake one another.

use std::time::Duration;

use paceline_clock::Tick;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    interval: Duration,
    /// When the stamped calls have drained.
    empty_at: Tick,
}

impl Pacer {
    /// An empty bucket that drains one call per `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_nanos(1)), empty_at: Tick::ZERO }
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(Duration::from_nanos(1));
    }

    /// A call that was counted in full is stamped: it drains from there.
    pub(super) fn stamp(&mut self, at: Tick) {
        self.empty_at = self.empty_at.max(at) + self.interval;
    }

    /// Calls in the bucket, those without a stamp in full.
    pub(super) fn level(&self, unstamped: u64, now: Tick) -> f64 {
        let left = self.empty_at.as_nanos().saturating_sub(now.as_nanos());
        unstamped as f64 + left as f64 / self.interval.as_nanos() as f64
    }

    /// When one more call fits into a bucket of `depth`; `None` if that hangs on a stamp.
    pub(super) fn opens_at(&self, depth: u64, unstamped: u64) -> Option<Tick> {
        let room = depth.max(1).checked_sub(unstamped + 1)?;
        let early =
            u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).saturating_mul(room);
        Some(Tick::from_nanos(self.empty_at.as_nanos().saturating_sub(early)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drains_from_the_stamp_and_holds_what_has_none() {
        let ms = Tick::from_millis;
        let mut pacer = Pacer::new(Duration::from_millis(100));
        assert_eq!(pacer.opens_at(2, 1), Some(ms(0)), "one under way, room for one");
        assert_eq!(pacer.opens_at(2, 2), None);
        pacer.stamp(ms(1_000));
        assert_eq!(pacer.opens_at(1, 0), Some(ms(1_100)));
        assert_eq!(pacer.opens_at(2, 0), Some(ms(1_000)));
        pacer.stamp(ms(1_000));
        assert_eq!(pacer.level(1, ms(1_050)), 2.5);
        assert_eq!(pacer.opens_at(2, 0), Some(ms(1_100)));
        assert_eq!(pacer.opens_at(0, 0), Some(ms(1_200)), "a depth of 0 would never open: 1");
    }
}
