//! Columns that need one another, in virtual time and on a real store: what is refused, how rows flow from one column to
//! the next, and which calls are not made because nothing has moved. One binary, for link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod automatic;
mod config;
mod crash;
mod flow;
mod looks;
mod plan;
mod retry;
mod reuse;
mod skip;
mod support;
