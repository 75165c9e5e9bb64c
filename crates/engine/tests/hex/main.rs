//! Columns of kind `integration`: batches of Hex runs against the simulated Hex of the lab, in virtual time, on SQLite.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic; clippy's own exception stops at helpers"
)]

mod account;
mod batch;
mod config;
mod crash;
mod outcomes;
mod settle;
mod shared;
mod support;
mod token;
