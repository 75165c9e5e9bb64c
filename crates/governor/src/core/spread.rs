//! What `counter_safe` adds to a window (limiter-theory.md, "The shape"): one burst, then nothing for a window, then an even
//! pace, so that a sliding counter never weighs more than its limit.
//!
//! The pace may have several calls under way. With `depth` of them a counter of `L` per `W` stays inside its limit at
//! `(L - 2 depth) / W`: any interval `x` then holds at most `depth + x (L - 2 depth) / W` arrivals, hence the last window
//! `L - depth`, and what is left of it plus the present one `(L - depth)(1 - x/W) + depth + x (L - 2 depth) / W <= L`. One call at
//! a time needs no such margin: its arrivals lie `W / L` apart. Which depth is the fastest depends on the time to a stamp.

use std::time::Duration;

use paceline_clock::Tick;

use super::pacer::Pacer;

#[derive(Clone, Debug)]
pub(super) struct Spread {
    count: u64,
    hold: Duration,
    /// Calls that may still go at once.
    burst_left: u64,
    depth: u64,
    pacer: Pacer,
    last: Tick,
}

impl Spread {
    /// Spreads `count` calls per `hold`, after a first burst of `burst`.
    pub(super) fn new(count: u64, hold: Duration, burst: u64) -> Self {
        let pacer = Pacer::new(interval(count, hold, 1));
        Self { count, hold, burst_left: burst, depth: 1, pacer, last: Tick::ZERO }
    }

    /// Until when it holds a call back; the outer `None` if it does not, the inner if that hangs on a stamp.
    pub(super) fn refuses(&self, unstamped: u64, now: Tick) -> Option<Option<Tick>> {
        if self.burst_left > 0 {
            return None;
        }
        match self.pacer.opens_at(self.depth, unstamped) {
            Some(at) if at <= now => None,
            until => Some(until),
        }
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.burst_left = self.burst_left.saturating_sub(1);
        self.last = self.last.max(now);
    }

    pub(super) fn stamp(&mut self, at: Tick) {
        self.pacer.stamp(at);
        self.last = self.last.max(at);
    }

    pub(super) fn give_back(&mut self) {
        if self.burst_left > 0 {
            self.burst_left += 1;
        }
    }

    /// Nothing is inside the window. After two windows of rest a counter has forgotten everything.
    pub(super) fn idle(&mut self, now: Tick) {
        if self.last + self.hold * 2 <= now {
            self.burst_left = self.count;
        }
    }

    /// Takes the fastest depth for calls that take `stamp_s` seconds to their stamp.
    pub(super) fn tune(&mut self, stamp_s: f64) {
        let pace_s = self.hold.as_secs_f64() / self.count as f64;
        let alone = 1.0 / (pace_s + stamp_s);
        let together = |depth: u64| {
            let paced = (self.count.saturating_sub(2 * depth)) as f64 / self.hold.as_secs_f64();
            paced.min(depth as f64 / stamp_s)
        };
        // Where both sides of `together` meet: depth / s = (L - 2 depth) / W.
        let meet = self.count as f64 * stamp_s / (self.hold.as_secs_f64() + 2.0 * stamp_s);
        let meet = (meet as u64).clamp(1, (self.count / 4).max(1));
        let best = [meet, meet + 1]
            .into_iter()
            .filter(|depth| *depth > 1 && self.count > 2 * depth && together(*depth) > alone)
            .max_by(|a, b| together(*a).total_cmp(&together(*b)));
        self.depth = best.unwrap_or(1);
        self.pacer.set_interval(interval(self.count, self.hold, self.depth));
    }
}

fn interval(count: u64, hold: Duration, depth: u64) -> Duration {
    let kept = if depth == 1 { count } else { count.saturating_sub(2 * depth) };
    hold.div_f64(kept.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_follows_the_time_to_a_stamp() {
        let mut spread = Spread::new(20, Duration::from_secs(60), 20);
        let mut depth_at = |stamp_s| {
            spread.tune(stamp_s);
            spread.depth
        };
        assert_eq!(depth_at(0.0), 1);
        assert_eq!(depth_at(0.2), 1, "18.75 a minute one by one, 16 two at a time");
        assert_eq!(depth_at(30.0), 5, "10 a minute instead of 1.8");
        let mut fast = Spread::new(1000, Duration::from_secs(1), 0);
        fast.tune(0.42);
        assert!((225..=230).contains(&fast.depth), "{}", fast.depth);
    }

    #[test]
    fn a_small_limit_goes_one_by_one() {
        for count in 1..=4 {
            let mut spread = Spread::new(count, Duration::from_secs(1), count);
            spread.tune(10.0);
            assert_eq!(spread.depth, 1, "{count} per second");
        }
    }
}
