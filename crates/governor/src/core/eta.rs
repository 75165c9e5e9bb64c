//! When the next calls may be expected to go: the recursion of the plan, from what the windows hold now.

use std::time::Duration;

use paceline_clock::Tick;

use super::{Core, Reason};
use crate::limit::Unit;
use crate::window::{Room, Window};

/// Calls that an estimate is made for at the most; it takes some nanoseconds each.
const CALLS_MAX: u64 = 10_000_000;

/// When a call may be expected to go, if answers take as long as they did so far and nobody else uses the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eta {
    /// When.
    pub at: Tick,
    /// What the calls up to it wait for the longest; nothing if they need not wait.
    pub held_by: Option<Reason>,
}

/// What one window adds to the schedule.
struct Line {
    reason: Reason,
    window: Window,
    /// From a start to its stamp.
    stamped_after: Duration,
    waited: Duration,
}

impl Core {
    /// When the `calls`th call from now (1 is the next one) may be expected to go; at most ten million ahead.
    ///
    /// It counts calls without tokens: limits of tokens are heeded as far as they are used up now.
    pub fn eta(&mut self, calls: u64, now: Tick) -> Eta {
        self.advance(now);
        let mut lines = self.lines(now);
        let mut at = now.max(self.gate);
        if let Some(until) = self.told.refuses(0, now) {
            at = at.max(until);
        }
        let mut last = self.last_sent;
        for _ in 0..calls.min(CALLS_MAX) {
            if let Some(last) = last {
                at = at.max(last + self.config.spacing_min);
            }
            at = next_start(at, &mut lines);
            last = Some(at);
        }
        let waited = lines.iter().filter(|line| !line.waited.is_zero());
        let held_by = waited.max_by_key(|line| line.waited).map(|line| line.reason);
        let gated = (at > now).then_some(Reason::RetryAfter).filter(|_| self.gate > now);
        Eta { at, held_by: held_by.or(gated) }
    }

    /// The windows as they are, with what is under way stamped when its answer is to be expected.
    fn lines(&self, now: Tick) -> Vec<Line> {
        let mean = Duration::from_secs_f64(self.latency.mean_s());
        let calls = self.rules.iter().filter(|rule| rule.limit().unit() == Unit::Calls);
        let mut lines: Vec<Line> = calls
            .map(|rule| {
                let mut window = rule.window().clone();
                for _ in 0..window.unstamped() {
                    window.stamp(now + mean, 1);
                }
                let stamped_after = Duration::from_secs_f64(rule.stamped_after_s(&self.latency));
                let reason = Reason::Limit(rule.limit_index());
                Line { reason, window, stamped_after, waited: Duration::ZERO }
            })
            .collect();
        if let Some(most) = self.config.concurrent_max
            && !mean.is_zero()
        {
            let mut window = Window::exact(most, mean);
            (0..self.flights.len()).for_each(|_| window.add(now, 1));
            let (stamped_after, waited) = (Duration::ZERO, Duration::ZERO);
            lines.push(Line { reason: Reason::Concurrency, window, stamped_after, waited });
        }
        lines
    }
}

/// The earliest start from `at` on that every window has room for; it is charged to all of them.
fn next_start(at: Tick, lines: &mut [Line]) -> Tick {
    let mut start = at;
    let mut by = None;
    for (index, line) in lines.iter_mut().enumerate() {
        line.window.advance(start);
        if let Room::At(free) = line.window.room(1)
            && free > start
        {
            start = free;
            by = Some(index);
        }
    }
    if let Some(by) = by {
        lines[by].waited += start - at;
    }
    for line in lines {
        line.window.advance(start);
        line.window.add(start + line.stamped_after, 1);
    }
    start
}
