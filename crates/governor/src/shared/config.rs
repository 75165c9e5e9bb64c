//! What a shared budget is made from beyond its limits, with every number's unit and default.

use std::fmt;
use std::time::Duration;

use crate::window::hold;
use crate::{BudgetConfig, ConfigError, Limit, Shape, Unit};

/// Calls in one window of a shared limit: the server keeps each of them, at about 100 bytes.
pub const SHARED_COUNT_MAX: u32 = 100_000;
/// The most permits that one question may bring.
pub(super) const BLOCK_MAX: usize = 1_000;
/// Times from a tenth of a second to a minute make sense for a lease and its like.
const LEASE_RANGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// What both clocks may differ by, as a divisor: the server's may run 500 ppm slow and ours 500 ppm fast.
const DRIFT_DIVISOR: u32 = 1_000;

/// Where a budget is shared, and how. Every member of one budget must have the same limits, lease, grace, learning and
/// fallback time; a server that knows others for that name refuses, and says which.
#[derive(Clone, PartialEq)]
pub struct SharedConfig {
    /// The server: `redis://[user:password@]host[:port][/db]`. Shown nowhere, for it may hold a password.
    pub url: String,
    /// The budget's name on the server, 1 to 100 characters from `a-z A-Z 0-9 . _ -`. All keys carry it as their hash
    /// tag.
    pub name: String,
    /// The part of every limit, 0 to 1, that this process may use while it cannot reach the server. **The sum over all
    /// processes must be at most 1**: nobody can check that. Where it makes less than one whole call of some limit, the
    /// process sends nothing while the server is away.
    pub fallback_share: f64,
    /// How long the share may be used, from the last contact; then nothing is sent. For as long (and one window more)
    /// the others keep the share of a process that vanished free. Default 10 minutes. It only begins one longest window
    /// after the contact, so a fallback shorter than that never sends.
    pub fallback_max: Duration,
    /// The name of this process, the same after a restart: the new one then takes the place of the one that was killed,
    /// whose share is free at once. Two processes with one name at once break the guarantee. Default: a new name every
    /// time.
    pub member: Option<String>,
    /// How long a permit may stay unused, 0.1 s to 60 s; what is left of a killed process counts until then. Default 1 s.
    pub lease: Duration,
    /// How long after a process was killed a call of it may still reach the vendor, at most 60 s. Default 1 s.
    pub grace: Duration,
    /// After the server lost data, nothing is granted for this long: every process must have uploaded its calls by then.
    /// Default 3 s.
    pub learning: Duration,
    /// How long one question to the server may take, 10 ms to 10 s. Default 250 ms.
    pub deadline: Duration,
}

impl SharedConfig {
    /// A budget of this name on that server, with every other setting at its default.
    pub fn new(url: impl Into<String>, name: impl Into<String>, fallback_share: f64) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            fallback_share,
            fallback_max: Duration::from_secs(600),
            member: None,
            lease: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            learning: Duration::from_secs(3),
            deadline: Duration::from_millis(250),
        }
    }

    /// Checks that `budget` can be shared like this.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self, budget: &BudgetConfig) -> Result<(), ConfigError> {
        budget.check()?;
        let problem = self.problem().or_else(|| unshareable(budget));
        problem.map_or(Ok(()), |problem| Err(ConfigError::new(problem)))
    }

    fn problem(&self) -> Option<String> {
        let name_ok = |name: &str| {
            (1..=100).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if !name_ok(&self.name) || self.member.as_deref().is_some_and(|member| !name_ok(member)) {
            return Some(
                "the name of a shared budget (and of a member) must be 1 to 100 characters from a-z A-Z 0-9 . _ -"
                    .to_owned(),
            );
        }
        if !(0.0..=1.0).contains(&self.fallback_share) {
            return Some(format!(
                "a fallback share of {} cannot be; from 0 (send nothing while the server is away) to 1, and at most 1 \
                 over all processes",
                self.fallback_share
            ));
        }
        let (low, high) = LEASE_RANGE;
        if self.lease < low || self.lease > high || self.grace > high {
            return Some(format!(
                "a lease must be from {low:?} to {high:?}, a grace at most {high:?}"
            ));
        }
        if self.deadline < Duration::from_millis(10) || self.deadline > Duration::from_secs(10) {
            return Some("the deadline of a question must be from 10 ms to 10 s".to_owned());
        }
        if self.learning < self.rejoin() || self.learning > Duration::from_secs(600) {
            return Some(format!(
                "a learning time of {:?} cannot be: with this lease and deadline a process may need {:?} to come back, \
                 and 600 s is the most",
                self.learning,
                self.rejoin()
            ));
        }
        if self.fallback_max > Duration::from_secs(31 * 24 * 3600) {
            return Some("a fallback may last 31 days at the most".to_owned());
        }
        None
    }

    /// The time from one question to the next when nothing else asks for one.
    pub(super) fn beat(&self) -> Duration {
        self.lease / 2
    }

    /// The longest pause between two tries to reach a server that is away.
    pub(super) fn backoff_max(&self) -> Duration {
        self.beat()
    }

    /// How long a live process may take to notice that the server is another one, and to tell it everything.
    fn rejoin(&self) -> Duration {
        self.beat() + self.backoff_max() + 4 * self.deadline
    }

    /// Silent for longer than this, a member counts as gone: its fallback share is kept free for it.
    pub(super) fn absent_after(&self) -> Duration {
        3 * self.lease + 2 * self.deadline
    }

    /// The share in millionths, 0 where it would make less than one call of some limit: fractions of a call cannot be
    /// spread over time safely, for each process could send its one call at the same moment.
    pub(super) fn share_ppm(&self, limits: &[Limit]) -> u64 {
        let ppm = (self.fallback_share * 1e6) as u64;
        let usable = self.fallback_after(limits) < self.fallback_until();
        if usable && limits.iter().all(|limit| share_of(limit, ppm) > 0) { ppm } else { 0 }
    }

    /// After the last contact: others may fill every window until they know that we are gone, and with leases that
    /// outlast that; a window later nothing of it weighs any more.
    pub(super) fn fallback_after(&self, limits: &[Limit]) -> Duration {
        let longest = limits.iter().map(hold).max().unwrap_or_default();
        let known = self.absent_after() + self.lease + self.grace + longest;
        known + known / DRIFT_DIVISOR
    }

    /// After the last contact: the share is ours no more.
    pub(super) fn fallback_until(&self) -> Duration {
        self.fallback_max - self.fallback_max / DRIFT_DIVISOR
    }

    /// How long a leased permit may be used, by our clock.
    pub(super) fn use_within(&self) -> Duration {
        self.lease - self.lease / DRIFT_DIVISOR
    }

    /// How long news may wait for company before it is told.
    pub(super) fn report_after(&self, limits: &[Limit]) -> Duration {
        let shortest = limits.iter().map(Limit::window).min().unwrap_or_default();
        (shortest / 10).clamp(Duration::from_millis(1), Duration::from_millis(20))
    }

    /// The longest pause between two questions of a process in which callers wait.
    pub(super) fn poll_max(&self) -> Duration {
        (self.lease / 4).min(Duration::from_millis(250))
    }

    /// So long after its last question a process that waited is not waited for.
    pub(super) fn waiter_expiry(&self) -> Duration {
        self.poll_max() * 2 + self.deadline / 2
    }

    /// When to ask again where the room that is there is another's turn.
    pub(super) fn hand_over(&self) -> Duration {
        Duration::from_millis(5)
    }

    /// What all members must agree on.
    pub(super) fn settings(&self, limits: &[Limit]) -> String {
        let mut text: Vec<String> = limits.iter().map(Limit::to_string).collect();
        for (what, time) in [
            ("lease", self.lease),
            ("grace", self.grace),
            ("learning", self.learning),
            ("fallback", self.fallback_max),
        ] {
            text.push(format!("{what} {time:?}"));
        }
        text.join(", ")
    }
}

/// The whole calls of a limit that a share makes. The script counts the same way.
pub(super) fn share_of(limit: &Limit, ppm: u64) -> usize {
    (u64::from(limit.count()) * ppm / 1_000_000) as usize
}

fn unshareable(budget: &BudgetConfig) -> Option<String> {
    if budget.limits.is_empty() {
        return Some("a budget without limits has nothing to share; give it one".to_owned());
    }
    if let Some(limit) = budget.limits.iter().find(|limit| limit.count() > SHARED_COUNT_MAX) {
        return Some(format!(
            "{limit} cannot be shared: the server keeps every call, so at most {SHARED_COUNT_MAX} per window"
        ));
    }
    if let Some(limit) = budget.limits.iter().find(|limit| limit.unit() == Unit::Tokens) {
        return Some(format!(
            "{limit} cannot be shared: the server counts calls and not tokens; keep that limit in each process, divided"
        ));
    }
    if matches!(budget.shape, Shape::Paced | Shape::CounterSafe) {
        return Some(format!(
            "the shape {} is kept by each process for itself; share a budget with the shape auto or burst",
            budget.shape.as_str()
        ));
    }
    None
}

impl fmt::Debug for SharedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedConfig")
            .field("name", &self.name)
            .field("fallback_share", &self.fallback_share)
            .field("fallback_max", &self.fallback_max)
            .field("member", &self.member)
            .field("lease", &self.lease)
            .field("grace", &self.grace)
            .field("learning", &self.learning)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
