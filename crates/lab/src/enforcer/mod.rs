//! The enforcer zoo: how a vendor decides, as pure functions of the arrival time.
//!
//! Every window is half-open: a call counted at `a` weighs on `[a, a + window)`. Several limits are one decision: all
//! must accept, otherwise nothing is charged (except where the vendor counts refused calls too).

mod bucket;
mod counter;
mod log;
mod policy;
mod windows;

use std::fmt;
use std::time::Duration;

use paceline_clock::Tick;

pub use policy::Policy;

use crate::{ConfigError, Limit};

/// The most limits one vendor may have.
pub const LIMITS_MAX: usize = 16;

/// What the limits say to one arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every limit accepts, and each has been charged.
    Accepted,
    /// At least one limit refuses.
    Refused(Refusal),
}

/// A refusal by a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit refuses, by its place in the configuration; of several, the one that refuses longest.
    pub limit: usize,
    /// The first moment at which every limit accepts again, if nothing else arrives until then.
    pub until: Tick,
}

/// What one limit has left, for the headers that tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many calls the limit would accept right now.
    pub remaining: u64,
    /// When the limit has forgotten every call, if nothing else arrives until then.
    pub clear_at: Tick,
}

/// One limit under one policy. Times are nanoseconds that never go back.
trait Rule: fmt::Debug + Send + Sync {
    /// The first moment from `now` on at which this accepts a call, if nothing else arrives.
    fn opens_at(&self, now: u64) -> u64;
    /// Counts a call.
    fn charge(&mut self, now: u64);
    /// How many calls this would accept at `now`.
    fn remaining(&self, now: u64) -> u64;
    /// When nothing counted weighs any more.
    fn clear_at(&self, now: u64) -> u64;
}

/// A vendor's limits under one policy.
///
/// ```
/// use paceline_clock::Tick;
/// use paceline_lab::{Enforcer, Policy, Refusal, Verdict};
///
/// let mut enforcer = Enforcer::new(&["2/s".parse()?], &Policy::LOG)?;
/// assert_eq!(enforcer.decide(Tick::from_millis(0)), Verdict::Accepted);
/// assert_eq!(enforcer.decide(Tick::from_millis(400)), Verdict::Accepted);
/// let until = Tick::from_millis(1000);
/// assert_eq!(enforcer.decide(Tick::from_millis(999)), Verdict::Refused(Refusal { limit: 0, until }));
/// assert_eq!(enforcer.decide(until), Verdict::Accepted);
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Enforcer {
    rules: Vec<Box<dyn Rule>>,
    limits: Vec<Limit>,
    policy: Policy,
    latest: u64,
}

impl Enforcer {
    /// An enforcer that has seen nothing yet. Without limits it accepts everything.
    ///
    /// # Errors
    /// If there are more than [`LIMITS_MAX`] limits, or a bucket size is given per limit and their number differs.
    pub fn new(limits: &[Limit], policy: &Policy) -> Result<Self, ConfigError> {
        if limits.len() > LIMITS_MAX {
            return Err(ConfigError::Together(format!(
                "{} limits are too many; a vendor has at most {LIMITS_MAX}",
                limits.len()
            )));
        }
        let rules = policy.rules(limits)?;
        Ok(Self { rules, limits: limits.to_vec(), policy: policy.clone(), latest: 0 })
    }

    /// Decides about a call that arrives at `at`, and charges it. A moment before the latest one seen counts as that.
    pub fn decide(&mut self, at: Tick) -> Verdict {
        if self.is_open(at) {
            self.accept(at);
            return Verdict::Accepted;
        }
        Verdict::Refused(self.refuse(at))
    }

    /// Whether a call at `at` would be accepted.
    pub(crate) fn is_open(&self, at: Tick) -> bool {
        let now = at.as_nanos().max(self.latest);
        self.rules.iter().all(|rule| rule.opens_at(now) <= now)
    }

    /// Charges a call that is accepted.
    pub(crate) fn accept(&mut self, at: Tick) {
        let now = self.advance(at);
        self.charge(now);
    }

    /// Charges a call that is refused, here or by somebody else, if this policy counts such calls; tells when every
    /// limit accepts again.
    pub(crate) fn refuse(&mut self, at: Tick) -> Refusal {
        let now = self.advance(at);
        if self.policy.counts_refused() {
            self.charge(now);
        }
        let mut refusal = Refusal { limit: 0, until: Tick::from_nanos(now) };
        for (limit, rule) in self.rules.iter().enumerate() {
            let until = Tick::from_nanos(rule.opens_at(now));
            if until > refusal.until {
                refusal = Refusal { limit, until };
            }
        }
        refusal
    }

    /// What each limit has left at `at`, in the order of the limits.
    pub fn standing(&self, at: Tick) -> impl Iterator<Item = Standing> {
        let now = at.as_nanos().max(self.latest);
        self.rules.iter().map(move |rule| Standing {
            remaining: rule.remaining(now),
            clear_at: Tick::from_nanos(rule.clear_at(now)),
        })
    }

    /// The limits, in the order in which refusals number them.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Forgets every call.
    pub fn reset(&mut self) {
        // The same settings built rules before, so they do again.
        if let Ok(rules) = self.policy.rules(&self.limits) {
            self.rules = rules;
        }
    }

    fn advance(&mut self, at: Tick) -> u64 {
        self.latest = self.latest.max(at.as_nanos());
        self.latest
    }

    fn charge(&mut self, now: u64) {
        for rule in &mut self.rules {
            rule.charge(now);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
