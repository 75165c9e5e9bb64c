//! A budget's memory as a value (spec G11): what is inside its windows and what was learnt of the vendor. Times are kept as
//! ages, so that a snapshot means the same to a process with another clock.

use std::time::Duration;

use paceline_clock::Tick;
use serde::{Deserialize, Serialize};

use super::learn::Facts;
use super::rule::Rule;
use super::{Core, FAILURE_GRACE};
use crate::Limit;
use crate::limit::Unit;

/// The memory of a budget at one moment; [`Core::restore`] puts it into another one.
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::Tick;
/// use paceline_governor::{BudgetConfig, Core, Snapshot};
///
/// let config = BudgetConfig::new(["1/h".parse().unwrap()]);
/// let mut before = Core::new(config.clone()).unwrap();
/// let slot = before.admit(Tick::from_millis(0)).unwrap();
/// before.seen(slot, Tick::from_millis(5));
/// let saved = serde_json::to_string(&before.snapshot(Tick::from_millis(10))).unwrap();
///
/// // Another process, 40 minutes later: it gets no fresh hour.
/// let snapshot: Snapshot = serde_json::from_str(&saved).unwrap();
/// let mut after = Core::new(config).unwrap();
/// after.restore(&snapshot, Duration::from_secs(2400), Tick::from_millis(1));
/// assert!(after.admit(Tick::from_millis(1)).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    limits: Vec<Window>,
    /// Until nothing may be sent, from the snapshot on.
    gate_us: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Window {
    /// As it is written.
    limit: String,
    /// (age, weight) of what was counted, oldest first.
    counted_us: Vec<(u64, u32)>,
    /// What was under way, or had just failed, weighs: it may have been counted at any time since, and what the network
    /// still carries will be.
    under_way: u32,
    /// Of a limit of tokens: the most that any call was thought to take.
    #[serde(skip_serializing_if = "is_zero")]
    heaviest: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    learnt: Option<Facts>,
}

/// Entries that a limit of tokens keeps in a snapshot without calls, at the most.
const ENTRIES_MAX: usize = 256;

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Snapshot {
    /// Whether there is nothing in it that a new budget would not have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing = |window: &Window| {
            window.counted_us.is_empty()
                && window.under_way == 0
                && window.heaviest == 0
                && window.learnt.is_none()
        };
        self.gate_us == 0 && self.limits.iter().all(nothing)
    }

    /// The same without the calls: what was learnt of the vendor, and until when it asked to wait.
    ///
    /// For whoever keeps a record of calls that is exacter than any snapshot (one before each call, say) and has the next
    /// process [remember](Core::remember) them: a call in both would count twice, and no stamp tells that it is the same.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use paceline_clock::Tick;
    /// # use paceline_governor::{BudgetConfig, Core};
    /// let config = BudgetConfig::new(["1/h".parse().unwrap()]);
    /// let mut before = Core::new(config.clone()).unwrap();
    /// let slot = before.admit(Tick::from_millis(0)).unwrap();
    /// before.seen(slot, Tick::from_millis(5));
    ///
    /// let mut after = Core::new(config).unwrap();
    /// let learnt = before.snapshot(Tick::from_millis(10)).learnt_only();
    /// after.restore(&learnt, Duration::ZERO, Tick::from_millis(10));
    /// assert!(after.admit(Tick::from_millis(10)).is_ok());
    /// ```
    ///
    /// What limits of tokens count stays, in 256 parts at the most: a record of calls does not say what they took.
    #[must_use]
    pub fn learnt_only(&self) -> Self {
        let learnt = |window: &Window| {
            let counts_tokens =
                window.limit.parse().is_ok_and(|limit: Limit| limit.unit() == Unit::Tokens);
            match counts_tokens {
                true => Window { counted_us: together(&window.counted_us), ..window.clone() },
                false => Window {
                    limit: window.limit.clone(),
                    learnt: window.learnt,
                    ..Window::default()
                },
            }
        };
        Self { limits: self.limits.iter().map(learnt).collect(), gate_us: self.gate_us }
    }
}

impl Core {
    /// What this budget remembers.
    pub fn snapshot(&mut self, now: Tick) -> Snapshot {
        self.advance(now);
        let limits = self.rules[..self.config.limits.len()].iter();
        Snapshot {
            limits: limits.map(|rule| window_of(rule, now)).collect(),
            gate_us: micros(self.gate.since(now)),
        }
    }

    /// Takes over what another budget remembered `elapsed` ago; if that is not known, zero is the careful answer.
    ///
    /// Limits are matched as they are written; a new one takes over the log of the shortest window that is not
    /// shorter than its own, or of the longest there is.
    pub fn restore(&mut self, snapshot: &Snapshot, elapsed: Duration, now: Tick) {
        for rule in &mut self.rules {
            if let Some((window, same)) = snapshot.log_for(rule.limit()) {
                let elapsed_us = micros(elapsed);
                for (age_us, weight) in &window.counted_us {
                    let age = Duration::from_micros(age_us.saturating_add(elapsed_us));
                    rule.remember_weight(now.before(age), *weight);
                }
                if window.under_way > 0 {
                    rule.remember_weight(now + FAILURE_GRACE, window.under_way);
                }
                rule.heaviest = rule.heaviest.max(window.heaviest);
                if let Some(facts) = window.learnt.filter(|_| same) {
                    rule.relearn(facts);
                }
            }
        }
        let gate = Duration::from_micros(snapshot.gate_us).min(self.config.hint_max);
        self.hold_until(now + gate.saturating_sub(elapsed));
        self.advance(now);
    }
}

impl Snapshot {
    /// The log that a limit takes over, and whether it is its own.
    fn log_for(&self, limit: &Limit) -> Option<(&Window, bool)> {
        let written = limit.to_string();
        if let Some(window) = self.limits.iter().find(|window| window.limit == written) {
            return Some((window, true));
        }
        let logs = self.limits.iter().filter_map(|window| {
            let of: Limit = window.limit.parse().ok()?;
            (of.unit() == limit.unit()).then_some((of.window(), window))
        });
        logs.min_by_key(|(length, _)| {
            let too_short = *length < limit.window();
            (too_short, if too_short { Duration::MAX - *length } else { *length })
        })
        .map(|(_, window)| (window, false))
    }
}

/// The same in few parts, each as young as the youngest in it, so that none leaves its window too early.
fn together(counted_us: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let parts = counted_us.chunks(counted_us.len().div_ceil(ENTRIES_MAX).max(1));
    let together = parts.filter_map(|part| {
        let weight = part.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>();
        let youngest = part.iter().map(|(age, _)| *age).min()?;
        Some((youngest, u32::try_from(weight).unwrap_or(u32::MAX)))
    });
    together.collect()
}

fn window_of(rule: &Rule, now: Tick) -> Window {
    let window = rule.window();
    // A failed call's grace may not be over: it has no age yet.
    let (counted, later): (Vec<_>, Vec<_>) = window.entries().partition(|(at, _)| *at <= now);
    let uncounted: u64 = later.iter().map(|(_, weight)| u64::from(*weight)).sum();
    Window {
        limit: rule.limit().to_string(),
        counted_us: counted.iter().map(|(at, weight)| (micros(now.since(*at)), *weight)).collect(),
        under_way: u32::try_from(window.unstamped() + uncounted).unwrap_or(u32::MAX),
        heaviest: if rule.limit().unit() == Unit::Tokens { rule.heaviest } else { 0 },
        learnt: rule.learner().and_then(|learner| learner.facts()),
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BudgetConfig, Outcome, OutcomeClass};

    const NOW: Tick = Tick::from_millis(60_000);

    fn core(limits: &[&str]) -> Core {
        let limits = limits.iter().map(|text| text.parse().unwrap());
        Core::new(BudgetConfig::new(limits)).unwrap()
    }

    /// Has the third call at once refused, with a wait of 3 s: the vendor seems to be a bucket of two.
    fn refused(core: &mut Core) {
        for number in 0..3 {
            let slot = core.admit(NOW).unwrap();
            core.sent(slot, NOW);
            core.seen(slot, NOW);
            let mut outcome = Outcome::of(OutcomeClass::Success);
            if number == 2 {
                outcome = Outcome::of(OutcomeClass::Throttled);
                outcome.retry_after = Some(Duration::from_secs(3));
            }
            core.finish(slot, &outcome, NOW);
        }
    }

    #[test]
    fn what_was_learnt_comes_back_for_the_limit_it_was_learnt_of_and_counts_no_call() {
        let mut before = core(&["20/min", "300/h"]);
        refused(&mut before);
        let learnt = before.status(NOW).limits[0].learnt;
        assert_eq!(learnt.burst_max, Some(2), "{:?}", before.status(NOW));
        let snapshot = before.snapshot(NOW).learnt_only();
        assert!(!snapshot.is_empty());

        let mut same = core(&["20/min", "10/s"]);
        same.restore(&snapshot, Duration::ZERO, NOW);
        let status = same.status(NOW);
        assert_eq!(status.limits[0].learnt, learnt);
        assert_eq!(status.limits[1].learnt.burst_max, None, "another limit");
        assert_eq!(status.limits.iter().map(|limit| limit.used).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn what_the_vendor_asked_for_is_not_shortened_by_a_restart() {
        let mut before = core(&["20/min"]);
        refused(&mut before);
        let snapshot = before.snapshot(NOW).learnt_only();
        let mut after = core(&["10/s"]);
        after.restore(&snapshot, Duration::from_secs(1), NOW);
        let until = after.admit(NOW).unwrap_err().until;
        assert_eq!(until, Some(NOW + Duration::from_secs(2)));
    }
}
