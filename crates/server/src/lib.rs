//! The server's faces over one set of operations. [`CATALOGUE`] has one row per operation: its name, its verb and path,
//! its fields, and the function that does it. REST is drawn from it here, and so are other faces later; none of them can
//! drift from the others, because nothing is written twice.
//!
//! What this crate does not know: SQL and the environment. It never panics on a request, and everything a request can
//! grow is bounded ([`ServerConfig`], `paceline_model::limits`).
//!
//! ```
//! use paceline_clock::{Clock, Random};
//! use paceline_engine::{Engine, EngineConfig};
//! use paceline_server::{ApiKeys, App, AppParts, ServerConfig, router};
//! use paceline_store::SqliteStore;
//!
//! let (clock, random) = (Clock::system(), Random::system());
//! let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
//! let (key, keys) = ApiKeys::made(&random);
//! let engine = Engine::new(store, clock.clone(), random.clone(), EngineConfig::default());
//! let app = router(App::new(AppParts { engine, clock, random, keys, config: ServerConfig::default(), dir: None }));
//! # let _ = (key, app);
//! ```
#![warn(missing_docs)]

mod app;
mod auth;
mod catalog;
mod envelope;
mod error;
mod follow;
mod hooks;
mod jobs;
mod kept;
mod layers;
mod mcp;
mod metrics;
mod openapi;
mod ops;
mod rest;
mod serve;
mod sources;
mod vitals;
mod ws;

pub use app::{App, AppParts, ServerConfig};
pub use auth::{ApiKeys, KeyScope};
pub use catalog::{
    CATALOGUE, Chapter, DEFAULT_TOOLS_MAX, Field, Kind, Operation, Place, Verb, operations,
};
pub use mcp::{McpUpstream, Toolsets, UnknownToolset, mcp_bridge, mcp_stdio};
pub use openapi::document as openapi;
pub use rest::router;
pub use serve::serve;
pub use sources::background;
