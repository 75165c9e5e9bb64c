//! The guard of one window: until when a call that was sent may still be counted by the vendor.

use std::time::Duration;

use paceline_clock::Tick;

use crate::Guard;

/// Windows from here on are kept strictly until the latency is known (spec G3: "every window of a minute or more").
const STRICT_FROM: Duration = Duration::from_secs(60);
/// Strictness may cost this share of the rate, and the learnt bound never gets tighter than this share of the window:
/// what costs so little is spent even when the network looks quicker.
const COST_SHARE: f64 = 0.02;
/// The learnt bound never grows past this share of the window: strictness would cost less.
const BOUND_SHARE_MAX: f64 = 0.25;
/// A connection's making is a whole round trip; what is sent arrives after half of one. So the time itself is bound
/// enough, and it fades with every answer: one slow burst of connections must not hold the rate down for ever.
const NETWORK_FADE: f64 = 0.998;
/// The bound comes down by this share per window's worth of answers.
const LOWERING: f64 = 0.05;

/// What one window knows of the time between sending and counting.
#[derive(Clone, Debug)]
pub(crate) struct WindowGuard {
    guard: Guard,
    window: Duration,
    /// Up to this mean latency strictness is cheap, in seconds.
    cheap_s: f64,
    /// Between these lies the learnt bound.
    bound_min: Duration,
    bound_max: Duration,
    /// Raised by an undeserved 429, lowered by good answers.
    raised: Duration,
}

/// A refusal comes back within so many round trips as the network was seen to take.
const ROUND_TRIPS: u32 = 4;
/// And within so long at the least and at the most.
const SILENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// What the whole budget has seen of the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    /// Moving mean of sent -> head, in seconds.
    mean_s: Option<f64>,
    /// The longest network part (connect, TLS) seen, decaying.
    network: Duration,
    /// The shortest sent -> head: a refusal takes no longer, but for the network's whims.
    fastest: Option<Duration>,
    /// When the first call was sent.
    first_sent: Option<Tick>,
    /// How long no answer has come since then.
    waited: Duration,
}

impl Latency {
    /// A call leaves.
    pub(crate) fn sent(&mut self, now: Tick) {
        self.first_sent.get_or_insert(now);
    }

    /// Time passes.
    pub(crate) fn advance(&mut self, now: Tick) {
        if self.mean_s.is_none()
            && let Some(first_sent) = self.first_sent
        {
            self.waited = now.since(first_sent);
        }
    }

    /// A response's head came this long after its call was sent.
    pub(crate) fn saw_head(&mut self, after: Duration) {
        const WEIGHT: f64 = 0.05;
        let seconds = after.as_secs_f64();
        if !self.network.is_zero() {
            self.network = self.network.mul_f64(NETWORK_FADE);
        }
        self.mean_s = Some(self.mean_s.map_or(seconds, |mean| mean + WEIGHT * (seconds - mean)));
        self.fastest = Some(self.fastest.map_or(after, |fastest| fastest.min(after)));
    }

    /// How long after its sending a call that got no answer yet can be taken for not refused: many round trips. Half a
    /// second while nobody knows how long one is.
    pub(crate) fn refusal_max(&self) -> Duration {
        let known = self.fastest.filter(|_| !self.network.is_zero());
        known.map_or(SILENCE.1, |fastest| {
            (ROUND_TRIPS * fastest.max(self.network)).clamp(SILENCE.0, SILENCE.1)
        })
    }

    /// What is worth keeping: the mean in seconds (NaN if there is none) and the network part.
    pub(crate) fn parts(&self) -> (f64, Duration) {
        (self.mean_s.unwrap_or(f64::NAN), self.network)
    }

    /// From what was kept.
    pub(crate) fn of_parts(mean_s: f64, network: Duration) -> Self {
        let mean_s = Some(mean_s).filter(|mean_s| mean_s.is_finite());
        Self { mean_s, network, ..Self::default() }
    }

    /// Mean of sent -> head, in seconds; 0 while there is none.
    pub(crate) fn mean_s(&self) -> f64 {
        self.mean_s.unwrap_or_default()
    }

    /// A connection took this long to make.
    pub(crate) fn saw_network(&mut self, took: Duration) {
        self.network = self.network.max(took);
    }
}

impl WindowGuard {
    pub(crate) fn new(guard: Guard, window: Duration) -> Self {
        Self {
            guard,
            window,
            cheap_s: COST_SHARE * window.as_secs_f64(),
            bound_min: window.mul_f64(COST_SHARE),
            bound_max: window.mul_f64(BOUND_SHARE_MAX),
            raised: Duration::ZERO,
        }
    }

    /// Whether it has learnt nothing.
    pub(crate) fn is_fresh(&self) -> bool {
        self.raised.is_zero()
    }

    /// Forgets what it learnt.
    pub(crate) fn refresh(&mut self) {
        self.raised = Duration::ZERO;
    }

    /// How long after its sending a call may be counted; `None` if only the response tells.
    pub(crate) fn bound(&self, latency: &Latency) -> Option<Duration> {
        match self.guard {
            Guard::Strict => None,
            Guard::Fixed(bound) => Some(bound),
            Guard::Auto => match latency.mean_s {
                Some(mean_s) if mean_s <= self.cheap_s => None,
                Some(_) => Some(self.learnt(latency)),
                // No answer for as long as a bound may ever be, nor a refusal: the vendor thinks.
                None if latency.waited > self.bound_max => Some(self.learnt(latency)),
                // Nothing is known yet, and the first calls are the slowest, for they make the connections.
                None => (self.window < STRICT_FROM).then_some(self.window),
            },
        }
    }

    /// When it will make do without a first answer; `None` if it has one, or needs none.
    pub(crate) fn knows_at(&self, latency: &Latency) -> Option<Tick> {
        let unknown = self.guard == Guard::Auto && latency.mean_s.is_none();
        let first_sent = latency.first_sent.filter(|_| unknown)?;
        Some(first_sent + self.bound_max + Duration::from_nanos(1))
    }

    /// How long after its sending a call gets its stamp, on average, in seconds.
    pub(crate) fn stamped_after_s(&self, latency: &Latency) -> f64 {
        let mean_s = latency.mean_s.unwrap_or_default();
        self.bound(latency).map_or(mean_s, |bound| bound.as_secs_f64().min(mean_s))
    }

    fn learnt(&self, latency: &Latency) -> Duration {
        self.raised.max(latency.network).clamp(self.bound_min, self.bound_max)
    }

    /// A 429 came although the window held: the vendor may have counted later than believed. Raised at once.
    pub(crate) fn undeserved(&mut self, latency: &Latency) {
        if self.guard == Guard::Auto {
            self.raised = self.learnt(latency).mul_f64(2.0).min(self.bound_max);
        }
    }

    /// A good answer: lowered slowly.
    pub(crate) fn good(&mut self, count: usize) {
        if self.raised > Duration::ZERO {
            self.raised = self.raised.mul_f64(1.0 - LOWERING / count.max(1) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(mean_ms: u64) -> Latency {
        let mut latency = Latency::default();
        latency.saw_head(Duration::from_millis(mean_ms));
        latency
    }

    #[test]
    fn auto_is_strict_where_that_is_cheap() {
        let minute = WindowGuard::new(Guard::Auto, Duration::from_secs(60));
        let second = WindowGuard::new(Guard::Auto, Duration::from_secs(1));
        assert_eq!(minute.bound(&Latency::default()), None);
        assert_eq!(minute.bound(&latency(1_100)), None, "1.8 %");
        assert_eq!(
            minute.bound(&latency(30_000)),
            Some(Duration::from_millis(1_200)),
            "30 s of thinking"
        );
        assert_eq!(second.bound(&Latency::default()), Some(Duration::from_secs(1)), "unknown");
        assert_eq!(second.bound(&latency(10)), None, "1 %");
        assert_eq!(second.bound(&latency(200)), Some(Duration::from_millis(20)));
    }

    #[test]
    fn a_slow_network_and_an_undeserved_429_raise_the_bound_and_it_comes_down_slowly() {
        let mut guard = WindowGuard::new(Guard::Auto, Duration::from_secs(1));
        let mut seen = latency(200);
        seen.saw_network(Duration::from_millis(60));
        assert_eq!(guard.bound(&seen), Some(Duration::from_millis(60)));
        guard.undeserved(&seen);
        assert_eq!(guard.bound(&seen), Some(Duration::from_millis(120)));
        (0..10).for_each(|_| guard.undeserved(&seen));
        assert_eq!(
            guard.bound(&seen),
            Some(Duration::from_millis(250)),
            "at most a quarter of the window"
        );
        (0..10).for_each(|_| guard.good(10));
        assert!(guard.bound(&seen).unwrap() < Duration::from_millis(240));
        assert!(guard.bound(&seen).unwrap() > Duration::from_millis(230));
    }

    #[test]
    fn strict_and_fixed_are_what_they_say() {
        let window = Duration::from_secs(1);
        assert_eq!(WindowGuard::new(Guard::Strict, window).bound(&latency(5)), None);
        let fixed = WindowGuard::new(Guard::Fixed(Duration::from_millis(7)), window);
        assert_eq!(fixed.bound(&latency(5)), Some(Duration::from_millis(7)));
    }
}
