//! The WebSocket face over real sockets: what a client hears, how it goes on where it was, and how it is ended.
//! The load test is `cargo test --release -p paceline-server --test websocket -- --ignored --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ends;
mod feed;
mod load;
mod model;
mod slow;
mod support;
