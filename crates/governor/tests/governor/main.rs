//! The governor from outside: waiting in virtual time, the plan against the theory, and vendors' hints. One binary, for link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod hints;
mod keyed;
mod plan;
#[cfg(feature = "reqwest")]
mod reqwest;
mod stuck;
#[cfg(feature = "tower")]
mod tower;
mod waiting;
