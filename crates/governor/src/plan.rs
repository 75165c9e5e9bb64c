//! The plan (spec G14): when the last of so many calls starts and ends, and which limit binds, without a call.
//!
//! It runs the budget's own windows ahead of time with a stamp at every start, which is the recursion of
//! `limiter-theory.md` ("The schedule") and pointwise the earliest schedule there is.

use std::time::Duration;

use paceline_clock::Tick;

use crate::Limit;
use crate::window::{Room, Window};

/// Calls that a plan may be asked for; it takes some nanoseconds each.
const CALLS_MAX: u64 = 100_000_000;

/// What a plan is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// How many calls.
    pub calls: u64,
    /// The limits, all at once.
    pub limits: Vec<Limit>,
    /// Calls at once, and how long one takes: together one more limit on starts. `None`: no cap.
    pub concurrency: Option<u32>,
    /// How long one call takes.
    pub service: Duration,
}

/// When the calls start and end, in ms from now.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How many calls.
    pub calls: u64,
    /// The first call starts at; 0 on an idle budget.
    pub first_start_ms: f64,
    /// The last call starts at.
    pub last_start_ms: f64,
    /// The last call ends at.
    pub end_ms: f64,
    /// What makes it wait the longest in all: a limit as it is written, `concurrency`, or nothing.
    pub binding_limit: Option<String>,
}

/// A plan that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too many calls.
    #[error("a plan for {calls} calls is too long; at most {CALLS_MAX}")]
    TooManyCalls {
        /// How many were asked for.
        calls: u64,
    },
    /// No call at once.
    #[error("a concurrency of 0 would never send anything; at least 1")]
    NoConcurrency,
}

/// Plans `request`.
///
/// # Errors
/// [`PlanError`] if it is out of range.
///
/// ```
/// use paceline_governor::{PlanRequest, plan};
/// let limits = vec!["20/min".parse().unwrap(), "60/h".parse().unwrap()];
/// let request = PlanRequest { calls: 200, limits, concurrency: None, service: Default::default() };
/// let plan = plan(&request).unwrap();
/// assert_eq!(plan.last_start_ms, 10_800_000.0);
/// assert_eq!(plan.binding_limit.as_deref(), Some("60/h"));
/// ```
pub fn plan(request: &PlanRequest) -> Result<Plan, PlanError> {
    plan_after(request, &[])
}

/// Plans `request` for a budget that has seen calls already, each so long ago: what is still inside a window holds its
/// slot.
///
/// # Errors
/// As [`plan`].
///
/// ```
/// use std::time::Duration;
/// use paceline_governor::{PlanRequest, plan_after};
/// let limits = vec!["60/h".parse().unwrap()];
/// let request = PlanRequest { calls: 1, limits, concurrency: None, service: Duration::ZERO };
/// let plan = plan_after(&request, &[Duration::from_secs(600); 60]).unwrap();
/// assert_eq!(plan.first_start_ms, 3_000_000.0);
/// ```
pub fn plan_after(request: &PlanRequest, ages: &[Duration]) -> Result<Plan, PlanError> {
    if request.calls > CALLS_MAX {
        return Err(PlanError::TooManyCalls { calls: request.calls });
    }
    if request.concurrency == Some(0) {
        return Err(PlanError::NoConcurrency);
    }
    let mut windows: Vec<Window> =
        request.limits.iter().map(|limit| Window::exact(limit.count(), limit.window())).collect();
    if let Some(concurrency) = request.concurrency
        && !request.service.is_zero()
    {
        windows.push(Window::exact(concurrency, request.service));
    }
    let mut ages = ages.to_vec();
    ages.sort_unstable_by(|one, other| other.cmp(one));
    let now = Tick::ZERO + ages.first().copied().unwrap_or_default();
    // A call that has ended takes no place among those at once.
    for window in windows.iter_mut().take(request.limits.len()) {
        ages.iter().for_each(|age| window.add(now.before(*age), 1));
    }
    let starts = starts(request.calls, now, &mut windows);
    let Starts { first: first_start, last: last_start, waited } = starts;
    let binding = waited
        .iter()
        .enumerate()
        .filter(|(_, waited)| !waited.is_zero())
        .max_by_key(|(index, waited)| (**waited, std::cmp::Reverse(*index)))
        .map(|(index, _)| {
            request.limits.get(index).map_or_else(|| "concurrency".to_owned(), Limit::to_string)
        });
    let end = if request.calls == 0 { Duration::ZERO } else { last_start + request.service };
    Ok(Plan {
        calls: request.calls,
        first_start_ms: millis(first_start),
        last_start_ms: millis(last_start),
        end_ms: millis(end),
        binding_limit: binding,
    })
}

/// When calls start.
struct Starts {
    first: Duration,
    last: Duration,
    /// For each window how long it alone was what calls waited for.
    waited: Vec<Duration>,
}

/// Runs the recursion from `from` on.
fn starts(calls: u64, from: Tick, windows: &mut [Window]) -> Starts {
    let mut now = from;
    let mut first = from;
    let mut waited = vec![Duration::ZERO; windows.len()];
    for call in 0..calls {
        let mut start = now;
        let mut by = None;
        for (index, window) in windows.iter_mut().enumerate() {
            window.advance(now);
            if let Room::At(at) = window.room(1)
                && at > start
            {
                start = at;
                by = Some(index);
            }
        }
        if let Some(index) = by {
            waited[index] += start - now;
        }
        now = start;
        if call == 0 {
            first = now;
        }
        for window in windows.iter_mut() {
            window.advance(now);
            window.add(now, 1);
        }
    }
    Starts { first: first - from, last: now - from, waited }
}

fn millis(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
