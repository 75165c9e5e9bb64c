//! Kind `ai` in virtual time, on a real store: the engine's whole path with the lab's vendors in place of the network.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod config;
mod outcomes;
mod pace;
mod shapes;
mod stale;
mod support;
