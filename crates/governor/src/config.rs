//! What a budget is made from, with every number's unit and default.

use std::time::Duration;

use crate::{BreakerConfig, Limit};

/// Limits of one budget; each is checked on every call.
const LIMITS_MAX: usize = 16;
/// A vendor that asks for a longer wait is broken, and a person must look.
const HINT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Waiters of one budget when nothing else is said.
const QUEUE_MAX: usize = 100_000;

/// How the calls are spread over a window (limiter-theory.md, "The shape").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// As `burst`, as long as the vendor agrees.
    #[default]
    Auto,
    /// As early as the limits allow. Safe wherever a vendor accepts its limit in every window.
    Burst,
    /// One call per window/count of the slowest limit. Safe on every vendor; slow for a short job.
    Paced,
    /// Each limit on its own: one burst, then one window's pause, then paced. Safe on sliding counters too.
    CounterSafe,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Burst, Self::Paced, Self::CounterSafe];

    /// The name in a rate object and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Burst => "burst",
            Self::Paced => "paced",
            Self::CounterSafe => "counter_safe",
        }
    }

    /// The shape of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.as_str() == name)
    }
}

/// How long after its sending a call may be counted by the vendor, at the latest (limiter-theory.md, "The stamp").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Guard {
    /// Strict wherever that costs under 2 % of the rate; elsewhere a bound that is learnt.
    #[default]
    Auto,
    /// Until the response's head is seen. Never wrong.
    Strict,
    /// This long, or until the response's head is seen; the operator knows the network.
    Fixed(Duration),
}

/// What a budget is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetConfig {
    /// All of them hold at once. None at all is allowed: then only the concurrency cap holds.
    pub limits: Vec<Limit>,
    /// Calls at once; `None` for no cap.
    pub concurrent_max: Option<u32>,
    /// Time from one sending to the next.
    pub spacing_min: Duration,
    /// How calls are spread.
    pub shape: Shape,
    /// How the stamp is made.
    pub guard: Guard,
    /// Whether a 429 lowers the rate (spec G8). `Retry-After` holds the budget in any case.
    pub cool_down_on_429: bool,
    /// Whether the RateLimit headers hold calls back where they leave less than the limits.
    pub heed_hints: bool,
    /// The longest wait that the vendor may ask for; a longer one is taken for this.
    pub hint_max: Duration,
    /// When the breaker trips.
    pub breaker: BreakerConfig,
    /// Waiters at the most; one more is refused.
    pub queue_max: usize,
}

impl BudgetConfig {
    /// These limits, with every other setting at its default.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        Self {
            limits: limits.into_iter().collect(),
            concurrent_max: None,
            spacing_min: Duration::ZERO,
            shape: Shape::default(),
            guard: Guard::default(),
            cool_down_on_429: true,
            heed_hints: true,
            hint_max: HINT_MAX,
            breaker: BreakerConfig::default(),
            queue_max: QUEUE_MAX,
        }
    }

    /// Checks that a budget can be made from it.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.limits.len() > LIMITS_MAX {
            return Err(ConfigError(format!(
                "{} limits; at most {LIMITS_MAX} are kept at once",
                self.limits.len()
            )));
        }
        if self.concurrent_max == Some(0) {
            return Err(ConfigError(
                "0 calls at once would never send anything; at least 1".to_owned(),
            ));
        }
        if self.queue_max == 0 {
            return Err(ConfigError(
                "a queue for 0 waiters would refuse everyone; at least 1".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A budget that cannot be made, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

#[cfg(feature = "redis")]
impl ConfigError {
    pub(crate) fn new(problem: String) -> Self {
        Self(problem)
    }
}
