//! A budget's snapshot for people and programs.

use paceline_clock::Tick;

use super::Core;
use super::rule::Rule;
use crate::status::{Learnt, LimitStatus, Status};

impl Core {
    /// A snapshot for people and programs.
    pub fn status(&mut self, now: Tick) -> Status {
        self.advance(now);
        let limits = self.rules[..self.config.limits.len()].iter();
        let refusal = self.refusal(now, 0);
        Status {
            limits: limits.map(|rule| self.limit_status(rule)).collect(),
            in_flight: self.flights.len(),
            waiting: 0,
            next_slot: refusal.and_then(|refusal| refusal.until),
            held_by: refusal.map(|refusal| refusal.reason),
            throttled: self.throttles.total(),
            explanations: self.throttles.explanations().copied().collect(),
            breaker: self.breaker.state(),
        }
    }

    fn limit_status(&self, rule: &Rule) -> LimitStatus {
        LimitStatus {
            limit: *rule.limit(),
            used: rule.window().used() as usize,
            allowed: rule.window().allowed() as usize,
            guard_ms: rule.bound(&self.latency).map(|bound| bound.as_secs_f64() * 1e3),
            learnt: rule.learner().map(|learner| learner.learnt()).unwrap_or_default(),
        }
    }
}

impl super::learn::Learner {
    pub(super) fn learnt(&self) -> Learnt {
        Learnt {
            burst_max: self.depth(),
            sliding_counter: self.counter(),
            whole_seconds: !self.extra_hold().is_zero(),
        }
    }
}
