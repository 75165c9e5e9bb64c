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
    /// As `burst` where the vendor agrees, which is proved in steps: a few calls at once, then more as they are accepted.
    /// After a 429 that tells of another kind of vendor, the fastest plan that is safe under it (see the
    /// [guide](crate::guide#which-shape-when)).
    #[default]
    Auto,
    /// As early as the limits allow. Safe wherever a vendor accepts its limit in every window.
    Burst,
    /// One call per window/count of the slowest limit. Safe on sliding counters and on small token buckets too; slow for a
    /// short job. Under guard `auto` the pace runs from sending to sending, under the others from stamp to sending.
    Paced,
    /// Each limit on its own: one burst, then one window's pause, then an even pace. Safe on sliding counters too, not on
    /// small token buckets.
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
    /// Strict wherever that costs under 2 % of the rate; elsewhere a bound from 2 % to 25 % of the window, learnt from the
    /// times that connections took and raised by 429s that a late arrival explains. Until the first answer a window of a
    /// minute or more is kept strictly, and the bound of a shorter one is the window itself.
    #[default]
    Auto,
    /// Until the response's head is seen. Never wrong.
    Strict,
    /// This long, or until the response's head is seen if that is sooner; the operator knows the network.
    Fixed(Duration),
}

/// What a budget is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetConfig {
    /// All of them hold at once, 16 at most. None at all is allowed: then only the cap, the spacing and the vendor's word
    /// hold.
    pub limits: Vec<Limit>,
    /// Calls at once, at least 1; `None`, the default, for no cap.
    pub concurrent_max: Option<u32>,
    /// Time from one sending to the next. Default none.
    pub spacing_min: Duration,
    /// How calls are spread. Default [`Shape::Auto`].
    pub shape: Shape,
    /// How the stamp is made. Default [`Guard::Auto`].
    pub guard: Guard,
    /// Whether a 429 halves the slots of the window that refused, which come back with good answers, and pauses the
    /// budget where the vendor names no wait (spec G8). Default true. `Retry-After` holds the budget in any case.
    pub cool_down_on_429: bool,
    /// Whether the RateLimit headers hold calls back where they leave less than the limits, and lower a limit that the
    /// vendor names smaller. Default true. They never make anything faster.
    pub heed_hints: bool,
    /// The longest wait that the vendor may ask for; a longer one is taken for this. Default 24 h.
    pub hint_max: Duration,
    /// When the breaker trips. Default: [`BreakerConfig::default`].
    pub breaker: BreakerConfig,
    /// Waiters at the most, at least 1; one more is refused. Default 100,000.
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
