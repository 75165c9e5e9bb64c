//! One limit's log: when the slots of its window come free. The planner and the budget share it.
//!
//! Counting what is still inside the window (rather than looking `count` calls back) is as safe and never slower: one late
//! answer holds one slot, not all that came after it. Proof in two lines: were `count + 1` arrivals inside one window,
//! then when the last sent of them was sent, the others' upper bounds `hi` all lay less than a window back, so
//! `count` slots were held and it would not have been admitted.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use crate::Limit;

/// How much slower the vendor's clock may run than ours: 500 ppm is what time synchronisation may slew.
const DRIFT_DIVISOR: u32 = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Slots at full rate.
    full: usize,
    /// Slots now: fewer while cooling down, never none.
    allowed: usize,
    /// Slots at the most, whatever `allowed` says: a share, while a shared budget's server is away.
    cap: usize,
    /// How long a slot is held after its stamp.
    hold: Duration,
    /// Stamps of the calls still inside, ascending.
    stamps: VecDeque<Tick>,
    /// Calls that hold a slot and have no stamp yet.
    unstamped: usize,
}

/// When a slot comes free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is one now.
    Now,
    /// At this moment, if nothing else happens.
    At(Tick),
    /// After the stamp of the `nth` (from 0) call that has none yet.
    AfterUnstamped(usize),
}

impl Window {
    /// A window that frees a slot exactly one window after its stamp.
    pub(crate) fn exact(count: u32, window: Duration) -> Self {
        let full = count as usize;
        Self { full, allowed: full, cap: full, hold: window, stamps: VecDeque::new(), unstamped: 0 }
    }

    /// A window that allows for the drift between the vendor's clock and ours.
    pub(crate) fn with_drift(limit: &Limit) -> Self {
        Self::exact(limit.count(), hold(limit))
    }

    /// Forgets what has left the window.
    pub(crate) fn advance(&mut self, now: Tick) {
        while let Some(&oldest) = self.stamps.front() {
            if oldest + self.hold > now {
                break;
            }
            self.stamps.pop_front();
        }
    }

    /// When there is room for one more call. [`Window::advance`] first.
    pub(crate) fn room(&self) -> Room {
        let used = self.used();
        if used < self.allowed() {
            return Room::Now;
        }
        let must_leave = used - self.allowed();
        match self.stamps.get(must_leave) {
            Some(&stamp) => Room::At(stamp + self.hold),
            None => Room::AfterUnstamped(must_leave - self.stamps.len()),
        }
    }

    /// A call takes a slot; its stamp comes later.
    pub(crate) fn take(&mut self) {
        self.unstamped += 1;
    }

    /// A call that took a slot gets its stamp.
    pub(crate) fn stamp(&mut self, stamp: Tick) {
        self.unstamped = self.unstamped.saturating_sub(1);
        self.add(stamp);
    }

    /// A call that took a slot never reached the vendor.
    pub(crate) fn give_back(&mut self) {
        self.unstamped = self.unstamped.saturating_sub(1);
    }

    /// A call with a known stamp, of an earlier process, say.
    pub(crate) fn add(&mut self, stamp: Tick) {
        // Stamps come in order but for those of failures, which get a grace; walk back past these.
        let mut at = self.stamps.len();
        while at > 0 && self.stamps[at - 1] > stamp {
            at -= 1;
        }
        self.stamps.insert(at, stamp);
    }

    pub(crate) fn used(&self) -> usize {
        self.stamps.len() + self.unstamped
    }

    pub(crate) fn full(&self) -> usize {
        self.full
    }

    pub(crate) fn allowed(&self) -> usize {
        self.allowed.min(self.cap)
    }

    pub(crate) fn hold(&self) -> Duration {
        self.hold
    }

    /// Sets how many slots there are now, within 1 and the limit's count.
    pub(crate) fn set_allowed(&mut self, allowed: usize) {
        self.allowed = allowed.clamp(1, self.full);
    }

    /// Never more slots than these; `None` for the limit's own count.
    #[cfg(feature = "redis")]
    pub(crate) fn set_cap(&mut self, cap: Option<usize>) {
        self.cap = cap.map_or(self.full, |cap| cap.min(self.full));
    }
}

/// How long a limit's slot is held after its stamp: its window, and what two clocks may differ by meanwhile.
pub(crate) fn hold(limit: &Limit) -> Duration {
    limit.window() + limit.window() / DRIFT_DIVISOR
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
        window.take();
        window.take();
        assert_eq!(window.room(), Room::AfterUnstamped(0));
        window.stamp(ms(10));
        assert_eq!(window.room(), Room::At(ms(110)));
        window.stamp(ms(30));
        window.advance(ms(109));
        assert_eq!(window.room(), Room::At(ms(110)));
        window.advance(ms(110));
        assert_eq!(window.room(), Room::Now);
    }

    #[test]
    fn a_late_answer_holds_one_slot_only() {
        let mut window = Window::exact(2, Duration::from_millis(100));
        window.take();
        window.take();
        window.stamp(ms(5));
        window.advance(ms(105));
        assert_eq!(window.room(), Room::Now, "the other call is still unstamped");
    }

    #[test]
    fn failures_with_a_grace_are_put_in_their_place() {
        let mut window = Window::exact(3, Duration::from_millis(100));
        for stamp in [50, 1_000, 60] {
            window.take();
            window.stamp(ms(stamp));
        }
        window.advance(ms(160));
        assert_eq!(window.used(), 1);
    }

    #[test]
    fn fewer_slots_while_cooling_down() {
        let mut window = Window::exact(4, Duration::from_millis(100));
        for stamp in [1, 2, 3] {
            window.add(ms(stamp));
        }
        window.set_allowed(2);
        assert_eq!(window.room(), Room::At(ms(102)), "two must leave before one may enter");
        window.set_allowed(0);
        assert_eq!(window.allowed(), 1);
    }
}
