//! One limit's log: when the slots of its window come free. The planner and the budget share it.
//!
//! Counting what is still inside the window (rather than looking `count` calls back) is as safe and never slower: one late
//! answer holds one slot, not all that came after it. Proof in two lines: were `count + 1` arrivals inside one window,
//! then when the last sent of them was sent, the others' upper bounds `hi` all lay less than a window back, so
//! `count` slots were held and it would not have been admitted.
//!
//! Above [`LOG_MAX`] entries the log is kept in slices of the window that are stamped at their end: as safe, and a slot
//! comes free at most `hold / LOG_MAX` late.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use crate::Limit;

/// How much slower the vendor's clock may run than ours: 500 ppm is what time synchronisation may slew.
const DRIFT_DIVISOR: u32 = 2_000;
/// Entries of one log at the most, 16 bytes each; a window that counts more is kept in this many slices.
const LOG_MAX: u64 = 65_536;

/// So much was counted by the vendor by this moment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Tick,
    weight: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Slots as configured.
    count: u64,
    /// Slots at full rate: fewer than configured if the vendor says so.
    full: u64,
    /// Slots now: fewer while cooling down, never none.
    allowed: u64,
    /// Slots at the most, whatever `allowed` says: a share, while a shared budget's server is away.
    cap: u64,
    /// How long a slot is held after its stamp.
    hold: Duration,
    /// Stamped calls still inside, ascending.
    entries: VecDeque<Entry>,
    /// What the entries weigh together.
    stamped: u64,
    /// What calls weigh that hold slots and have no stamp yet.
    unstamped: u64,
    /// What all calls weighed that have left.
    left: u64,
}

/// When a slot comes free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is one now.
    Now,
    /// At this moment, if nothing else happens.
    At(Tick),
    /// When this much of what has no stamp yet has got one and has left.
    AfterUnstamped(u64),
}

impl Window {
    /// A window that frees a slot exactly one window after its stamp.
    pub(crate) fn exact(count: u32, window: Duration) -> Self {
        let count = u64::from(count);
        Self {
            count,
            full: count,
            allowed: count,
            cap: count,
            hold: window,
            entries: VecDeque::new(),
            stamped: 0,
            unstamped: 0,
            left: 0,
        }
    }

    /// A window that allows for the drift between the vendor's clock and ours.
    pub(crate) fn with_drift(limit: &Limit) -> Self {
        Self::exact(limit.count(), with_drift(limit.window()))
    }

    /// Forgets what has left the window.
    pub(crate) fn advance(&mut self, now: Tick) {
        while let Some(&oldest) = self.entries.front() {
            if oldest.at + self.hold > now {
                break;
            }
            self.stamped -= u64::from(oldest.weight);
            self.left = self.left.saturating_add(u64::from(oldest.weight));
            self.entries.pop_front();
        }
    }

    /// When there is room for one more call of this weight. [`Window::advance`] first.
    pub(crate) fn room(&self, weight: u32) -> Room {
        // A call that is heavier than what cooling down left goes alone.
        let allowed = self.allowed().max(u64::from(weight).min(self.cap));
        let wanted = self.used() + u64::from(weight);
        if wanted <= allowed {
            return Room::Now;
        }
        let mut must_leave = wanted - allowed;
        for entry in &self.entries {
            if u64::from(entry.weight) >= must_leave {
                return Room::At(entry.at + self.hold);
            }
            must_leave -= u64::from(entry.weight);
        }
        Room::AfterUnstamped(must_leave)
    }

    /// A call takes its slots; its stamp comes later.
    pub(crate) fn take(&mut self, weight: u32) {
        self.unstamped += u64::from(weight);
    }

    /// A call that took slots gets its stamp.
    pub(crate) fn stamp(&mut self, stamp: Tick, weight: u32) {
        self.unstamped = self.unstamped.saturating_sub(u64::from(weight));
        self.add(stamp, weight);
    }

    /// A call that took slots never reached the vendor.
    pub(crate) fn give_back(&mut self, weight: u32) {
        self.unstamped = self.unstamped.saturating_sub(u64::from(weight));
    }

    /// A call without a stamp turns out to weigh something else.
    pub(crate) fn settle_unstamped(&mut self, from: u32, to: u32) {
        self.unstamped = self.unstamped.saturating_sub(u64::from(from)) + u64::from(to);
    }

    /// A call that was stamped so turns out to weigh something else; nothing happens if it has left.
    pub(crate) fn settle_stamped(&mut self, stamp: Tick, from: u32, to: u32) {
        // Later calls must not answer for one that has left, nor a light one for a heavy one of the same stamp. In a log of
        // slices the slice that holds it ends at its stamp or later.
        let (sliced, hold) = (self.count > LOG_MAX, self.hold);
        let beside = |entry: &&mut Entry| match sliced {
            true => slice(entry.at, hold) == slice(stamp, hold),
            false => entry.at == stamp,
        };
        let holds_it = |entry: &&mut Entry| entry.weight == from || sliced && entry.weight > from;
        let first = self.entries.partition_point(|entry| entry.at < stamp);
        let mut entries = self.entries.range_mut(first..).take_while(beside);
        let Some(entry) = entries.find(holds_it) else { return };
        let settled = (entry.weight - from).saturating_add(to);
        self.stamped = self.stamped - u64::from(entry.weight) + u64::from(settled);
        entry.weight = settled;
    }

    /// A call with a known stamp, of an earlier process, say.
    pub(crate) fn add(&mut self, stamp: Tick, weight: u32) {
        self.stamped += u64::from(weight);
        if self.count > LOG_MAX
            && let Some(last) = self.entries.back_mut()
            && slice(last.at, self.hold) == slice(stamp, self.hold)
            // What does not fit into one entry gets its own: the sum must go down again by as much as it went up.
            && let Some(together) = last.weight.checked_add(weight)
        {
            last.at = last.at.max(stamp);
            last.weight = together;
            return;
        }
        // Stamps come in order but for those of failures, which get a grace; walk back past these.
        let mut at = self.entries.len();
        while at > 0 && self.entries[at - 1].at > stamp {
            at -= 1;
        }
        self.entries.insert(at, Entry { at: stamp, weight });
    }

    pub(crate) fn used(&self) -> u64 {
        self.stamped + self.unstamped
    }

    pub(crate) fn unstamped(&self) -> u64 {
        self.unstamped
    }

    /// What all calls weighed together that have left so far.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn full(&self) -> u64 {
        self.full
    }

    pub(crate) fn allowed(&self) -> u64 {
        self.allowed.min(self.cap)
    }

    pub(crate) fn hold(&self) -> Duration {
        self.hold
    }

    /// Holds every slot for this long from now on, those in use too.
    pub(crate) fn set_hold(&mut self, hold: Duration) {
        self.hold = hold;
    }

    /// Sets how many slots there are at full rate, within 1 and the limit's count.
    pub(crate) fn set_full(&mut self, full: u64) {
        self.full = full.clamp(1, self.count);
        self.allowed = self.allowed.min(self.full);
    }

    /// Sets how many slots there are now, within 1 and those at full rate.
    pub(crate) fn set_allowed(&mut self, allowed: u64) {
        self.allowed = allowed.clamp(1, self.full);
    }

    /// Never more slots than these; `None` for the limit's own count.
    #[cfg(feature = "redis")]
    pub(crate) fn set_cap(&mut self, cap: Option<usize>) {
        self.cap = cap.map_or(self.count, |cap| (cap as u64).min(self.count));
    }

    /// Becomes as it was made.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        (self.stamped, self.unstamped) = (0, 0);
        (self.full, self.allowed, self.cap) = (self.count, self.count, self.count);
    }

    /// The stamped calls still inside, oldest first: when, and what they weigh.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (Tick, u32)> {
        self.entries.iter().map(|entry| (entry.at, entry.weight))
    }
}

/// How long a limit's slot is held after its stamp: its window, and what two clocks may differ by meanwhile.
#[cfg(feature = "redis")]
pub(crate) fn hold(limit: &Limit) -> Duration {
    with_drift(limit.window())
}

/// As long as a clock that runs 500 ppm slow takes for it.
pub(crate) fn with_drift(length: Duration) -> Duration {
    length + length / DRIFT_DIVISOR
}

fn slice(at: Tick, hold: Duration) -> u64 {
    at.as_nanos() / (hold.as_nanos() as u64 / LOG_MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn a_slot_is_free_one_window_after_its_stamp_and_not_before() {
        let mut window = Window::exact(2, Duration::from_millis(100));
        window.take(1);
        window.take(1);
        assert_eq!(window.room(1), Room::AfterUnstamped(1));
        window.stamp(ms(10), 1);
        assert_eq!(window.room(1), Room::At(ms(110)));
        window.stamp(ms(30), 1);
        window.advance(ms(109));
        assert_eq!(window.room(1), Room::At(ms(110)));
        window.advance(ms(110));
        assert_eq!(window.room(1), Room::Now);
    }

    #[test]
    fn a_late_answer_holds_one_slot_only() {
        let mut window = Window::exact(2, Duration::from_millis(100));
        window.take(1);
        window.take(1);
        window.stamp(ms(5), 1);
        window.advance(ms(105));
        assert_eq!(window.room(1), Room::Now, "the other call is still unstamped");
    }

    #[test]
    fn failures_with_a_grace_are_put_in_their_place() {
        let mut window = Window::exact(3, Duration::from_millis(100));
        for stamp in [50, 1_000, 60] {
            window.take(1);
            window.stamp(ms(stamp), 1);
        }
        window.advance(ms(160));
        assert_eq!(window.used(), 1);
    }

    #[test]
    fn fewer_slots_while_cooling_down() {
        let mut window = Window::exact(4, Duration::from_millis(100));
        for stamp in [1, 2, 3] {
            window.add(ms(stamp), 1);
        }
        window.set_allowed(2);
        assert_eq!(window.room(1), Room::At(ms(102)), "two must leave before one may enter");
        window.set_allowed(0);
        assert_eq!(window.allowed(), 1);
    }

    #[test]
    fn weights_wait_until_enough_has_left() {
        let mut window = Window::exact(100, Duration::from_secs(60));
        window.add(ms(1), 40);
        window.add(ms(2), 50);
        window.take(5);
        assert_eq!(window.room(5), Room::Now);
        assert_eq!(window.room(45), Room::At(ms(60_001)));
        assert_eq!(window.room(46), Room::At(ms(60_002)));
        assert_eq!(window.room(100), Room::AfterUnstamped(5));
        window.set_allowed(10);
        assert_eq!(window.room(60), Room::AfterUnstamped(5), "heavier than what is allowed: alone");
    }

    #[test]
    fn a_settled_weight_takes_the_place_of_the_estimate() {
        let mut window = Window::exact(100, Duration::from_secs(60));
        window.add(ms(1), 40);
        window.add(ms(2), 40);
        window.settle_stamped(ms(2), 40, 10);
        assert_eq!(window.used(), 50);
        window.settle_stamped(ms(1), 40, 90);
        assert_eq!(window.used(), 100);
        window.advance(ms(60_001));
        assert_eq!(window.used(), 10);
        window.settle_stamped(ms(3), 40, 1);
        assert_eq!(window.used(), 10, "it has left: nothing to settle");
        window.take(7);
        window.settle_unstamped(7, 3);
        assert_eq!(window.used(), 13);
    }

    #[test]
    fn a_large_window_keeps_slices_and_never_frees_early() {
        let mut window = Window::exact(1_000_000, Duration::from_secs(65));
        for n in 0..1_000_000_u64 {
            window.add(Tick::from_nanos(n * 1_000), 1);
        }
        assert_eq!(window.used(), 1_000_000);
        assert!(
            window.entries().len() < 1_100,
            "one slice a millisecond, and not one entry a call"
        );
        window.advance(ms(65_000));
        assert_eq!(window.used(), 1_000_000, "the first slice is stamped at its end");
        window.advance(ms(65_002));
        assert!((997_000..1_000_000).contains(&window.used()), "{}", window.used());
    }
}
