//! Runs are recorded and replayed, in virtual time, on a real store: cells end as they did, what was changed shows, and no
//! secret is in the file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod altered;
mod damaged;
mod kinds;
mod same;
mod secrets;
mod support;
mod upstream;
