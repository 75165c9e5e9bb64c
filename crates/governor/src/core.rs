//! The deciding core of a budget: plain state, the time an argument, no I/O and no waiting.
//!
//! The life of a call: [`Core::admit`] gives it a [`Slot`] or refuses; [`Core::sent`] says it leaves; [`Core::seen`] that
//! its response's head (or its failure) is here; [`Core::finish`] how it ended. A slot that was never sent is
//! [given back](Core::give_back) and leaves no trace.

mod flights;
mod rule;
#[cfg(feature = "redis")]
mod shared;
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a shared budget has a supply, and Redis is what shares one")
)]
mod supply;

use std::time::Duration;

use paceline_clock::Tick;

use crate::config::BudgetConfig;
use crate::guard::Latency;
use crate::status::{LimitStatus, Status};
use crate::{Breaker, BreakerState, ConfigError, Outcome, OutcomeClass, Trip};
use flights::Flights;
pub use flights::Slot;
use rule::Rule;
#[cfg(not(feature = "redis"))]
use supply::Supply;
#[cfg(feature = "redis")]
pub(crate) use supply::{Call, Heir, News, Own, Supply};

/// A failure after sending is taken to be counted this much later than it was seen, where no bound is known.
const FAILURE_GRACE: Duration = Duration::from_secs(1);

/// What stands in the way of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This limit's window is full; the number is its place in the configuration.
    Limit(usize),
    /// As many calls as allowed are under way.
    Concurrency,
    /// The last call was too short a while ago.
    Spacing,
    /// The vendor asked to wait.
    RetryAfter,
    /// The budget is shared, and the server that shares it has lent this process no permit (yet). Asking for a call is
    /// what makes the process ask the server.
    Shared,
    /// The breaker refuses.
    Breaker(Trip),
}

/// Not now. `until` is when it is worth asking again; `None` if only the end of a call (or a person) changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What stands in the way the longest.
    pub reason: Reason,
    /// When to ask again.
    pub until: Option<Tick>,
}

/// The state of one budget.
#[derive(Clone, Debug)]
pub struct Core {
    config: BudgetConfig,
    rules: Vec<Rule>,
    flights: Flights,
    breaker: Breaker,
    latency: Latency,
    /// Nothing is sent before this: the vendor asked for it. It only ever grows.
    gate: Tick,
    last_sent: Option<Tick>,
    last_drop: Option<Tick>,
    throttled: u64,
    /// Where permits come from if the budget is shared between processes.
    supply: Option<Supply>,
}

impl Core {
    /// A budget that nothing was spent of.
    ///
    /// # Errors
    /// If the configuration cannot be; see [`BudgetConfig::check`].
    pub fn new(config: BudgetConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            rules: rule::rules(&config),
            flights: Flights::default(),
            breaker: Breaker::new(config.breaker),
            latency: Latency::default(),
            gate: Tick::ZERO,
            last_sent: None,
            last_drop: None,
            throttled: 0,
            supply: None,
            config,
        })
    }

    /// Leave to make one call, or why not and until when. All limits are checked, then all are charged.
    ///
    /// # Errors
    /// [`Refusal`]: not now.
    pub fn admit(&mut self, now: Tick) -> Result<Slot, Refusal> {
        self.advance(now);
        if let Some(refusal) = self.refusal(now) {
            if let Some(supply) = &mut self.supply {
                supply.missed(now);
            }
            return Err(refusal);
        }
        if let Err(trip) = self.breaker.admit(now) {
            return Err(Refusal { reason: Reason::Breaker(trip), until: None });
        }
        for rule in &mut self.rules {
            rule.take(now);
        }
        // Spacing counts from the grant until the sending is known.
        self.last_sent = Some(now);
        let slot = self.flights.take();
        if let Some(supply) = &mut self.supply {
            supply.take(slot, now);
        }
        Ok(slot)
    }

    /// The call leaves now.
    pub fn sent(&mut self, slot: Slot, now: Tick) {
        if self.flights.sent(slot, now) {
            self.last_sent = self.last_sent.max(Some(now));
            for rule in &mut self.rules {
                rule.sent(slot, now);
            }
        }
    }

    /// The call has to make a connection first, and how long that takes nobody knows: its slot is held until it is
    /// [connected](Core::connected) or its response's head is here, whatever the guard.
    pub fn connecting(&mut self, slot: Slot) {
        self.flights.hold(slot);
    }

    /// The connection that the call waited for is there: it leaves now.
    pub fn connected(&mut self, slot: Slot, now: Tick) {
        if self.flights.release(slot, now) {
            for rule in &mut self.rules {
                rule.sent(slot, now);
            }
        }
    }

    /// The response's head is here: the vendor has counted the call by now.
    pub fn seen(&mut self, slot: Slot, now: Tick) {
        self.advance(now);
        if let Some(sent_at) = self.flights.unseen(slot) {
            if let Some(sent_at) = sent_at {
                self.latency.saw_head(now - sent_at);
            }
            self.stamp(slot, now);
        }
    }

    /// The call failed after something of it may have left: when it was counted, if it was, nobody knows.
    pub fn failed(&mut self, slot: Slot, now: Tick) {
        self.advance(now);
        if self.flights.unseen(slot).is_some() {
            self.stamp(slot, now + FAILURE_GRACE);
        }
    }

    /// The call is over. One that was neither sent nor given back counts as sent with an unknown end.
    ///
    /// Answers whether this made the breaker trip.
    pub fn finish(&mut self, slot: Slot, outcome: &Outcome, now: Tick) -> bool {
        self.failed(slot, now);
        let Some(sent_at) = self.flights.end(slot) else {
            return false;
        };
        if let Some(wait) = outcome.retry_after
            && outcome.class != OutcomeClass::Success
        {
            self.gate = self.gate.max(now + wait);
            if let Some(supply) = &mut self.supply {
                supply.hold_until(self.gate);
            }
        }
        match outcome.class {
            OutcomeClass::Success => self.rules.iter_mut().for_each(Rule::good),
            OutcomeClass::Throttled => self.throttle(sent_at, outcome.retry_after, now),
            _ => {}
        }
        self.breaker.record(now, outcome)
    }

    /// The call's owner is gone: it may have been sent, and how it ended nobody knows. It teaches the breaker nothing.
    pub fn abandon(&mut self, slot: Slot, now: Tick) {
        self.failed(slot, now);
        self.flights.end(slot);
        self.breaker.probe_lost(now);
    }

    /// Nothing left this machine: the call gives its place back as if it had never been. With an outcome (no
    /// connection came about, say) the breaker still learns of it. Answers whether this made it trip.
    pub fn give_back(&mut self, slot: Slot, outcome: Option<&Outcome>, now: Tick) -> bool {
        self.advance(now);
        let stamped = self.flights.mark_all_stamped(slot);
        if self.flights.end(slot).is_none() {
            return false;
        }
        if let Some(supply) = &mut self.supply {
            supply.returned(slot, !stamped);
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if stamped & (1 << index) == 0 {
                rule.give_back(slot);
            }
        }
        match outcome {
            Some(outcome) => self.breaker.record(now, outcome),
            None => {
                self.breaker.probe_lost(now);
                false
            }
        }
    }

    /// A call of an earlier process, counted by the vendor at `counted_at` at the latest.
    pub fn remember(&mut self, counted_at: Tick) {
        for rule in &mut self.rules {
            rule.remember(counted_at);
        }
    }

    /// A connection took this long to make: what the guard learns from.
    pub fn saw_network(&mut self, took: Duration) {
        self.latency.saw_network(took);
    }

    /// Admits again after the breaker tripped: the cause was mended.
    pub fn reset_breaker(&mut self) {
        self.breaker.reset();
    }

    /// Why the breaker refuses, if it does and no probe is due.
    #[must_use]
    pub fn tripped(&self) -> Option<Trip> {
        match self.breaker.state() {
            BreakerState::Refusing { trip, until: None } => Some(trip),
            _ => None,
        }
    }

    /// When the next call could be admitted if nothing else happens; `None` if now, or if that hangs on an answer.
    pub fn next_slot(&mut self, now: Tick) -> Option<Tick> {
        self.advance(now);
        self.refusal(now).and_then(|refusal| refusal.until)
    }

    /// A snapshot for people and programs.
    pub fn status(&mut self, now: Tick) -> Status {
        self.advance(now);
        let limits = self.config.limits.iter().enumerate().map(|(index, limit)| {
            let rule = &self.rules[index];
            LimitStatus {
                limit: *limit,
                used: rule.used(),
                allowed: rule.allowed(),
                guard_ms: rule.bound(&self.latency).map(|bound| bound.as_secs_f64() * 1e3),
            }
        });
        Status {
            limits: limits.collect(),
            in_flight: self.flights.len(),
            waiting: 0,
            next_slot: self.refusal(now).and_then(|refusal| refusal.until),
            held_by: self.refusal(now).map(|refusal| refusal.reason),
            throttled: self.throttled,
            breaker: self.breaker.state(),
        }
    }

    fn advance(&mut self, now: Tick) {
        for (index, rule) in self.rules.iter_mut().enumerate() {
            rule.advance(index, now, &self.latency, &mut self.flights, self.supply.as_mut());
        }
    }

    /// Whatever stands in the way the longest.
    fn refusal(&self, now: Tick) -> Option<Refusal> {
        let mut worst: Option<Refusal> = None;
        let mut hold = |reason, until: Option<Tick>| {
            // No end in sight is longer than any end.
            let rank = |until: Option<Tick>| until.unwrap_or(Tick::NEVER);
            if worst.is_none_or(|worst| rank(until) > rank(worst.until)) {
                worst = Some(Refusal { reason, until });
            }
        };
        if now < self.gate {
            hold(Reason::RetryAfter, Some(self.gate));
        }
        if let Some(last) = self.last_sent
            && now < last + self.config.spacing_min
        {
            hold(Reason::Spacing, Some(last + self.config.spacing_min));
        }
        if self.config.concurrent_max.is_some_and(|max| self.flights.len() >= max as usize) {
            hold(Reason::Concurrency, None);
        }
        for rule in &self.rules {
            if let Some(until) = rule.refuses(now, &self.latency) {
                hold(Reason::Limit(rule.limit_index()), until);
            }
        }
        match self.supply.as_ref().and_then(|supply| supply.refuses(now)) {
            Some(Some(until)) => hold(Reason::Shared, Some(until)),
            // Permits are a question away: whatever else there is tells more.
            Some(None) if worst.is_none() => {
                return Some(Refusal { reason: Reason::Shared, until: None });
            }
            _ => {}
        }
        worst
    }

    fn stamp(&mut self, slot: Slot, at: Tick) {
        let done = self.flights.mark_all_stamped(slot);
        if let Some(supply) = &mut self.supply {
            supply.stamped(slot, !done, at);
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if done & (1 << index) == 0 {
                rule.stamp(at);
            }
        }
    }

    /// A 429: the window that refused gets fewer slots, once per round trip, and a wider guard (theory, "Adapting").
    fn throttle(&mut self, sent_at: Option<Tick>, asked: Option<Duration>, now: Tick) {
        self.throttled += 1;
        let since_last = self.last_drop.is_none_or(|last| sent_at.is_some_and(|sent| sent > last));
        if !since_last || self.rules.is_empty() {
            return;
        }
        self.last_drop = Some(now);
        let index = rule::likely_refuser(&self.rules[..self.config.limits.len()], asked);
        let rule = &mut self.rules[index];
        rule.undeserved(&self.latency);
        if self.config.cool_down_on_429 {
            rule.cool_down();
        }
    }
}

#[cfg(test)]
mod tests;
