//! An idle budget in a few words of memory, for the many keys of [`Keyed`](crate::Keyed): what is inside its windows, how
//! long answers take, how much of a burst was proved. A budget that knows more than that (it cools down, it learnt
//! something of its vendor, its breaker counts) is not frozen.

use std::time::Duration;

use paceline_clock::Tick;

use super::flights::Flights;
use super::learn::{Facts, Learner};
use super::rule::Rule;
use super::spread::Spread;
use super::throttle::Throttles;
use super::told::Told;
use super::{Core, adapt::Share};
use crate::guard::Latency;
use crate::limit::Unit;

/// Words before the rules: when nothing of it matters any more, the last sending, the latency.
const HEAD: usize = 4;

/// A frozen budget.
#[derive(Clone, Debug)]
pub(crate) struct Frozen(Box<[u64]>);

impl Frozen {
    /// Whether it is as good as a new one by now.
    pub(crate) fn is_over(&self, now: Tick) -> bool {
        self.0.first().is_none_or(|over_at| *over_at <= now.as_nanos())
    }
}

impl Core {
    /// This budget's memory, if it is idle and knows nothing that would be lost; `None` otherwise.
    pub(crate) fn freeze(&mut self, now: Tick) -> Option<Frozen> {
        self.advance(now);
        let idle = self.flights.len() == 0 && self.gate <= now;
        if !idle || !self.breaker.is_fresh(now) || !self.told.is_empty(now) || self.throttles.any()
        {
            return None;
        }
        let (mean_s, network) = self.latency.parts();
        let last_sent = self.last_sent.unwrap_or(Tick::ZERO);
        // Exactly so many, so that boxing them does not copy them.
        let words_of = |rule: &Rule| 1 + rule.window.entries().len() * words_per_entry(rule);
        let mut words = Vec::with_capacity(HEAD + self.rules.iter().map(words_of).sum::<usize>());
        words.extend([0, last_sent.as_nanos(), mean_s.to_bits(), network.as_nanos() as u64]);
        let mut over_at = last_sent + self.config.spacing_min;
        for rule in &self.rules {
            over_at = over_at.max(rule.freeze(&mut words)?);
        }
        words[0] = over_at.as_nanos();
        Some(Frozen(words.into_boxed_slice()))
    }

    /// Becomes a new budget, or the one that was frozen.
    pub(crate) fn thaw(&mut self, frozen: Option<&Frozen>) {
        let mut words = frozen.map(|frozen| frozen.0.iter().copied()).into_iter().flatten();
        let mut head = [0; HEAD];
        for (word, read) in head.iter_mut().zip(words.by_ref()) {
            *word = read;
        }
        self.flights = Flights::default();
        self.breaker.reset();
        self.gate = Tick::ZERO;
        self.told = Told::default();
        self.throttles = Throttles::default();
        self.latency = Latency::default();
        self.last_sent = None;
        if frozen.is_some() {
            let [_, last_sent, mean_s, network] = head;
            self.last_sent = Some(Tick::from_nanos(last_sent)).filter(|at| *at > Tick::ZERO);
            let network = Duration::from_nanos(network);
            self.latency = Latency::of_parts(f64::from_bits(mean_s), network);
        }
        for rule in &mut self.rules {
            rule.thaw(&mut words);
        }
    }
}

impl Rule {
    /// Adds this rule's words: how many entries, how much of a burst is proved, and the entries. Answers when the last
    /// one leaves; `None` if the rule knows more than that.
    fn freeze(&self, words: &mut Vec<u64>) -> Option<Tick> {
        let plain = self.share.is_whole()
            && self.window.unstamped() == 0
            && self.window.full() == u64::from(self.limit.count())
            && self.guard.is_fresh()
            && self.spread.is_none();
        let facts = self.learner.as_ref().map(|learner| learner.plain_facts());
        if !plain || facts == Some(None) {
            return None;
        }
        let proven = facts.flatten().unwrap_or_default();
        let entries = self.window.entries();
        words.push((entries.len() as u64) << 32 | u64::from(proven));
        let mut over_at = Tick::ZERO;
        for (at, weight) in entries {
            over_at = at + self.window.hold();
            words.push(at.as_nanos());
            if self.limit.unit() == Unit::Tokens {
                words.push(u64::from(weight));
            }
        }
        Some(over_at)
    }

    /// Becomes a new rule, or the one whose words these are.
    fn thaw(&mut self, words: &mut impl Iterator<Item = u64>) {
        self.window.clear();
        self.unanswered.clear();
        self.share = Share::default();
        self.guard.refresh();
        (self.answers, self.heaviest) = (0, 0);
        if self.learner.is_some() {
            self.spread = None;
        } else if let Some(spread) = &mut self.spread {
            *spread = Spread::new(self.window.full(), self.window.hold(), self.window.full());
        }
        let head = words.next().unwrap_or_default();
        let (entries, proven) = (head >> 32, head as u32);
        if let Some(learner) = &mut self.learner {
            **learner = Learner::new(self.limit.count(), self.limit.window());
            if proven > 0 {
                learner.relearn(Facts::plain(proven));
            }
        }
        for _ in 0..entries {
            let at = Tick::from_nanos(words.next().unwrap_or_default());
            let weight = match self.limit.unit() {
                Unit::Calls => 1,
                Unit::Tokens => words.next().unwrap_or_default() as u32,
            };
            self.remember_weight(at, weight);
        }
    }
}

fn words_per_entry(rule: &Rule) -> usize {
    match rule.limit.unit() {
        Unit::Calls => 1,
        Unit::Tokens => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BudgetConfig, Outcome, OutcomeClass};

    fn ms(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn core() -> Core {
        let limits = ["2/s", "3/min", "1000 tokens/min"].map(|text| text.parse().unwrap());
        Core::new(BudgetConfig::new(limits)).unwrap()
    }

    fn call(core: &mut Core, at: Tick) {
        let slot = core.admit_tokens(at, 300).unwrap();
        core.sent(slot, at);
        core.seen(slot, at + Duration::from_millis(5));
        core.finish(slot, &Outcome::of(OutcomeClass::Success), at + Duration::from_millis(5));
    }

    #[test]
    fn what_is_thawed_decides_as_what_was_frozen() {
        let mut core = core();
        core.thaw(None);
        call(&mut core, ms(100_000));
        call(&mut core, ms(101_200));
        let frozen = core.freeze(ms(102_000)).unwrap();
        let mut other = self::core();
        other.thaw(Some(&frozen));
        assert_eq!(
            other.next_slot_tokens(ms(102_000), 500),
            core.next_slot_tokens(ms(102_000), 500)
        );
        assert!(!frozen.is_over(ms(161_000)));
        assert!(frozen.is_over(ms(162_000)));
        assert!(frozen.0.len() * 8 < 120, "{} bytes", frozen.0.len() * 8);
    }

    #[test]
    fn a_budget_that_knows_more_is_not_frozen() {
        let mut core = core();
        let slot = core.admit(ms(1)).unwrap();
        assert!(core.freeze(ms(1)).is_none(), "a call is under way");
        core.sent(slot, ms(1));
        core.finish(slot, &Outcome::of(OutcomeClass::Throttled), ms(2));
        assert!(core.freeze(ms(500_000)).is_none(), "it was refused once");
        core.thaw(None);
        assert!(core.freeze(ms(500_000)).is_some());
    }
}
