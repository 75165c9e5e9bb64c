//! What every store must do, written against the trait and run on each backend of `support::BACKENDS`.

mod attempts;
mod cells;
mod changes;
mod claims;
mod recovery;
mod rows;
mod runs;
mod support;
mod tables;
mod time;
