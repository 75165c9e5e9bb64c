//! The `paceline` binary as a person and a script meet it: whole commands, real processes, real signals, and a vendor of
//! the lab in this process whose counts are the judge.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

mod api;
mod bad_input;
mod breaker;
mod crash;
mod happy;
mod help;
mod lab;
mod mcp;
mod plan;
mod process;
mod refusals;
mod stop;
mod support;
