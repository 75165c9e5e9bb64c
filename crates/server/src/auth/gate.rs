//! How fast a key may call, and how often a stranger may try: our own governor, turned to the outside. Nobody waits here; a
//! call over the limit is refused with when to come again.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response};
use paceline_clock::Clock;
use paceline_governor::{BudgetConfig, Guard, Keyed, Limit, Outcome, OutcomeClass, Shape};
use paceline_model::limits;

use super::KeyId;
use super::caller::stranger;
use crate::error::{ApiError, Code};

/// As in draft-ietf-httpapi-ratelimit-headers-10.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits of calls to this server.
pub(crate) struct Gate {
    keys: Option<(Limit, Keyed<KeyId>)>,
    strangers: Option<Keyed<IpAddr>>,
    clock: Clock,
}

/// How a key stands with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    limit: Limit,
    /// Calls that may still come in this window.
    left: usize,
    /// When there are more: with none left the time to the next call, else the whole window.
    reset: Duration,
}

impl Gate {
    /// `key_limit` holds for each key; without one there is no limit. `tries_max` is how often an address may come without
    /// a good key.
    pub(crate) fn new(key_limit: Option<Limit>, tries_max: u32, clock: Clock) -> Self {
        let keys = key_limit
            .and_then(|limit| Some((limit, keyed(limit, limits::LIMITED_KEYS_MAX, &clock)?)));
        let tries = Limit::new(tries_max, limits::STRANGER_WINDOW).ok();
        let strangers = tries.and_then(|tries| keyed(tries, limits::STRANGERS_MAX, &clock));
        Self { keys, strangers, clock }
    }

    /// Counts a call of a key. An error says when to come again.
    pub(crate) fn pass(&self, key: KeyId) -> Result<Option<Quota>, (Quota, Duration)> {
        let Some((limit, budgets)) = &self.keys else { return Ok(None) };
        // Full of keys that are all in use: more than a server has, and no reason to refuse one of them.
        let Ok(budget) = budgets.budget(&key) else { return Ok(None) };
        let taken = budget.try_acquire();
        let wait = taken.as_ref().err().map(|refusal| {
            refusal.until.map_or(limit.window(), |until| until.since(self.clock.now()))
        });
        if let Ok(mut permit) = taken {
            permit.sent();
            permit.seen();
            permit.finish(&Outcome::of(OutcomeClass::Success));
        }
        let status = budget.status();
        let left = status.limits.first().map_or(0, |one| one.allowed.saturating_sub(one.used));
        let next = status.next_slot.map(|next| next.since(self.clock.now()));
        let reset = match (left, next) {
            (0, Some(next)) => next,
            _ => limit.window(),
        };
        let quota = Quota { limit: *limit, left, reset };
        wait.map_or(Ok(Some(quota)), |wait| Err((quota, wait)))
    }

    /// Counts a try without a good key; false if there were too many from that address. One without an address is in this
    /// process.
    pub(crate) fn stranger(&self, address: Option<IpAddr>) -> bool {
        let (Some(address), Some(budgets)) = (address, &self.strangers) else { return true };
        // More addresses than are told apart come from somebody who has many.
        budgets.budget(&stranger(address)).is_ok_and(|budget| take(&budget))
    }

    /// Counts a line of the log of refusals; false if there were too many of late, from wherever.
    pub(crate) fn worth_a_line(&self) -> bool {
        let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let budget = self.strangers.as_ref().and_then(|budgets| budgets.budget(&all).ok());
        budget.is_some_and(|budget| take(&budget))
    }
}

fn take(budget: &paceline_governor::Budget) -> bool {
    let Ok(mut permit) = budget.try_acquire() else { return false };
    permit.sent();
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
    true
}

/// Budgets that count as this server sees the calls: there is no network between.
fn keyed<K: Hash + Eq>(limit: Limit, keys_max: usize, clock: &Clock) -> Option<Keyed<K>> {
    let config = BudgetConfig {
        shape: Shape::Burst,
        guard: Guard::Fixed(Duration::ZERO),
        cool_down_on_429: false,
        heed_hints: false,
        queue_max: 1,
        ..BudgetConfig::new([limit])
    };
    // One limit always makes a budget.
    Keyed::with_keys_max(config, clock.clone(), keys_max).ok()
}

impl Quota {
    /// Tells a caller, on every reply.
    pub(crate) fn tell<B>(&self, response: &mut Response<B>) {
        let (count, window) = (self.limit.count(), self.limit.window());
        let policy = format!("\"key\";q={count};w={}", whole_seconds(window));
        let state = format!("\"key\";r={};t={}", self.left, whole_seconds(self.reset));
        for (name, text) in [(RATELIMIT_POLICY, policy), (RATELIMIT, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(name, value);
            }
        }
    }

    /// The refusal of a call over the limit.
    pub(crate) fn refusal(&self, wait: Duration) -> ApiError {
        let message = format!("this key has made its {} calls", self.limit);
        ApiError::new(Code::RateLimited, message).retry_after(wait)
    }
}

/// Never too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = self.keys.as_ref().map(|(limit, _)| limit.to_string());
        f.debug_struct("Gate").field("key_limit", &limit).finish_non_exhaustive()
    }
}
