//! What a budget tells about itself.

use paceline_clock::Tick;

use crate::{BreakerState, Explanation, Limit, Reason};

/// One limit of a budget, now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitStatus {
    /// The limit as configured.
    pub limit: Limit,
    /// Slots that are held: calls under way and calls still inside the window; for a limit of tokens, tokens.
    pub used: usize,
    /// Slots there are: fewer than the limit's count while cooling down, where the vendor names a smaller limit, and while
    /// a shared budget has its fallback share.
    pub allowed: usize,
    /// How long after its sending a call may be counted at the latest, in ms; `None` while only the response tells.
    pub guard_ms: Option<f64>,
    /// What shape `auto` learnt about the enforcer behind it.
    pub learnt: Learnt,
}

/// What shape `auto` learnt about the enforcer behind one limit. The default is what it believes without a 429: that
/// whatever keeps the limit is accepted. Under any other shape it stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Calls that go at once at the most: the vendor is a token bucket smaller than its limit.
    pub burst_max: Option<u64>,
    /// Calls are spread evenly: the vendor weighs the last window too.
    pub sliding_counter: bool,
    /// Slots are held a second longer: the vendor keeps time in whole seconds.
    pub whole_seconds: bool,
}

/// A budget, now.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its limits, as configured.
    pub limits: Vec<LimitStatus>,
    /// Calls admitted and not ended.
    pub in_flight: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// When the next call could go, if that is known and not now.
    pub next_slot: Option<Tick>,
    /// What holds the next call back.
    pub held_by: Option<Reason>,
    /// Calls that the vendor refused for their rate, since the budget was made.
    pub throttled: u64,
    /// Why it did, oldest first; the last 16.
    pub explanations: Vec<Explanation>,
    /// Where the breaker stands.
    pub breaker: BreakerState,
}
