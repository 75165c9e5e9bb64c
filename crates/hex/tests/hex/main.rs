//! The whole path of jobs: against a scripted wire for each rule, and against the lab's simulated Hex.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod batch;
mod ends;
mod faults;
mod rules;
mod script;
mod support;
mod tokens;
mod waits;
