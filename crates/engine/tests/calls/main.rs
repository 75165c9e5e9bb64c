//! Calls with effects, several sources, and what is kept of them, in virtual time. One binary, for link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod config;
mod masks;
mod slack;
mod support;
mod waterfall;
mod webhooks;
mod words;
