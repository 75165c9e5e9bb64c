//! The governor from outside: waiting in virtual time, and the plan against the theory. One binary, for link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod plan;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "tower")]
mod tower;
mod waiting;
