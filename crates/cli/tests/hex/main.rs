//! `paceline hex` as a person and a script meet it: whole commands, real processes, and a simulated Hex in this process
//! whose counts are the judge. Limits and waits are scaled down, so that an hour of Hex's takes seconds.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

mod bad_input;
mod batch;
mod commands;
mod credentials;
mod faults;
mod limits;
mod outcomes;
mod plan;
#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "the other tests of the binary need more of it")]
mod process;
mod resume;
mod support;
