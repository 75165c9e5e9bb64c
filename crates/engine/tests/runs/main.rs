//! Runs in virtual time, on a real store: the engine's whole path with the vendor in place of the network. One binary, for
//! link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod control;
mod crash;
mod hints;
mod memory;
mod outcomes;
mod pace;
mod support;
mod turns;
