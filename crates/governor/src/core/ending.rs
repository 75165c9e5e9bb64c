//! How a call ends, and who learns from it.

use paceline_clock::Tick;

use super::flights::Ended;
use super::{Core, FAILURE_GRACE, Slot};
use crate::{Outcome, OutcomeClass};

impl Core {
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
        let Some(ended) = self.flights.end(slot) else {
            return false;
        };
        if let Some(wait) = outcome.retry_after
            && outcome.class != OutcomeClass::Success
        {
            self.hold_until(now + wait.min(self.config.hint_max));
        }
        match outcome.class {
            OutcomeClass::Success => self.good(slot, ended, now),
            OutcomeClass::Throttled => self.throttle(slot, ended, outcome.retry_after, now),
            _ => self.dropped(slot),
        }
        self.breaker.record(now, outcome)
    }

    /// The call is over, and what its outcome teaches is another budget's: this one only frees its place.
    fn finish_silently(&mut self, slot: Slot, now: Tick) {
        self.failed(slot, now);
        if self.flights.end(slot).is_some() {
            self.dropped(slot);
        }
        self.breaker.probe_lost(now);
    }

    /// As [`Core::finish`] for a call that passed two gates, where the other one keeps the vendor's limits: a refusal for
    /// its rate teaches this one nothing, everything else does.
    pub(crate) fn finish_own(&mut self, slot: Slot, outcome: &Outcome, now: Tick) {
        if outcome.class == OutcomeClass::Throttled {
            self.finish_silently(slot, now);
        } else {
            self.finish(slot, outcome, now);
        }
    }

    /// As [`Core::finish`] for a call that passed two gates, where the other one is one of several that share this one: a
    /// row or a column that fails must not stop the others, a credential that is refused must.
    pub(crate) fn finish_shared(&mut self, slot: Slot, outcome: &Outcome, now: Tick) {
        let everybodys = matches!(outcome.class, OutcomeClass::Success | OutcomeClass::Throttled);
        if everybodys || outcome.credential_refused {
            self.finish(slot, outcome, now);
        } else {
            self.finish_silently(slot, now);
        }
    }

    /// The call's owner is gone: it may have been sent, and how it ended nobody knows. It teaches the breaker nothing.
    pub fn abandon(&mut self, slot: Slot, now: Tick) {
        self.finish_silently(slot, now);
    }

    /// Nothing left this machine: the call gives its place back as if it had never been. With an outcome (no
    /// connection came about, say) the breaker still learns of it. Answers whether this made it trip.
    pub fn give_back(&mut self, slot: Slot, outcome: Option<&Outcome>, now: Tick) -> bool {
        self.advance(now);
        let tokens = self.flights.tokens(slot);
        let stamped = self.flights.mark_all_stamped(slot);
        if self.flights.end(slot).is_none() {
            return false;
        }
        if let Some(supply) = &mut self.supply {
            supply.returned(slot, !stamped);
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if stamped & (1 << index) == 0 {
                rule.give_back(slot, tokens);
            }
        }
        self.dropped(slot);
        match outcome {
            Some(outcome) => self.breaker.record(now, outcome),
            None => {
                self.breaker.probe_lost(now);
                false
            }
        }
    }

    /// How the call ended says nothing about the vendor's limits.
    fn dropped(&mut self, slot: Slot) {
        self.throttles.scout.dropped(slot);
        self.rules.iter_mut().for_each(|rule| rule.dropped(slot));
    }

    fn good(&mut self, slot: Slot, ended: Ended, now: Tick) {
        let is_later = self.throttles.good(ended);
        for rule in &mut self.rules {
            rule.good(slot, is_later, now, &self.latency);
        }
    }
}
