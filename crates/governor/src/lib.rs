//! Calls to other people's APIs, as fast as their limits allow and not one call faster.
//!
//! A [`Budget`] holds any number of [`Limit`]s at once ("20 per minute and 60 per hour"), a concurrency cap and a minimum
//! spacing. [`Budget::acquire`] waits, first in first out, for a [`Permit`]; the permit is told when the call is
//! sent, when the response's head is seen, and how it ended. From that the budget knows an upper bound of the moment at
//! which the vendor counted the call, and frees its slot one window after that, not one window after the sending: that
//! is what keeps the vendor from ever seeing more than its limit, whatever the network does.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Budget, BudgetConfig, Outcome, OutcomeClass};
//!
//! let last_start = SimClock::new().run(|clock| async move {
//!     let config = BudgetConfig::new(["20/min".parse().unwrap(), "60/h".parse().unwrap()]);
//!     let budget = Budget::new(config, clock.clone()).unwrap();
//!     for _ in 0..61 {
//!         let mut permit = budget.acquire().await.unwrap();
//!         permit.sent(); // just before the first byte leaves
//!         permit.seen(); // as soon as the response's head is here
//!         permit.finish(&Outcome::of(OutcomeClass::Success));
//!     }
//!     clock.now().as_millis() / 1000
//! });
//! // The 61st call has to wait for the hour (and for 1.8 s of clock drift that an hour may hide).
//! assert_eq!(last_start, 3601);
//! ```
//!
//! The deciding core takes the time as an argument and has no I/O; waiting is a thin shell around it, and
//! [`plan`](plan()) runs the same windows ahead of time.
//!
//! Two features, off by default, put a budget where calls are made: `tower` (a layer whose clones share the budget) and
//! `reqwest` (a client that asks for a permit per attempt); see `adapter`.
#![warn(missing_docs)]

mod acquire;
#[cfg(any(feature = "tower", feature = "reqwest"))]
pub mod adapter;
mod ask;
mod backoff;
mod breaker;
mod budget;
mod classify;
mod config;
mod core;
mod gates;
mod guard;
mod hint;
mod keyed;
mod limit;
#[cfg(all(test, paceline_model))]
mod model_check;
mod permit;
mod plan;
mod queue;
mod rate;
mod retry;
#[cfg(feature = "redis")]
pub mod shared;
mod status;
mod sync;
mod window;

pub use acquire::Acquire;
pub use ask::{Ask, Priority};
pub use backoff::{Backoff, Strategy};
pub use breaker::{Breaker, BreakerConfig, BreakerState, Trip};
pub use budget::Budget;
pub use classify::{
    Outcome, OutcomeClass, Transport, classify_response, classify_status, classify_transport,
};
pub use config::{BudgetConfig, ConfigError, Guard, Shape};
pub use core::{Cause, Core, Eta, Explanation, Reason, Refusal, Slot, Snapshot};
pub use gates::{AcquireBoth, Gates};
pub use hint::{
    HINT_MAX, Hints, Quota, QuotaName, QuotaUnit, Quotas, retry_after, retry_after_in_body,
};
pub use keyed::{Keyed, TooManyKeys};
pub use limit::{Limit, LimitError, Unit};
pub use permit::{Permit, Refused};
pub use plan::{Plan, PlanError, PlanRequest, plan};
pub use rate::{Ceilings, Preset, Rate, RateError};
pub use retry::{Next, RetryPolicy, TaskHistory};
pub use status::{Learnt, LimitStatus, Status};
