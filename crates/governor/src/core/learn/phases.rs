//! The belief that the vendor is no sliding counter (last window's calls, weighted by what is left of the window, plus this
//! one's), for each phase that its windows may have.
//!
//! Our own calls are counted in slices of a window. For each of sixteen phases that says between which bounds such a
//! counter would weigh now: a call that goes where one of them might refuse is on unproved ground; a call that is accepted
//! where one of them must have refused rules that phase out.

use std::time::Duration;

use paceline_clock::Tick;

/// Slices of a window, and phases that are told apart.
const SLICES: u64 = 16;
/// Slices that are kept: the present window, the one before, and the one before that for the edge.
const KEPT: usize = 3 * SLICES as usize + 1;

/// One bit per phase.
pub(super) type Mask = u16;

/// What counters of all phases would say to one more call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    /// Those that might refuse it.
    pub may_refuse: Mask,
    /// Those that must refuse it.
    pub must_refuse: Mask,
}

#[derive(Clone, Debug)]
pub(super) struct Phases {
    count: u64,
    slice_nanos: u64,
    slices: [u32; KEPT],
    newest: u64,
    /// Calls in all: fewer than the limit's count, and no counter can refuse.
    total: u64,
    /// Phases that no accepted call has ruled out.
    possible: Mask,
    /// So many more calls in this slice cannot be refused by a counter of any phase.
    free: (u64, u64),
}

impl Phases {
    pub(super) fn new(count: u64, window: Duration) -> Self {
        Self {
            count,
            slice_nanos: (window.as_nanos() as u64 / SLICES).max(1),
            slices: [0; KEPT],
            newest: 0,
            total: 0,
            possible: Mask::MAX,
            free: (0, 0),
        }
    }

    /// How long one slice is.
    pub(super) fn slice(&self) -> Duration {
        Duration::from_nanos(self.slice_nanos)
    }

    pub(super) fn rule_out(&mut self, phases: Mask) {
        self.possible &= !phases;
    }

    pub(super) fn start_over(&mut self) {
        self.possible = Mask::MAX;
    }

    /// A call goes.
    pub(super) fn count(&mut self, now: Tick) {
        let slice = now.as_nanos() / self.slice_nanos;
        for passed in (self.newest + 1..=slice).take(KEPT) {
            self.slices[(passed % KEPT as u64) as usize] = 0;
        }
        self.newest = self.newest.max(slice);
        self.total += 1;
        let count = &mut self.slices[(slice % KEPT as u64) as usize];
        *count = count.saturating_add(1);
        self.free.1 = self.free.1.saturating_sub(1);
    }

    /// For each slice so many back from `slice`: the calls in it and in all older ones that are kept.
    fn until(&self, slice: u64) -> [u64; KEPT + 1] {
        let mut until = [0; KEPT + 1];
        for back in (0..KEPT).rev() {
            let at = slice.checked_sub(back as u64);
            let kept = at.filter(|at| *at <= self.newest && at + KEPT as u64 > self.newest);
            let calls = kept.map_or(0, |at| self.slices[(at % KEPT as u64) as usize]);
            until[back] = until[back + 1] + u64::from(calls);
        }
        until
    }

    /// What counters of all phases would say to one more call now.
    pub(super) fn verdicts(&self, now: Tick) -> Verdicts {
        self.weigh(now).0
    }

    /// The same, and keeps how far that is from any refusal.
    pub(super) fn look(&mut self, now: Tick) -> Verdicts {
        let slice = now.as_nanos() / self.slice_nanos;
        if self.is_clear(slice) {
            return Verdicts::default();
        }
        let (verdicts, heaviest) = self.weigh(now);
        self.free = (slice, (self.count as f64 - heaviest - 1.0).max(0.0) as u64);
        verdicts
    }

    /// Whether it takes no weighing to see that no counter refuses.
    fn is_clear(&self, slice: u64) -> bool {
        let free = self.free.0 == slice && self.free.1 > 0;
        self.possible == 0 || free || self.total < self.count
    }

    /// What counters of all phases would say, and how much the heaviest of them weighs.
    fn weigh(&self, now: Tick) -> (Verdicts, f64) {
        let mut verdicts = Verdicts::default();
        let slice = now.as_nanos() / self.slice_nanos;
        if self.is_clear(slice) {
            return (verdicts, 0.0);
        }
        let until = self.until(slice);
        let into_slice = (now.as_nanos() % self.slice_nanos) as f64 / self.slice_nanos as f64;
        let count = self.count as f64;
        let mut heaviest = 0.0_f64;
        for phase in (0..SLICES).filter(|phase| self.possible & (1 << phase) != 0) {
            // The window began somewhere in the slice so many back.
            let back = (slice + SLICES - phase) % SLICES;
            let (least, most) = weight(&until, back as usize, into_slice);
            // It refuses when the whole weight so far is the limit or more.
            verdicts.may_refuse |= Mask::from(most + 1.0 > count) << phase;
            verdicts.must_refuse |= Mask::from(least >= count) << phase;
            heaviest = heaviest.max(most);
        }
        (verdicts, heaviest)
    }
}

/// Between which bounds a counter weighs whose window began somewhere in the slice `back` from the present one, `into_slice`
/// of which has passed. `until` as [`Phases::until`] has it.
fn weight(until: &[u64; KEPT + 1], back: usize, into_slice: f64) -> (f64, f64) {
    // Calls in the slices from `from` back to `to` back.
    let calls = |from: usize, to: usize| (until[to] - until[from + 1]) as f64;
    let (slices, width) = (SLICES as usize, SLICES as f64);
    // If it began with that slice's start, so much of it has passed, and a slice less if with its end.
    let passed = (back as f64 + into_slice) / width;
    let rest_most = (1.0 - passed + 1.0 / width).min(1.0);
    let current_most = calls(back, 0);
    let most = calls(back + slices, back + 1) * rest_most + current_most;
    if back == 0 {
        // It may not have begun yet: then the window before is the present one, and nearly over.
        let current = current_most + calls(slices, 1);
        let most = most.max(current + calls(2 * slices, slices) / width);
        return (current_most.min(calls(slices - 1, 1)), most);
    }
    let rest_least = (1.0 - passed).max(0.0);
    (calls(back + slices - 1, back + 1) * rest_least + calls(back - 1, 0), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(1_600);

    /// The counter itself, with windows that begin at `start`.
    fn weight(calls: &[u64], now_ms: u64, start_ms: u64) -> f64 {
        let window = 1_600;
        let into = (now_ms - start_ms) % window;
        let begin = now_ms - into;
        let current = calls.iter().filter(|at| **at >= begin).count();
        let earlier = calls.iter().filter(|at| **at >= begin - window && **at < begin).count();
        (earlier as f64 * (window - into) as f64 / window as f64).floor() + current as f64
    }

    #[test]
    fn the_bounds_hold_whatever_the_phase() {
        let random = paceline_clock::Random::seeded(7);
        let (mut refusals, mut certain) = (0, 0);
        for case in 0..2_000 {
            let mut phases = Phases::new(8, WINDOW);
            let mut calls: Vec<u64> = (0..24).map(|_| 10_000 + random.next_u64() % 3_200).collect();
            calls.sort_unstable();
            for at in &calls {
                phases.count(Tick::from_millis(*at));
            }
            let now = 13_200 + random.next_u64() % 400;
            let phase = random.next_u64() % 16;
            let start = phase * 100 + random.next_u64() % 100;
            let refuses = weight(&calls, now, start) >= 8.0;
            let verdicts = phases.verdicts(Tick::from_millis(now));
            let bit = 1 << phase;
            assert!(!refuses || verdicts.may_refuse & bit != 0, "case {case}: may refuse");
            assert!(refuses || verdicts.must_refuse & bit == 0, "case {case}: must not refuse");
            refusals += u32::from(refuses);
            certain += u32::from(verdicts.must_refuse & bit != 0);
        }
        assert!(certain * 10 > refusals * 6, "{certain} of {refusals} are certain");
    }

    #[test]
    fn few_calls_are_safe_with_every_counter() {
        let mut phases = Phases::new(8, WINDOW);
        (0..7).for_each(|n| phases.count(Tick::from_millis(5_000 + n)));
        assert_eq!(phases.verdicts(Tick::from_millis(5_010)), Verdicts::default());
    }

    #[test]
    fn a_second_burst_that_is_accepted_rules_phases_out() {
        let mut phases = Phases::new(8, WINDOW);
        (0..8).for_each(|_| phases.count(Tick::from_millis(16_000)));
        (0..6).for_each(|_| phases.count(Tick::from_millis(17_601)));
        let verdicts = phases.verdicts(Tick::from_millis(17_601));
        assert!(verdicts.must_refuse != 0 && verdicts.must_refuse != Mask::MAX);
        phases.rule_out(verdicts.must_refuse);
        assert_eq!(phases.verdicts(Tick::from_millis(17_601)).must_refuse, 0);
    }
}
