//! Budgets shared through real Redis servers (spec G12): the script, one process, and several that get killed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]
#![expect(clippy::print_stdout, reason = "the figures are what the full-size runs are for")]

mod chaos;
mod forgetting;
mod judge;
mod lone;
mod party;
mod processes;
mod script;
mod server;
mod turns;
mod worker;
