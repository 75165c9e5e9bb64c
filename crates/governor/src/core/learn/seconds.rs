//! The belief that the vendor's clock is finer than a second. One that keeps whole seconds drops a call up to a second
//! late, so a slot that is used again within a second of coming free is on unproved ground.
//!
//! Such vendors differ by when their seconds begin. Under a short window an accepted call rules out those for whom the
//! window held too many calls already; once none is left, that ground is proved.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use super::probe::PARTS;

const SECOND: Duration = Duration::from_secs(1);
/// Above so many calls per window nothing is proved beforehand, for memory's sake; a refusal is explained all the same.
const COUNT_MAX: u64 = 10_000;

/// Windows up to this long are looked at closely; a longer one loses little if it is held a second longer.
pub(super) const WINDOW_MAX: Duration = Duration::from_secs(10);
/// A part of a second.
const PART: Duration = Duration::from_millis(1_000 / PARTS as u64);
const PART_NANOS: u64 = PART.as_nanos() as u64;

/// One bit for each part of a second in which the vendor's seconds may begin.
pub(super) type Starts = u8;

#[derive(Clone, Debug)]
pub(super) struct Seconds {
    count: u64,
    hold: Duration,
    /// Stamps of the last window and second, ascending but for failures.
    stamps: VecDeque<Tick>,
    accepted: Option<Accepted>,
    /// Vendors that no accepted call has ruled out.
    possible: Starts,
}

/// Accepted calls by the part of a second that they were sent in, for a window and two seconds.
#[derive(Clone, Debug)]
struct Accepted {
    parts_per_window: u64,
    parts: Vec<u32>,
    newest: u64,
}

impl Accepted {
    fn new(window: Duration) -> Option<Self> {
        let parts_per_window = (window.as_nanos() / PART.as_nanos()) as u64;
        let fits = window <= WINDOW_MAX && PART * parts_per_window as u32 == window;
        let parts = vec![0; parts_per_window as usize + 2 * PARTS];
        (fits && parts_per_window > 0).then_some(Self { parts_per_window, parts, newest: 0 })
    }

    fn count(&mut self, sent: Tick) {
        let (part, kept) = (sent.as_nanos() / PART_NANOS, self.parts.len() as u64);
        for passed in (self.newest + 1..=part).take(self.parts.len()) {
            self.parts[(passed % kept) as usize] = 0;
        }
        self.newest = self.newest.max(part);
        if part + kept > self.newest {
            let calls = &mut self.parts[(part % kept) as usize];
            *calls = calls.saturating_add(1);
        }
    }

    /// Calls that were sent in a part from `first` on.
    fn since(&self, first: u64) -> u64 {
        let kept = self.parts.len() as u64;
        let first = first.max((self.newest + 1).saturating_sub(kept));
        (first..=self.newest).map(|part| u64::from(self.parts[(part % kept) as usize])).sum()
    }
}

impl Seconds {
    pub(super) fn new(count: u64, window: Duration, hold: Duration) -> Self {
        let (stamps, accepted) = (VecDeque::new(), Accepted::new(window));
        Self { count, hold, stamps, accepted, possible: Starts::MAX }
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
        self.possible != 0 && self.stamps.len() as u64 + unstamped >= self.count
    }

    /// When the oldest call has left for a vendor of whole seconds too.
    pub(super) fn fine_at(&self) -> Option<Tick> {
        self.stamps.front().map(|at| *at + self.hold + SECOND)
    }

    /// Vendors of whole seconds that must refuse a call that is sent at `sent`: for them, more calls are inside the window
    /// than the limit has.
    pub(super) fn must_refuse(&self, sent: Tick) -> Starts {
        let Some(accepted) = &self.accepted else { return 0 };
        let mut must = 0;
        for start in (0..PARTS as u64).filter(|start| self.possible & (1 << start) != 0) {
            let Some(began_by) = began_by(start, sent) else { continue };
            let Some(first) = began_by.checked_sub(accepted.parts_per_window) else { continue };
            must |= Starts::from(accepted.since(first) >= self.count) << start;
        }
        must
    }

    /// A call was accepted; it arrived at `arrived_by` at the latest, and `must_refuse` would have refused it at `sent`.
    pub(super) fn accepted(&mut self, sent: Tick, arrived_by: Tick, must_refuse: Starts) {
        if let Some(accepted) = &mut self.accepted {
            accepted.count(sent);
        }
        for start in (0..PARTS as u64).filter(|start| must_refuse & (1 << start) != 0) {
            // Where the vendor's next second began before it arrived, the vendor had dropped a second's calls.
            let same_second = began_by(start, sent)
                .is_some_and(|part| arrived_by.as_nanos() / PART_NANOS + 1 < part + PARTS as u64);
            if same_second {
                self.possible &= !(1 << start);
            }
        }
    }

    /// Nothing is ruled out any more.
    pub(super) fn start_over(&mut self) {
        self.possible = Starts::MAX;
    }
}

/// The part before whose beginning the vendor's present second has begun, if its seconds begin in part `start` of ours.
fn began_by(start: u64, now: Tick) -> Option<u64> {
    let part = now.as_nanos() / PART_NANOS;
    let since = (part + PARTS as u64 - (start + 1) % PARTS as u64) % PARTS as u64;
    part.checked_sub(since)
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
        let minute = Duration::from_secs(60);
        let mut seconds = Seconds::new(2, minute, minute);
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

    /// A vendor that keeps whole seconds, which begin at `start_ms`: it drops calls a second late at the latest.
    fn refuses(calls: &[u64], now_ms: u64, start_ms: u64) -> bool {
        let second = |at: u64| (at + 1_000 - start_ms) / 1_000;
        calls.iter().filter(|at| second(**at) + 1 >= second(now_ms)).count() >= 8
    }

    #[test]
    fn who_must_have_refused_is_ruled_out_and_nobody_else() {
        let random = paceline_clock::Random::seeded(11);
        let (mut ruled_out, mut refusals) = (0, 0);
        for case in 0..2_000 {
            let window = Duration::from_secs(1);
            let mut seconds = Seconds::new(8, window, window);
            let mut calls: Vec<u64> = (0..14).map(|_| 5_000 + random.next_u64() % 2_000).collect();
            calls.sort_unstable();
            for at in &calls {
                seconds.accepted(Tick::from_millis(*at), Tick::from_millis(*at), 0);
            }
            let sent = 7_000 + random.next_u64() % 500;
            let arrived = sent + random.next_u64() % 400;
            let (sent_at, arrived_at) = (Tick::from_millis(sent), Tick::from_millis(arrived));
            let must = seconds.must_refuse(sent_at);
            seconds.accepted(sent_at, arrived_at, must);
            let start_ms = random.next_u64() % 1_000;
            let gone = seconds.possible & (1 << part(Tick::from_millis(start_ms))) == 0;
            let refuses = (sent..=arrived).all(|now| refuses(&calls, now, start_ms));
            assert!(refuses || !gone, "case {case}: start {start_ms}, {sent}..{arrived}");
            ruled_out += u32::from(gone);
            refusals += u32::from(refuses);
        }
        assert!(ruled_out * 2 > refusals, "{ruled_out} of {refusals} are certain");
    }

    #[test]
    fn once_all_are_ruled_out_no_slot_is_at_the_edge() {
        let mut seconds = Seconds::new(1, SECOND, SECOND);
        seconds.stamp(Tick::ZERO);
        assert!(seconds.at_edge(0));
        for start in 0..PARTS as u64 {
            let sent = Tick::from_millis(10_000 + start * 125 + 120);
            seconds.accepted(sent, sent, Starts::MAX & !(1 << ((start + 7) % PARTS as u64)));
        }
        assert!(!seconds.at_edge(1));
        seconds.start_over();
        assert!(seconds.at_edge(0));
    }
}
