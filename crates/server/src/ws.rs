//! The WebSocket face (spec P4): `GET /ws/{table}` follows one table. docs/websocket.md says what goes over it.
//!
//! One hub per table that has clients reads the table's numbered changes once, writes each message once, and hands the
//! same bytes to all of its clients. Each client has a queue with an end: who does not read loses the queue, not the
//! others their time.

mod cells;
mod client;
mod close;
mod door;
mod feed;
mod feeds;
mod gather;
mod hub;
mod message;
mod session;

pub(crate) use door::routes;
pub(crate) use feeds::Feeds;
