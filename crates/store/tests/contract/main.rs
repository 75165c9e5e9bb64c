//! What every store must do, written against the trait and run on each backend of `backends.rs`.
#![expect(
    clippy::unwrap_used,
    reason = "a case may panic; clippy's own exception stops at helpers"
)]
#![expect(
    clippy::print_stdout,
    reason = "names the backend of a failed case; the crash child reports"
)]

mod attempts;
mod backends;
mod budgets;
mod cells;
mod changes;
mod claims;
mod columns;
mod crash;
mod edits;
mod filters;
mod gates;
mod graphs;
mod interleaving;
mod lifecycle;
mod local;
mod locks;
mod model;
mod notes;
mod options;
mod peek;
mod plans;
mod postgres;
mod postgres_address;
mod postgres_commit;
mod postgres_names;
mod recovery;
mod registry;
mod rows;
mod runs;
mod search;
mod server;
mod shared;
mod spent;
mod support;
mod tables;
mod time;
mod upgrade;
mod wakeup;
