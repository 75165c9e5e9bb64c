//! What the server is made of, and its limits: those of the product stand in `paceline_model::limits`, these are the
//! server's own.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_engine::Engine;
use paceline_governor::Limit;
use paceline_model::limits;

use crate::ApiKeys;
use crate::auth::Access;
use crate::jobs::{Jobs, Links};
use crate::sources::Hub;
use crate::vitals::Vitals;
use crate::ws::Feeds;

/// Values of one insert call: rows times the columns they name. What an insert holds in memory is bounded by this, not
/// by the body alone: one row may name a thousand columns that the other rows leave out.
pub(crate) const INSERT_VALUES_MAX: usize = 2_000_000;
/// Bytes of one page of rows; a page that would be larger ends early, and its cursor goes on from there.
pub(crate) const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Runs of one listing, when the caller names no limit and at the most.
pub(crate) const RUNS_DEFAULT: u64 = 25;
pub(crate) const RUNS_MAX: u64 = 1_000;
/// Lines of one page of the audit log.
pub(crate) const AUDIT_LINES_MAX: u64 = 1_000;
/// Bytes of a table's description. (hypertab.md a3)
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 500;
/// Bytes of a column's title, of a cursor, and of whatever else names something.
pub(crate) const LABEL_BYTES_MAX: usize = 256;
/// Faults of one request that are told at once.
pub(crate) const FAULTS_TOLD_MAX: usize = 10;

/// Everything an operation works with. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    /// What it was made of.
    parts: Arc<AppParts>,
    /// Who is let in, and what is on record of it.
    pub(crate) access: Arc<Access>,
    /// What sources and webhooks share.
    pub(crate) sources: Arc<Hub>,
    /// What it knows of itself.
    pub(crate) vitals: Arc<Vitals>,
    /// Imports and exports.
    pub(crate) jobs: Arc<Jobs>,
    /// Those who follow tables over WebSocket.
    pub(crate) feeds: Arc<Feeds>,
}

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppParts {
    /// Runs, and through it the store.
    pub engine: Engine,
    /// Time.
    pub clock: Clock,
    /// Randomness: keys, tokens, nonces.
    pub random: Random,
    /// Keys that are there whatever the store says: the operator's.
    pub keys: ApiKeys,
    /// The server's limits.
    pub config: ServerConfig,
    /// The data directory, for files of imports and exports; without one they are refused.
    pub dir: Option<PathBuf>,
}

impl App {
    /// An app of these parts.
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        let access = Arc::new(Access::new(&parts));
        let sources = Arc::new(Hub::new(&parts.clock));
        let vitals = Arc::new(Vitals::new(parts.clock.now()));
        let links = Links::new(parts.engine.sealer(), &parts.random);
        let jobs = Arc::new(Jobs::new(links, &parts.random));
        let feeds = Arc::new(Feeds::new());
        Self { parts: Arc::new(parts), access, sources, vitals, jobs, feeds }
    }

    /// Works on imports and exports until it is dropped, beginning with those that an earlier process left behind.
    /// [`crate::serve`] does this too.
    pub async fn work_on_jobs(&self) {
        crate::jobs::work(self).await;
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.parts
    }
}

/// Limits of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerConfig {
    /// The limits of the product that whoever operates this server has set.
    pub limits: limits::Settings,
    /// Calls of one key; no limit if none.
    pub key_limit: Option<Limit>,
    /// From the head of a request to its reply; then it is answered with `TIMEOUT`. A call of the
    /// HTTP proxy has the time that it may take itself, and a little.
    pub request_timeout: Duration,
    /// From the opening of a connection, or the end of a reply, to the next request's head.
    pub idle_timeout: Duration,
    /// How long requests may go on when the server is told to stop.
    pub drain_timeout: Duration,
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Bytes of the bodies of all requests at work together, at least `body_bytes_max`; further ones wait. As JSON in
    /// memory a body takes several times its bytes, up to twenty-five times in the worst case.
    pub bodies_bytes_max: usize,
    /// Whether `/mcp` answers to the names of loopback alone (`localhost`, `127.0.0.1`, `::1`): for servers that listen
    /// there, against names of others that lead to this machine.
    pub loopback_hosts_only: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: limits::Settings::default(),
            key_limit: Limit::new(limits::KEY_CALLS_MAX, limits::KEY_WINDOW).ok(),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            connections_max: 1_024,
            body_bytes_max: limits::API_BODY_BYTES_MAX,
            bodies_bytes_max: 2 * limits::API_BODY_BYTES_MAX,
            loopback_hosts_only: true,
        }
    }
}
