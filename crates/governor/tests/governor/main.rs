//! The governor from outside: waiting in virtual time, the plan against the theory, and vendors' hints. One binary, for link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod eta;
mod fairness;
mod gates;
mod hints;
mod keyed;
mod memory;
mod plan;
mod property_s;
#[cfg(feature = "reqwest")]
mod reqwest;
mod storm;
mod stuck;
mod support;
mod tokens;
mod told;
#[cfg(feature = "tower")]
mod tower;
mod waiting;
mod weights;
