//! Budgets shared through real Redis servers (spec G12): the script, one process, and several that get killed.

mod judge;
mod lone;
mod processes;
mod script;
mod server;
mod worker;
