//! The deciding core of a budget: plain state, the time an argument, no I/O and no waiting.
//!
//! The life of a call: [`Core::admit`] gives it a [`Slot`] or refuses; [`Core::sent`] says it leaves; [`Core::seen`] that
//! its response's head (or its failure) is here; [`Core::finish`] how it ended. A slot that was never sent is
//! [given back](Core::give_back) and leaves no trace.

mod adapt;
mod ending;
mod eta;
mod flights;
mod frozen;
mod learn;
mod pacer;
mod rule;
mod scout;
#[cfg(feature = "redis")]
mod shared;
mod snapshot;
mod spread;
mod status;
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a shared budget has a supply, and Redis is what shares one")
)]
mod supply;
mod throttle;
mod told;

use std::time::Duration;

use paceline_clock::Tick;

use crate::config::BudgetConfig;
use crate::guard::Latency;
use crate::limit::Unit;
use crate::{Breaker, BreakerState, ConfigError, Limit, Trip};
pub use eta::Eta;
use flights::Flights;
pub use flights::Slot;
pub(crate) use frozen::Frozen;
pub use learn::Cause;
use rule::{Held, Rule};
pub use snapshot::Snapshot;
#[cfg(not(feature = "redis"))]
use supply::Supply;
#[cfg(feature = "redis")]
pub(crate) use supply::{Call, Heir, News, Own, Supply};
pub use throttle::Explanation;
use throttle::Throttles;
use told::Told;

/// A failure after sending is taken to be counted this much later than it was seen, where no bound is known.
const FAILURE_GRACE: Duration = Duration::from_secs(1);

/// What stands in the way of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// This limit's window is full; the number is its place in the configuration.
    Limit(usize),
    /// This limit's window has room, but its calls are spread: the shape asks for it, or the vendor was learnt to.
    Spread(usize),
    /// As many calls as allowed are under way; from [`Budget::try_acquire`](crate::Budget::try_acquire) also: others wait
    /// already.
    Concurrency,
    /// The last call was too short a while ago.
    Spacing,
    /// The vendor asked to wait, or refused a call without naming a wait.
    RetryAfter,
    /// The vendor's RateLimit headers left nothing (or too few tokens for this call) until its window starts anew.
    Quota,
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

/// The state of one budget. It needs no runtime: whoever has one of their own, or none, gives it the time.
///
/// ```
/// use paceline_clock::Tick;
/// use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass};
///
/// let mut core = Core::new(BudgetConfig::new(["2/s".parse()?]))?;
/// let mut now = Tick::ZERO;
/// for _ in 0..2 {
///     let slot = core.admit(now).unwrap();
///     core.sent(slot, now);
///     now = now + std::time::Duration::from_millis(30); // the response's head is here
///     core.seen(slot, now);
///     core.finish(slot, &Outcome::of(OutcomeClass::Success), now);
/// }
/// let refusal = core.admit(now).unwrap_err();
/// now = refusal.until.unwrap(); // sleep until then, in whatever way
/// assert!(core.admit(now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    told: Told,
    throttles: Throttles,
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
        Ok(Self::of_checked(config))
    }

    pub(crate) fn of_checked(config: BudgetConfig) -> Self {
        Self {
            rules: rule::rules(&config),
            flights: Flights::default(),
            breaker: Breaker::new(config.breaker),
            latency: Latency::default(),
            gate: Tick::ZERO,
            last_sent: None,
            told: Told::default(),
            throttles: Throttles::default(),
            supply: None,
            config,
        }
    }

    /// Leave to make one call, or why not and until when. All limits are checked, then all are charged.
    ///
    /// # Errors
    /// [`Refusal`]: not now.
    pub fn admit(&mut self, now: Tick) -> Result<Slot, Refusal> {
        self.admit_tokens(now, 0)
    }

    /// As [`Core::admit`], for a call that is expected to take so many tokens; limits of tokens reserve them.
    ///
    /// Check with [`Core::never_fits`] first: a call that is heavier than a whole limit is never admitted.
    ///
    /// # Errors
    /// [`Refusal`]: not now.
    pub fn admit_tokens(&mut self, now: Tick, tokens: u32) -> Result<Slot, Refusal> {
        self.advance(now);
        if let Some(refusal) = self.refusal(now, tokens) {
            if let Some(supply) = &mut self.supply {
                supply.missed(now);
            }
            return Err(refusal);
        }
        if let Err(trip) = self.breaker.admit(now) {
            return Err(Refusal { reason: Reason::Breaker(trip), until: None });
        }
        let slot = self.flights.take(tokens);
        for rule in &mut self.rules {
            rule.take(slot, tokens, now);
        }
        self.told.take(tokens);
        self.throttles.scout.take(slot, now);
        // Spacing counts from the grant until the sending is known.
        self.last_sent = Some(now);
        if let Some(supply) = &mut self.supply {
            supply.take(slot, now);
        }
        Ok(slot)
    }

    /// Whether a call of so many tokens would be admitted, without taking anything.
    pub(crate) fn would_admit(&mut self, now: Tick, tokens: u32) -> Result<(), Refusal> {
        self.advance(now);
        self.refusal(now, tokens).map_or(Ok(()), Err)
    }

    /// The limit that a call of so many tokens can never keep, if there is one.
    #[must_use]
    pub fn never_fits(&self, tokens: u32) -> Option<Limit> {
        let too_heavy = |limit: &&Limit| limit.unit() == Unit::Tokens && tokens > limit.count();
        self.config.limits.iter().find(too_heavy).copied()
    }

    /// The call leaves now.
    pub fn sent(&mut self, slot: Slot, now: Tick) {
        if let Some(tokens) = self.flights.sent(slot, now) {
            self.last_sent = self.last_sent.max(Some(now));
            self.latency.sent(now);
            for rule in &mut self.rules {
                rule.sent(slot, tokens, now);
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
        if let Some(tokens) = self.flights.release(slot, now) {
            for rule in &mut self.rules {
                rule.sent(slot, tokens, now);
            }
        }
    }

    /// The response's head is here: the vendor has counted the call by now.
    pub fn seen(&mut self, slot: Slot, now: Tick) {
        self.advance(now);
        if let Some(sent_at) = self.flights.unseen(slot) {
            if let Some(sent_at) = sent_at {
                self.latency.saw_head(now - sent_at);
                self.tell_refusal_max();
            }
            self.stamp(slot, now);
        }
    }

    /// The call took so many tokens, as its response says: what was reserved too much is free again, what was reserved
    /// too little is charged (spec G13). Say this before [`Core::finish`].
    pub fn settle(&mut self, slot: Slot, tokens: u32) {
        let number = self.flights.place(slot).map(|(number, _)| number);
        if let Some((reserved, stamped)) = self.flights.settle(slot, tokens) {
            if let Some(number) = number {
                self.told.settle(number, reserved, tokens);
            }
            for (index, rule) in self.rules.iter_mut().enumerate() {
                rule.settle(slot, stamped & (1 << index) != 0, reserved, tokens);
            }
        }
    }

    /// A call of an earlier process, counted by the vendor at `counted_at` at the latest.
    pub fn remember(&mut self, counted_at: Tick) {
        for rule in &mut self.rules {
            rule.remember(counted_at, 0);
        }
    }

    /// As [`Core::remember`], for a call of which nobody knows how many tokens it took: as many as the heaviest that is known
    /// of, here or from the [snapshot](Core::restore).
    pub fn remember_unsettled(&mut self, counted_at: Tick) {
        for rule in &mut self.rules {
            let heaviest = rule.heaviest;
            rule.remember(counted_at, heaviest);
        }
    }

    /// A connection took this long to make: what the guard learns from.
    pub fn saw_network(&mut self, took: Duration) {
        self.latency.saw_network(took);
        self.tell_refusal_max();
    }

    fn tell_refusal_max(&mut self) {
        let at_most = self.latency.refusal_max();
        self.rules.iter_mut().for_each(|rule| rule.refusals_take(at_most));
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
        self.next_slot_tokens(now, 0)
    }

    /// As [`Core::next_slot`], for a call of so many tokens.
    pub fn next_slot_tokens(&mut self, now: Tick, tokens: u32) -> Option<Tick> {
        self.advance(now);
        self.refusal(now, tokens).and_then(|refusal| refusal.until)
    }

    /// Nothing is sent before this.
    fn hold_until(&mut self, until: Tick) {
        self.gate = self.gate.max(until);
        if let Some(supply) = &mut self.supply {
            supply.hold_until(self.gate);
        }
    }

    fn advance(&mut self, now: Tick) {
        self.latency.advance(now);
        for (index, rule) in self.rules.iter_mut().enumerate() {
            rule.advance(index, now, &self.latency, &mut self.flights, self.supply.as_mut());
        }
    }

    /// Whatever stands in the way the longest.
    fn refusal(&self, now: Tick, tokens: u32) -> Option<Refusal> {
        let mut worst: Option<Refusal> = None;
        let mut hold = |reason, until: Option<Tick>| {
            // No end in sight is longer than any end.
            let rank = |until: Option<Tick>| until.unwrap_or(Tick::NEVER);
            if worst.is_none_or(|worst| rank(until) > rank(worst.until)) {
                worst = Some(Refusal { reason, until });
            }
        };
        // First of those without an end: who waits must be told of a breaker that only a person resets.
        if let Some((trip, until)) = self.breaker.refuses(now) {
            hold(Reason::Breaker(trip), until);
        }
        if now < self.gate {
            hold(Reason::RetryAfter, Some(self.gate));
        }
        if let Some(until) = self.throttles.scout.refuses(self.latency.refusal_max(), now) {
            hold(Reason::RetryAfter, Some(until));
        }
        if let Some(until) = self.told.refuses(tokens, now) {
            hold(Reason::Quota, Some(until));
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
            match rule.refuses(tokens, now, &self.latency) {
                Some(Held::Full(until)) => hold(Reason::Limit(rule.limit_index()), until),
                Some(Held::Spread(until)) => hold(Reason::Spread(rule.limit_index()), until),
                None => {}
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
        let tokens = self.flights.tokens(slot);
        let done = self.flights.mark_all_stamped(slot);
        if let Some(supply) = &mut self.supply {
            supply.stamped(slot, !done, at);
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if done & (1 << index) == 0 {
                rule.stamp_call(slot, tokens, at);
            }
        }
    }
}

#[cfg(test)]
mod tests;
