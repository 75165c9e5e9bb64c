//! A limit of an amount per window: calls weigh one, or the tokens they take; and what was charged may be settled.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::AiPolicy;
use crate::Limit;

/// One limit under one policy. Times are nanoseconds that never go back.
#[derive(Debug)]
pub(super) struct Meter {
    limit: Limit,
    rule: Rule,
    used: Used,
}

#[derive(Debug)]
enum Rule {
    /// Levels are in parts of a unit: one unit is as many parts as the window has nanoseconds.
    Bucket { level: u128, at: u64 },
    /// What was charged, and when.
    Log { entries: VecDeque<(u64, u64)>, sum: u64 },
    /// The end of the window of the latest charge, and its sum.
    Fixed { end: u64, sum: u64 },
}

/// The most that was used up in any window of the limit's length, by what calls took in the end.
#[derive(Debug, Default)]
struct Used {
    recent: VecDeque<(u64, u64)>,
    sum: u64,
    most: u64,
}

impl Meter {
    pub(super) fn new(limit: Limit, policy: AiPolicy) -> Self {
        let rule = match policy {
            AiPolicy::Bucket => Rule::Bucket { level: full(limit), at: 0 },
            AiPolicy::Log => Rule::Log { entries: VecDeque::new(), sum: 0 },
            AiPolicy::Fixed => Rule::Fixed { end: 0, sum: 0 },
        };
        Self { limit, rule, used: Used::default() }
    }

    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    /// The first moment from `now` on at which `amount` fits, if nothing else arrives; none if it never does.
    pub(super) fn opens_at(&self, now: u64, amount: u64) -> Option<u64> {
        let count = self.limit.count();
        if amount > count {
            return None;
        }
        Some(match &self.rule {
            Rule::Bucket { .. } => self.reaches(now, u128::from(amount) * self.unit()),
            Rule::Log { entries, sum } => {
                let mut sum = *sum;
                let mut opens_at = now;
                for (at, weight) in entries {
                    let free_at = at.saturating_add(self.limit.window_nanos());
                    if free_at <= now || sum + amount > count {
                        opens_at = opens_at.max(free_at);
                        sum -= weight;
                    }
                }
                opens_at
            }
            Rule::Fixed { end, .. } => {
                if self.remaining(now) >= amount {
                    now
                } else {
                    *end
                }
            }
        })
    }

    pub(super) fn charge(&mut self, now: u64, amount: u64) {
        let window = self.limit.window_nanos();
        let level = self.level_at(now);
        let unit = self.unit();
        match &mut self.rule {
            Rule::Bucket { level: kept, at } => {
                *kept = level.saturating_sub(u128::from(amount) * unit);
                *at = now;
            }
            Rule::Log { entries, sum } => {
                while let Some((_, weight)) =
                    entries.pop_front_if(|(at, _)| at.saturating_add(window) <= now)
                {
                    *sum -= weight;
                }
                entries.push_back((now, amount));
                *sum += amount;
            }
            Rule::Fixed { end, sum } => {
                if now >= *end {
                    *end = now.saturating_add(window - now % window);
                    *sum = 0;
                }
                *sum += amount;
            }
        }
    }

    /// The `reserved` amount charged at `charged_at` turns out to be `taken`.
    pub(super) fn settle(&mut self, now: u64, charged_at: u64, reserved: u64, taken: u64) {
        let level = self.level_at(now);
        let (unit, full) = (self.unit(), full(self.limit));
        match &mut self.rule {
            Rule::Bucket { level: kept, at } => {
                let back = level + u128::from(reserved) * unit;
                *kept = back.saturating_sub(u128::from(taken) * unit).min(full);
                *at = now;
            }
            Rule::Log { entries, sum } => {
                let first = entries.partition_point(|(at, _)| *at < charged_at);
                let mut then = entries.iter_mut().skip(first);
                let same = then.find(|(at, weight)| *at == charged_at && *weight == reserved);
                if let Some((_, weight)) = same {
                    *sum = *sum - reserved + taken;
                    *weight = taken;
                }
            }
            Rule::Fixed { end, sum } => {
                if charged_at < *end && end.saturating_sub(self.limit.window_nanos()) <= charged_at
                {
                    *sum = sum.saturating_sub(reserved) + taken;
                }
            }
        }
        self.used.add(now, taken, self.limit.window_nanos());
    }

    /// How much would fit at `now`.
    pub(super) fn remaining(&self, now: u64) -> u64 {
        match &self.rule {
            Rule::Bucket { .. } => {
                u64::try_from(self.level_at(now) / self.unit()).unwrap_or(u64::MAX)
            }
            Rule::Log { entries, .. } => {
                let window = self.limit.window_nanos();
                let held = entries.iter().filter(|(at, _)| at.saturating_add(window) > now);
                self.limit.count().saturating_sub(held.map(|(_, weight)| weight).sum())
            }
            Rule::Fixed { end, sum } => {
                let sum = if now < *end { *sum } else { 0 };
                self.limit.count().saturating_sub(sum)
            }
        }
    }

    /// How long until nothing that was charged weighs any more.
    pub(super) fn clear_in(&self, now: u64) -> Duration {
        let at = match &self.rule {
            Rule::Bucket { .. } => self.reaches(now, full(self.limit)),
            Rule::Log { entries, .. } => {
                entries.back().map_or(now, |(at, _)| at.saturating_add(self.limit.window_nanos()))
            }
            Rule::Fixed { end, .. } => *end,
        };
        Duration::from_nanos(at.saturating_sub(now))
    }

    /// The most that was used up in any window of the limit's length.
    pub(super) fn busiest(&self) -> u64 {
        self.used.most
    }

    fn unit(&self) -> u128 {
        u128::from(self.limit.window_nanos())
    }

    fn level_at(&self, now: u64) -> u128 {
        let Rule::Bucket { level, at } = &self.rule else { return 0 };
        let gained = u128::from(now.saturating_sub(*at)) * u128::from(self.limit.count());
        (level + gained).min(full(self.limit))
    }

    fn reaches(&self, now: u64, level: u128) -> u64 {
        let missing = level.saturating_sub(self.level_at(now));
        let nanos = missing.div_ceil(u128::from(self.limit.count()));
        now.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn full(limit: Limit) -> u128 {
    u128::from(limit.count()) * u128::from(limit.window_nanos())
}

impl Used {
    fn add(&mut self, now: u64, amount: u64, window: u64) {
        while let Some((_, weight)) = self.recent.pop_front_if(|(at, _)| now - *at >= window) {
            self.sum -= weight;
        }
        self.recent.push_back((now, amount));
        self.sum += amount;
        self.most = self.most.max(self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn meter(policy: &str) -> Meter {
        Meter::new("60/min".parse().unwrap(), policy.parse().unwrap())
    }

    #[test]
    fn each_policy_opens_when_its_rule_says() {
        for (policy, opens_at_s) in [("bucket", 30), ("log", 65), ("fixed", 60)] {
            let mut meter = meter(policy);
            meter.charge(5 * S, 40);
            // The bucket has 20 and 5 more by now, of which 5 are left.
            meter.charge(10 * S, 20);
            assert_eq!(meter.opens_at(10 * S, 25), Some(opens_at_s * S), "{policy}");
            assert_eq!(meter.opens_at(10 * S, 61), None, "{policy}");
        }
    }

    #[test]
    fn what_is_settled_is_free_again() {
        for policy in ["bucket", "log", "fixed"] {
            let mut meter = meter(policy);
            meter.charge(S, 60);
            assert_eq!(meter.remaining(S), 0, "{policy}");
            meter.settle(S, S, 60, 15);
            assert_eq!((meter.remaining(S), meter.busiest()), (45, 15), "{policy}");
            assert_eq!(meter.opens_at(S, 45), Some(S), "{policy}");
            assert_eq!(meter.remaining(200 * S), 60, "{policy}");
        }
    }

    #[test]
    fn what_has_left_its_window_is_not_settled_into_another() {
        let mut log = meter("log");
        log.charge(0, 60);
        log.charge(61 * S, 10);
        log.settle(61 * S, 0, 60, 60);
        assert_eq!(log.remaining(61 * S), 50);
        let mut fixed = meter("fixed");
        fixed.charge(0, 60);
        fixed.charge(61 * S, 10);
        fixed.settle(61 * S, 0, 60, 1);
        assert_eq!(fixed.remaining(61 * S), 50);
    }
}
