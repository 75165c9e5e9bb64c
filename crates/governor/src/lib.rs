//! Calls to other people's APIs, as fast as their limits allow and not one call faster.
//!
//! A [`Budget`] holds any number of [`Limit`]s at once ("20 per minute and 60 per hour"), a concurrency cap and a minimum
//! spacing. [`Budget::acquire`] waits, first in first out, for a [`Permit`]; the permit is told when the call is
//! sent, when the response's head is seen, and how it ended. From that the budget knows an upper bound of the moment at
//! which the vendor counted the call, and frees its slot one window after that, not one window after the sending: that
//! is what keeps the vendor from ever seeing more than its limit, whatever the network does.
//!
//! ```
//! # async fn call() -> u16 { 200 }
//! # paceline_clock::SimClock::new().run(|clock| async move {
//! use paceline_governor::{Budget, BudgetConfig, classify_status};
//!
//! let limits = ["20/min".parse()?, "60/h".parse()?];
//! let budget = Budget::new(BudgetConfig::new(limits), clock.clone())?; // `Clock::system()`; clones share it
//! for _ in 0..61 {
//!     let mut permit = budget.acquire().await?;
//!     permit.sent(); // just before the first byte leaves
//!     let status = call().await; // until the response's head is here
//!     permit.seen();
//!     permit.finish(&classify_status(status, None, &[]));
//! }
//! // The 61st call had to wait for the hour (and for 1.8 s of clock drift that an hour may hide).
//! assert_eq!(clock.now().as_millis() / 1000, 3601);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! **Read on**: the [guide] (why two token buckets are wrong, which shape when, what a 429 means), its second part on
//! [hints, waiting, tokens, memory and many keys](guide::calls), and [the matrix](matrix) of what every kind of vendor
//! refuses.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tower` | `adapter::tower`: a layer whose clones share the budget |
//! | `reqwest` | `adapter::reqwest`: a client that asks for a permit per attempt |
//! | `redis` | `shared`: one budget for many processes, through a Redis server |
//!
//! # Runtime
//!
//! - [`Core`], [`plan`](plan()), [`RetryPolicy`], [`Hints`] and [`Breaker`] need none: the time is an argument, and there is no I/O.
//! - [`Budget`], [`Gates`] and [`Keyed`] spawn nothing and wait by the [`Clock`](paceline_clock::Clock) that they are given.
//!   `Clock::system()` sleeps on tokio's timer: await a permit inside a tokio runtime with time enabled. In a
//!   [`SimClock`](paceline_clock::SimClock) an hour takes no time.
//! - `reqwest` needs tokio as the client does; `redis` keeps one task on it.
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
pub mod guide;
mod hint;
mod keyed;
mod limit;
#[doc = include_str!("../docs/matrix.md")]
pub mod matrix {}
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
pub use plan::{Plan, PlanError, PlanRequest, plan, plan_after};
pub use rate::{Ceilings, Preset, Rate, RateError};
pub use retry::{Next, RetryPolicy, TaskHistory};
pub use status::{Learnt, LimitStatus, Status};

/// Holds the example of the crate's README to the code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
