//! One rule of a budget: a window with its guard, and how calls are spread over it. A configured limit is a rule; so is a
//! derived pace.

mod set;

use std::collections::VecDeque;
use std::time::Duration;

use paceline_clock::Tick;

use super::adapt::{RefusedAt, Share};
use super::flights::{Flights, Slot};
use super::learn::{Cause, Facts, Learner, Refused};
use super::spread::Spread;
use super::supply::Supply;
use crate::Limit;
use crate::config::{BudgetConfig, Shape};
use crate::guard::{Latency, WindowGuard};
use crate::limit::Unit;
use crate::window::{Room, Window, with_drift};

pub(super) use set::{likely_refuser, rules};

/// Good answers between two looks at the latency that the spread is tuned to.
const TUNE_EVERY: u32 = 32;

#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Which configured limit it keeps.
    pub(super) index: usize,
    pub(super) limit: Limit,
    pub(super) window: Window,
    pub(super) guard: WindowGuard,
    /// How much of the window is in use after 429s.
    pub(super) share: Share,
    /// Sent calls whose stamp the guard's bound may bring before their answer, in the order of their sending.
    pub(super) unanswered: VecDeque<Sent>,
    /// `counter_safe`, asked for or learnt.
    pub(super) spread: Option<Spread>,
    /// What shape `auto` learns about the enforcer.
    pub(super) learner: Option<Box<Learner>>,
    /// Limits of tokens: the stamp of each call under way that has one, by the slot's index.
    pub(super) stamps: Vec<Tick>,
    /// What had left the window when each call under way was admitted, by the slot's index.
    left_at: Vec<u64>,
    /// The most that any call was thought to weigh.
    pub(super) heaviest: u32,
    pub(super) answers: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    slot: Slot,
    at: Tick,
    weight: u32,
}

/// What holds a call back, and until when; `None` if only an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The window is full.
    Full(Option<Tick>),
    /// The window has room, but calls are spread.
    Spread(Option<Tick>),
}

impl Rule {
    fn of(index: usize, limit: Limit, config: &BudgetConfig) -> Self {
        let guard = WindowGuard::new(config.guard, limit.window());
        let mut rule = Self::new(index, limit, Window::with_drift(&limit), guard);
        if limit.unit() == Unit::Calls {
            match config.shape {
                Shape::CounterSafe => rule.spread_out(u64::from(limit.count())),
                Shape::Auto => {
                    let learner = Learner::new(limit.count(), limit.window());
                    rule.learner = Some(Box::new(learner));
                }
                Shape::Burst | Shape::Paced => {}
            }
        }
        rule
    }

    fn new(index: usize, limit: Limit, window: Window, guard: WindowGuard) -> Self {
        Self {
            index,
            limit,
            window,
            guard,
            share: Share::default(),
            unanswered: VecDeque::new(),
            spread: None,
            learner: None,
            stamps: Vec::new(),
            left_at: Vec::new(),
            heaviest: 0,
            answers: 0,
        }
    }

    fn spread_out(&mut self, burst: u64) {
        self.spread = Some(Spread::new(self.window.full(), self.window.hold(), burst));
    }

    pub(super) fn limit_index(&self) -> usize {
        self.index
    }

    pub(super) fn limit(&self) -> &Limit {
        &self.limit
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn stamped_after_s(&self, latency: &Latency) -> f64 {
        self.guard.stamped_after_s(latency)
    }

    /// A refusal comes back within so long after its call was sent.
    pub(super) fn refusals_take(&mut self, at_most: Duration) {
        if let Some(learner) = &mut self.learner {
            learner.refusals_take(at_most);
        }
    }

    pub(super) fn learner(&self) -> Option<&Learner> {
        self.learner.as_deref()
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
        rule: usize,
        now: Tick,
        latency: &Latency,
        flights: &mut Flights,
        mut supply: Option<&mut Supply>,
    ) {
        let bound = self.guard.bound(latency);
        while let Some(&Sent { slot, at, weight }) = self.unanswered.front() {
            if flights.left_at(slot, at) {
                let Some(bound) = bound else { break };
                let counted_at = at + bound;
                if counted_at > now {
                    break;
                }
                if flights.mark_stamped(slot, rule) {
                    self.stamp(slot, counted_at, weight);
                    if let Some(supply) = supply.as_deref_mut() {
                        supply.stamped(slot, 1 << rule, counted_at);
                    }
                }
            }
            self.unanswered.pop_front();
        }
        self.window.advance(now);
        if let Some(learner) = &mut self.learner {
            learner.advance(now);
        }
        if let Some(spread) = &mut self.spread
            && self.window.used() == 0
        {
            spread.idle(now);
        }
    }

    /// Whether it stands in the way of a call with so many tokens.
    pub(super) fn refuses(&self, tokens: u32, now: Tick, latency: &Latency) -> Option<Held> {
        match self.window.room(self.limit.weight(tokens)) {
            Room::Now => {}
            Room::At(at) => return Some(Held::Full(Some(at))),
            Room::AfterUnstamped(weight) => {
                let free_at = self.unstamped_free_at(weight, latency);
                let knows_at = self.guard.knows_at(latency);
                let until = free_at.into_iter().chain(knows_at).filter(|at| *at > now).min();
                return Some(Held::Full(until));
            }
        }
        let unstamped = self.window.unstamped();
        let spread = self.spread.as_ref().and_then(|spread| spread.refuses(unstamped, now));
        let learner = || self.learner.as_ref().and_then(|learner| learner.refuses(unstamped, now));
        spread.or_else(learner).map(|until| {
            // A bound may bring the stamp that is waited for.
            let stamped = || {
                let sent = self.unanswered.front()?;
                Some(sent.at + self.guard.bound(latency)?).filter(|at| *at > now)
            };
            Held::Spread(until.or_else(stamped))
        })
    }

    /// When so much of what has no stamp comes free if the answers do not come first. Calls that have ended may stand
    /// among them, so this may be early; asking again then does no harm.
    fn unstamped_free_at(&self, mut weight: u64, latency: &Latency) -> Option<Tick> {
        let bound = self.guard.bound(latency)?;
        for sent in &self.unanswered {
            if u64::from(sent.weight) >= weight {
                return Some(sent.at + bound + self.window.hold());
            }
            weight -= u64::from(sent.weight);
        }
        None
    }

    pub(super) fn take(&mut self, slot: Slot, tokens: u32, now: Tick) {
        let weight = self.limit.weight(tokens);
        self.heaviest = self.heaviest.max(weight);
        self.window.take(weight);
        let index = slot.index();
        if index >= self.left_at.len() {
            self.left_at.resize(index + 1, 0);
        }
        self.left_at[index] = self.window.left();
        if let Some(spread) = &mut self.spread {
            spread.take(now);
        }
        if let Some(learner) = &mut self.learner {
            learner.take(slot, self.window.unstamped(), now);
        }
    }

    pub(super) fn sent(&mut self, slot: Slot, tokens: u32, now: Tick) {
        self.unanswered.push_back(Sent { slot, at: now, weight: self.limit.weight(tokens) });
    }

    /// What has left the window since a call under way was admitted.
    pub(super) fn left_since(&self, slot: Slot) -> u64 {
        let at_admission = self.left_at.get(slot.index()).copied();
        at_admission.map_or(0, |at_admission| self.window.left().saturating_sub(at_admission))
    }

    pub(super) fn stamp_call(&mut self, slot: Slot, tokens: u32, at: Tick) {
        self.stamp(slot, at, self.limit.weight(tokens));
    }

    fn stamp(&mut self, slot: Slot, at: Tick, weight: u32) {
        self.window.stamp(at, weight);
        if let Some(spread) = &mut self.spread {
            spread.stamp(at);
        }
        if let Some(learner) = &mut self.learner {
            learner.stamp(at);
        }
        if self.limit.unit() == Unit::Tokens {
            let index = slot.index();
            if index >= self.stamps.len() {
                self.stamps.resize(index + 1, Tick::ZERO);
            }
            self.stamps[index] = at;
        }
    }

    /// A call turns out to weigh something else than was reserved.
    pub(super) fn settle(&mut self, slot: Slot, stamped: bool, from: u32, to: u32) {
        if self.limit.unit() != Unit::Tokens {
            return;
        }
        if !stamped {
            self.window.settle_unstamped(from, to);
            for sent in self.unanswered.iter_mut().filter(|sent| sent.slot == slot) {
                sent.weight = to;
            }
        } else if let Some(stamp) = self.stamps.get(slot.index()) {
            self.window.settle_stamped(*stamp, from, to);
        }
    }

    pub(super) fn give_back(&mut self, slot: Slot, tokens: u32) {
        self.window.give_back(self.limit.weight(tokens));
        if self.unanswered.back().is_some_and(|last| last.slot == slot) {
            self.unanswered.pop_back();
        }
        if let Some(spread) = &mut self.spread {
            spread.give_back();
        }
    }

    pub(super) fn remember(&mut self, counted_at: Tick, tokens: u32) {
        self.remember_weight(counted_at, self.limit.weight(tokens));
    }

    pub(super) fn remember_weight(&mut self, counted_at: Tick, weight: u32) {
        self.window.add(counted_at, weight);
        if let Some(spread) = &mut self.spread {
            spread.take(counted_at);
            spread.stamp(counted_at);
        }
        if let Some(learner) = &mut self.learner {
            learner.stamp(counted_at);
        }
    }

    /// Takes over what an earlier process learnt.
    pub(super) fn relearn(&mut self, facts: Facts) {
        if let Some(learner) = &mut self.learner {
            learner.relearn(facts);
            self.apply_learnt();
        }
    }

    /// A good answer: the guard comes down slowly, the slots grow back, and what was given up is tried again.
    pub(super) fn good(&mut self, slot: Slot, is_later: bool, now: Tick, latency: &Latency) {
        self.guard.good(self.limit.count() as usize);
        if self.share.good(self.window.full(), is_later) {
            self.apply_share();
        }
        if self.learner.as_mut().is_some_and(|learner| learner.accepted(slot, now)) {
            self.apply_learnt();
        }
        self.answers = self.answers.wrapping_add(1);
        if self.answers % TUNE_EVERY == 1
            && let Some(spread) = &mut self.spread
        {
            spread.tune(self.guard.stamped_after_s(latency));
        }
    }

    /// What would explain it if this rule's vendor refused a call.
    fn cause(
        &self,
        (slot, now): (Slot, Tick),
        asked: Option<Duration>,
        latency: &Latency,
    ) -> Cause {
        let bounded = self.guard.bound(latency).is_some();
        let unstamped = self.window.unstamped();
        match &self.learner {
            Some(learner) => learner.cause(Refused { slot, now, unstamped, asked, bounded }),
            None if bounded => Cause::LateArrival,
            None => Cause::SomebodyElse,
        }
    }

    /// A call was refused, and this explains it: what follows from that.
    pub(super) fn believe(&mut self, cause: Cause, now: Tick, latency: &Latency) {
        if cause == Cause::LateArrival {
            self.guard.undeserved(latency);
        }
        if let Some(learner) = &mut self.learner {
            learner.believe(cause, now);
        }
        self.apply_learnt();
    }

    /// A call was refused that nothing explains.
    pub(super) fn unexplained(&mut self) {
        if self.learner.as_mut().is_some_and(|learner| learner.disprove()) {
            self.apply_learnt();
        }
    }

    /// A call was refused, by whichever rule.
    pub(super) fn refused(&mut self, slot: Slot) {
        if let Some(learner) = &mut self.learner {
            learner.refused(slot);
        }
    }

    /// A call ended and says nothing about the vendor.
    pub(super) fn dropped(&mut self, slot: Slot) {
        if let Some(learner) = &mut self.learner {
            learner.dropped(slot);
        }
    }

    /// A vendor that says nothing of when to come back is given this long after the `row`th refusal in a row.
    pub(super) fn pause(&self, row: u32) -> Duration {
        let pace = self.window.hold().div_f64(self.window.full().max(1) as f64);
        let doublings = self.share.streak().max(row.saturating_sub(1)).min(6);
        pace.saturating_mul(1 << doublings).min(self.window.hold())
    }

    pub(super) fn cool_down(&mut self, cause: Cause, now: Tick) {
        // Only a learner answers a cause with another plan.
        let explained = self.learner.is_some() && cause != Cause::SomebodyElse;
        let (slots, used, hold) = (self.window.full(), self.window.used(), self.window.hold());
        self.share.cool_down(RefusedAt { now, slots, used, hold, explained });
        self.apply_share();
    }

    /// The vendor names its limit: fewer slots than configured at once, never more.
    pub(super) fn told_count(&mut self, count: u64) {
        self.window.set_full(count);
        self.apply_share();
    }

    fn apply_share(&mut self) {
        self.window.set_allowed((self.window.full() as f64 * self.share.get()) as u64);
    }

    fn apply_learnt(&mut self) {
        let Some(learner) = &self.learner else { return };
        self.window.set_hold(with_drift(self.limit.window() + learner.extra_hold()));
        match (learner.counter(), &self.spread) {
            (true, None) => self.spread_out(0),
            (false, Some(_)) => self.spread = None,
            _ => {}
        }
    }
}
