//! One rule of a budget: a window with its guard. A configured limit is a rule; so is a derived pace.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use super::flights::{Flights, Slot};
use super::supply::Supply;
use crate::config::{BudgetConfig, Shape};
use crate::guard::{Latency, WindowGuard};
use crate::window::{Room, Window};
use crate::{Guard, Limit};

/// One 429 takes this share of the slots.
const COOL_DOWN: f64 = 0.5;

#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Which configured limit it keeps.
    limit: usize,
    window: Window,
    guard: WindowGuard,
    /// Share of the slots in use, 1 unless a 429 lowered it.
    share: f64,
    /// Sent calls whose stamp the guard's bound may bring before their answer, in the order of their sending.
    unanswered: VecDeque<(Slot, Tick)>,
    /// Counter-safe only: slots of the first burst that are left; the pace holds once they are gone.
    burst: Option<Burst>,
}

/// What `counter_safe` adds to a window: after its first burst and one window's pause, one call per window/count.
#[derive(Clone, Debug)]
struct Burst {
    left: usize,
    pace: Duration,
    last: Option<Tick>,
}

/// The rules that keep a configuration: one per limit, and one more for a pace.
pub(super) fn rules(config: &BudgetConfig) -> Vec<Rule> {
    let mut rules: Vec<Rule> = config
        .limits
        .iter()
        .enumerate()
        .map(|(index, limit)| {
            let burst = (config.shape == Shape::CounterSafe).then(|| Burst {
                left: limit.count() as usize,
                pace: limit.window() / limit.count(),
                last: None,
            });
            Rule::new(
                index,
                Window::with_drift(limit),
                WindowGuard::new(config.guard, limit.window()),
                burst,
            )
        })
        .collect();
    if config.shape == Shape::Paced
        && let Some((index, slowest)) = slowest(&config.limits)
    {
        let pace = slowest.window() / slowest.count();
        rules.push(Rule::new(
            index,
            Window::exact(1, pace),
            WindowGuard::new(pace_guard(config.guard), pace),
            None,
        ));
    }
    rules
}

/// A pace is kept from sending to sending unless the operator asked for more: what the guard would add to every single
/// interval, the windows behind it already hold.
fn pace_guard(guard: Guard) -> Guard {
    match guard {
        Guard::Auto => Guard::Fixed(Duration::ZERO),
        other => other,
    }
}

fn slowest(limits: &[Limit]) -> Option<(usize, &Limit)> {
    limits.iter().enumerate().min_by(|a, b| a.1.rate_per_second().total_cmp(&b.1.rate_per_second()))
}

/// Which rule refused, most likely: the shortest window that the vendor's wait fits in, for nobody asks to wait longer
/// than its window; the shortest of all without a wait, for that is the one a late arrival breaks.
pub(super) fn likely_refuser(rules: &[Rule], asked: Option<Duration>) -> usize {
    let asked = asked.unwrap_or_default();
    let by_length = |fits: bool| {
        let candidates =
            rules.iter().enumerate().filter(move |(_, rule)| !fits || rule.window.hold() >= asked);
        candidates.min_by_key(|(_, rule)| rule.window.hold()).map(|(index, _)| index)
    };
    by_length(true).or_else(|| by_length(false)).unwrap_or(0)
}

impl Rule {
    fn new(limit: usize, window: Window, guard: WindowGuard, burst: Option<Burst>) -> Self {
        Self { limit, window, guard, share: 1.0, unanswered: VecDeque::new(), burst }
    }

    pub(super) fn limit_index(&self) -> usize {
        self.limit
    }

    pub(super) fn used(&self) -> usize {
        self.window.used()
    }

    pub(super) fn allowed(&self) -> usize {
        self.window.allowed()
    }

    #[cfg(feature = "redis")]
    pub(super) fn set_cap(&mut self, cap: Option<usize>) {
        self.window.set_cap(cap);
    }

    pub(super) fn bound(&self, latency: &Latency) -> Option<Duration> {
        self.guard.bound(latency)
    }

    /// Stamps what must have been counted by now, and forgets what has left the window.
    pub(super) fn advance(
        &mut self,
        index: usize,
        now: Tick,
        latency: &Latency,
        flights: &mut Flights,
        mut supply: Option<&mut Supply>,
    ) {
        let bound = self.guard.bound(latency);
        while let Some(&(slot, sent_at)) = self.unanswered.front() {
            if flights.left_at(slot, sent_at) {
                let Some(bound) = bound else { break };
                let counted_at = sent_at + bound;
                if counted_at > now {
                    break;
                }
                if flights.mark_stamped(slot, index) {
                    self.stamp(counted_at);
                    if let Some(supply) = supply.as_deref_mut() {
                        supply.stamped(slot, 1 << index, counted_at);
                    }
                }
            }
            self.unanswered.pop_front();
        }
        self.window.advance(now);
        if self.window.used() == 0
            && let Some(burst) = &mut self.burst
            && burst.last.is_none_or(|last| last + self.window.hold() * 2 <= now)
        {
            // Two windows of rest, and a sliding counter has forgotten everything.
            burst.left = self.window.full();
        }
    }

    /// `Some(until)` if it stands in the way.
    pub(super) fn refuses(&self, now: Tick, latency: &Latency) -> Option<Option<Tick>> {
        let room = match self.window.room() {
            Room::Now => None,
            Room::At(at) => Some(Some(at)),
            Room::AfterUnstamped(nth) => {
                Some(self.unstamped_free_at(nth, latency).filter(|at| *at > now))
            }
        };
        room.or_else(|| self.pace_until(now).map(Some))
    }

    /// When the slot of the `nth` unstamped call comes free if its answer does not come first. Calls that have ended
    /// may stand among them, so this may be early; asking again then does no harm.
    fn unstamped_free_at(&self, nth: usize, latency: &Latency) -> Option<Tick> {
        let bound = self.guard.bound(latency)?;
        let (_, sent_at) = self.unanswered.get(nth)?;
        Some(*sent_at + bound + self.window.hold())
    }

    /// Counter-safe: until when the pace holds a call back.
    fn pace_until(&self, now: Tick) -> Option<Tick> {
        let burst = self.burst.as_ref()?;
        if burst.left > 0 {
            return None;
        }
        burst.last.map(|last| last + burst.pace).filter(|until| now < *until)
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.window.take();
        if let Some(burst) = &mut self.burst {
            burst.left = burst.left.saturating_sub(1);
            burst.last = burst.last.max(Some(now));
        }
    }

    pub(super) fn sent(&mut self, slot: Slot, now: Tick) {
        self.unanswered.push_back((slot, now));
    }

    pub(super) fn stamp(&mut self, at: Tick) {
        self.window.stamp(at);
        if let Some(burst) = &mut self.burst {
            burst.last = burst.last.max(Some(at));
        }
    }

    pub(super) fn give_back(&mut self, slot: Slot) {
        self.window.give_back();
        if self.unanswered.back().is_some_and(|(last, _)| *last == slot) {
            self.unanswered.pop_back();
        }
        if let Some(burst) = &mut self.burst
            && burst.left > 0
        {
            burst.left += 1;
        }
    }

    pub(super) fn remember(&mut self, counted_at: Tick) {
        self.window.add(counted_at);
        if let Some(burst) = &mut self.burst {
            burst.left = burst.left.saturating_sub(1);
            burst.last = burst.last.max(Some(counted_at));
        }
    }

    /// A good answer: the guard comes down slowly, and the slots grow back, all of them over one window's worth of
    /// answers.
    pub(super) fn good(&mut self) {
        self.guard.good(self.window.full());
        if self.share < 1.0 {
            self.share = (self.share + COOL_DOWN / self.window.full() as f64).min(1.0);
            self.apply_share();
        }
    }

    pub(super) fn undeserved(&mut self, latency: &Latency) {
        self.guard.undeserved(latency);
    }

    pub(super) fn cool_down(&mut self) {
        self.share = (self.share * COOL_DOWN).max(1.0 / self.window.full() as f64);
        self.apply_share();
    }

    fn apply_share(&mut self) {
        self.window.set_allowed((self.window.full() as f64 * self.share) as usize);
    }
}
