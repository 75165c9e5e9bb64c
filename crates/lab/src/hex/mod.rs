//! A simulated Hex (hex.tech): projects that are run over its API, with its limits, its answers and what goes wrong.
//!
//! It knows both families of paths and every field and status of the run API, as of November 2026; what Hex does not
//! document (the names of rate headers, whether refused calls count, what cancelling an ended run answers) is a setting.
//! There is one user, so every token shares the limits. A call passes
//!
//! ```text
//! net -> token -> limits -> the operation -> net
//!         |         |        |
//!         '- 401 ---'- 429 --'- 400, 403, 404, 409, 422, 503, faults before or after the run was made
//! ```
//!
//! and has its effect at the moment it is counted: who stops waiting for the answer undoes nothing.

mod body;
mod config;
mod desk;
mod fault;
mod file;
mod group;
mod id;
mod project;
mod query;
mod reply;
mod route;
mod run;
mod runs;
mod stats;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use paceline_clock::{Clock, Random, Tick, Timestamp};

pub use config::{
    HEX_PROJECTS_DEFAULT, HEX_PROJECTS_MAX, HEX_TOKENS_MAX, HexConfig, HexErrors, HexGroup,
    HexInput, HexLimits, HexProject, HexVersionForm,
};
use desk::World;
pub use fault::{HEX_FAULT_GRAMMAR, HEX_FAULTS_MAX, HexFaultLaw};
pub use group::{HexGroupName, HexLimit, HexPolicy};
pub(crate) use route::PREFIX;
pub use run::HexStatus;
pub use runs::{HEX_JOBS_MAX, HEX_PARAMS_BYTES_MAX, HEX_RUNS_MAX};
pub use stats::{HexGroupStats, HexRun, HexStats};

use crate::wire::{Outcome, Site, VendorAnswer, bearer};
use crate::{ConfigError, Law};

/// A simulated Hex. The lab's HTTP server puts one behind a socket at `/api/v1/`; tests call it in virtual time.
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::SimClock;
/// use paceline_lab::{HexAnswer, HexConfig, HexRequest, HexVendor};
///
/// let stats = SimClock::new().run(|clock| async move {
///     let hex = HexVendor::new(HexConfig::default(), clock.clone())?;
///     let project = "/api/v1/projects/00000000-0000-4000-8000-000000000001";
///     let body = r#"{"inputParams":{"day":"2026-11-22"}}"#;
///     let start = HexRequest::post(&format!("{project}/runs"), "any token", body);
///     assert_eq!(hex.handle(start).await.status(), Some(201));
///     clock.sleep(Duration::from_secs(2)).await;
///     Ok::<_, paceline_lab::ConfigError>(hex.stats())
/// })?;
/// assert_eq!((stats.started, stats.double_started), (1, 0));
/// assert_eq!(stats.run_list[0].status, "COMPLETED");
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct HexVendor {
    config: HexConfig,
    clock: Clock,
    started: Tick,
    began: Timestamp,
    /// The place of each project in the configuration.
    places: HashMap<String, usize>,
    world: Mutex<World>,
    chance: Chance,
}

/// A request to Hex.
#[derive(Clone, Debug)]
pub struct HexRequest {
    /// The method.
    pub method: Method,
    /// The path and the query, beginning with `/api/v1/`.
    pub target: String,
    /// The token of `Authorization: Bearer`, if there is one.
    pub bearer: Option<String>,
    /// The headers; Hex looks at `host` and `enable-expanded-stats`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What comes back from Hex.
pub type HexAnswer = VendorAnswer;

/// A stream for each purpose, so that one more delay does not change every id after it.
#[derive(Debug)]
struct Chance {
    net: Random,
    life: Random,
    runs: Random,
    traces: Random,
}

impl HexVendor {
    /// A Hex that has seen nothing yet. Its windows begin now.
    ///
    /// # Errors
    /// If a project's id stands there twice, there are more than [`HEX_PROJECTS_MAX`] projects or [`HEX_TOKENS_MAX`]
    /// tokens, or limits and policy do not fit together; see [`Enforcer::new`](crate::Enforcer::new).
    pub fn new(config: HexConfig, clock: Clock) -> Result<Self, ConfigError> {
        let places = config.places()?;
        let stream = |purpose: u64| Random::seeded(config.seed.rotate_left(8) ^ purpose);
        Ok(Self {
            started: clock.now(),
            began: clock.wall(),
            clock,
            places,
            world: Mutex::new(World::new(&config)?),
            chance: Chance { net: stream(0), life: stream(1), runs: stream(2), traces: stream(3) },
            config,
        })
    }

    /// Takes a request there and brings what comes back, for ever if a fault hangs it.
    ///
    /// Dropping the future while the request is on its way there stops it; later, the effect stays.
    pub async fn handle(&self, request: HexRequest) -> HexAnswer {
        self.process(request).await.answer().await
    }

    /// What it was built from; the fault law may have [changed](HexVendor::set_faults) since.
    #[must_use]
    pub fn config(&self) -> &HexConfig {
        &self.config
    }

    /// What it has seen so far.
    #[must_use]
    pub fn stats(&self) -> HexStats {
        self.world().stats(&self.config, self.now())
    }

    /// Forgets every call and every run: counts, what the limits remember, revoked tokens.
    pub fn reset(&self) {
        let mut world = self.world();
        // The same settings built one before, so they do again.
        if let Ok(mut fresh) = World::new(&self.config) {
            fresh.set_faults(world.faults());
            *world = fresh;
        }
    }

    /// The fault law in force.
    #[must_use]
    pub fn faults(&self) -> HexFaultLaw {
        self.world().faults()
    }

    /// Changes what goes wrong from now on; the law counts its calls from one.
    pub fn set_faults(&self, law: HexFaultLaw) {
        self.world().set_faults(law);
    }

    async fn wait(&self, law: Law) {
        if !law.is_zero() {
            self.clock.sleep(law.draw(&self.chance.net)).await;
        }
    }

    /// Time since this Hex began.
    fn now(&self) -> Tick {
        Tick::ZERO + (self.clock.now() - self.started)
    }

    /// The wall time of a moment.
    fn wall(&self, at: Tick) -> Timestamp {
        self.began + (at - Tick::ZERO)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HexRequest {
    /// A GET with a token.
    #[must_use]
    pub fn get(target: &str, bearer: &str) -> Self {
        Self::new(Method::GET, target, bearer)
    }

    /// A POST with a token and a body.
    #[must_use]
    pub fn post(target: &str, bearer: &str, body: &str) -> Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self { body, ..Self::new(Method::POST, target, bearer) }
    }

    /// A DELETE with a token.
    #[must_use]
    pub fn delete(target: &str, bearer: &str) -> Self {
        Self::new(Method::DELETE, target, bearer)
    }

    fn new(method: Method, target: &str, bearer: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            bearer: Some(bearer.to_owned()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Site for HexVendor {
    type Request = HexRequest;

    fn request(parts: &Parts, body: Bytes) -> HexRequest {
        HexRequest {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            bearer: bearer(&parts.headers),
            headers: parts.headers.clone(),
            body,
        }
    }

    fn is_instant(&self) -> bool {
        self.config.net.is_zero()
    }

    async fn process(&self, request: HexRequest) -> Outcome {
        self.wait(self.config.net).await;
        let outcome = self.answer(&request);
        self.wait(self.config.net).await;
        outcome
    }
}
