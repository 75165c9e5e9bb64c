//! Runs: which cells are due, one call per cell through its column's budget, and every outcome on record.
//!
//! What a run guarantees: every due cell is called at least once or ends with a reason; a cell's value, state, attempt and
//! change are written in one transaction; a process that is killed repeats at most what was in flight, and what may not
//! be repeated becomes `unknown` instead (spec R4). What it does not know: SQL (it sees [`paceline_model::Store`]), and
//! who asked.
//!
//! The path of a call: [`engine`](Engine) makes or resumes a run; the runner claims tasks under a lease, renders each
//! one's request, waits for a permit, has the provider make the call, classifies what came back, teaches the budget, and
//! reports; reports are written in groups.
#![warn(missing_docs)]

mod ai_service;
mod common;
mod config;
mod engine;
mod error;
mod extract;
mod fetch;
mod gate;
mod graph;
mod http_column;
mod integration;
mod kind;
mod labels;
mod ledger;
mod memory;
mod outbound;
mod progress;
mod provider;
mod runner;
mod secret;
mod signature;
mod tally;
mod task;
mod triage;

pub use ai_service::{AiProvider, AiService, ai_url};
pub use config::EngineConfig;
pub use engine::{
    Asked, BudgetSpec, ColumnBudget, ColumnSpec, Engine, Plan, Settle, SharedStatus, SmartSpec,
};
pub use error::{Error, Result};
pub use fetch::{FetchError, FetchReply, FetchRequest};
pub use http_column::{HttpColumn, HttpSpec};
pub use integration::{IntegrationSpec, hex_session};
pub use ledger::CapReached;
pub use outbound::{AllowError, AllowedHost, OutboundError, OutboundGuard};
pub use progress::Progress;
pub use provider::{
    CallError, CallEvents, ConnectHook, NameResolver, Provider, ProviderFactory, Reply, Request,
    http_provider,
};
pub use runner::Stop;
pub use secret::Sealer;
pub use signature::{SIGNATURE, signed};
pub use tally::CallCount;
pub use triage::Moved;

/// Makes `ring` the process's TLS provider. Call this first thing in `main`: connections over TLS need it.
pub fn install_tls() {
    // A second call finds it installed, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
