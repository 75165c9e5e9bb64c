//! A simulated Slack: incoming webhooks and `chat.postMessage`, as its public documentation has them in November 2026.
//!
//! It posts a message or says no in Slack's own words and statuses, counts messages against limits of each channel, and
//! keeps what was posted. A call passes
//!
//! ```text
//! net -> who and what -> limits of the channel -> faults -> service -> posted -> net
//!             |                  |                  |
//!             '- 400, 403,       '- 429 ------------'- 429, 500, 503, lost answers
//!                404, 410
//! ```

mod config;
mod desk;
mod request;
mod stats;
mod words;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::http::request::Parts;
use paceline_clock::{Clock, Random, Tick, Timestamp};

pub use config::{SlackChannel, SlackClosed, SlackConfig};
use desk::{Arrived, World};
pub use request::SlackRequest;
pub use stats::{SlackMessage, SlackStats};

use crate::stats::{KEYS_MAX, Keys};
use crate::wire::{Outcome, Site};
use crate::{ConfigError, Enforcer, FaultLaw, Law, VendorAnswer};

/// The most channels with limits of their own, and the most that may be named.
pub const SLACK_CHANNELS_MAX: usize = 1_000;
/// The most tokens, and the most webhooks, that may be named.
pub const SLACK_TOKENS_MAX: usize = 64;

/// How a message comes to Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// An incoming webhook.
    Webhook,
    /// `chat.postMessage`.
    Method,
}

/// A simulated Slack. The lab's HTTP server puts one behind a socket; tests call it in virtual time.
///
/// ```
/// use paceline_clock::SimClock;
/// use paceline_lab::{SlackConfig, SlackRequest, SlackVendor};
///
/// let stats = SimClock::new().run(|clock| async move {
///     let slack = SlackVendor::new(SlackConfig::default(), clock)?;
///     let post = |body| SlackRequest::post("/services/T1/B1/secret", &[], body);
///     let answer = slack.handle(post(r#"{"text": "hello"}"#)).await;
///     assert_eq!((answer.status(), answer.text()), (Some(200), "ok"));
///     let answer = slack.handle(post("{}")).await;
///     assert_eq!((answer.status(), answer.text()), (Some(400), "no_text"));
///     Ok::<_, paceline_lab::ConfigError>(slack.stats())
/// })?;
/// assert_eq!((stats.posted, stats.noes["no_text"]), (1, 1));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct SlackVendor {
    config: SlackConfig,
    clock: Clock,
    started: Tick,
    world: Mutex<World>,
    keys: Keys,
    chance: Chance,
}

/// A stream for each purpose, so that one more fault does not change every delay after it.
#[derive(Debug)]
struct Chance {
    net: Random,
    service: Random,
    faults: Random,
}

/// Whether a path is one of Slack's.
pub(crate) fn is_ours(path: &str) -> bool {
    path == request::POST_MESSAGE || path.starts_with(request::SERVICES)
}

impl SlackVendor {
    /// A Slack that has seen nothing yet. The windows of a channel begin with its first call.
    ///
    /// # Errors
    /// If limits and policy do not fit together, or there are more than [`SLACK_TOKENS_MAX`] tokens or webhooks or
    /// [`SLACK_CHANNELS_MAX`] channels.
    pub fn new(config: SlackConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        Enforcer::new(&config.limits, &config.policy)?;
        let stream = |purpose: u64| Random::seeded(config.seed.rotate_left(6) ^ (0x6000 + purpose));
        Ok(Self {
            started: clock.now(),
            clock,
            world: Mutex::new(World::new(config.faults.clone())),
            keys: Keys::new(KEYS_MAX),
            chance: Chance { net: stream(0), service: stream(1), faults: stream(2) },
            config,
        })
    }

    /// Takes a request there and brings what comes back, for ever if a fault hangs it.
    ///
    /// Dropping the future stops the call wherever it is on its way.
    pub async fn handle(&self, request: SlackRequest) -> VendorAnswer {
        self.process(request).await.answer().await
    }

    /// What it was built from; the fault law may have [changed](SlackVendor::set_faults) since.
    #[must_use]
    pub fn config(&self) -> &SlackConfig {
        &self.config
    }

    /// What it has seen so far.
    #[must_use]
    pub fn stats(&self) -> SlackStats {
        let keys = self.keys.len();
        SlackStats { keys, ..self.world().stats(&self.config.limits) }
    }

    /// The newest messages, ten thousand and 16 MiB at most, the oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<SlackMessage> {
        self.world().messages()
    }

    /// Forgets every call: counts, messages and what the limits remember.
    pub fn reset(&self) {
        let mut world = self.world();
        *world = World::new(world.faults());
        self.keys.reset();
    }

    /// The fault law in force.
    #[must_use]
    pub fn faults(&self) -> FaultLaw {
        self.world().faults()
    }

    /// Changes what goes wrong, for calls that arrive from now on.
    pub fn set_faults(&self, law: FaultLaw) {
        self.world().set_faults(law);
    }

    async fn wait(&self, law: Law, random: &Random) {
        if !law.is_zero() {
            self.clock.sleep(law.draw(random)).await;
        }
    }

    /// Time since this Slack began.
    fn now(&self) -> Tick {
        Tick::ZERO + (self.clock.now() - self.started)
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site for SlackVendor {
    type Request = SlackRequest;

    fn request(parts: &Parts, body: Bytes) -> SlackRequest {
        SlackRequest::of(parts, body)
    }

    fn is_instant(&self) -> bool {
        self.config.net.is_zero() && self.config.service.is_zero()
    }

    async fn process(&self, request: SlackRequest) -> Outcome {
        self.wait(self.config.net, &self.chance.net).await;
        let outcome = match self.arrive(&request) {
            Arrived::Told(told) => Outcome::Answer(told.with(Vec::new())),
            Arrived::Decided(call) => {
                let _stay = Stay::enter(self);
                if call.answer.takes_service_time() {
                    self.wait(self.config.service, &self.chance.service).await;
                }
                self.finish(call)
            }
        };
        self.wait(self.config.net, &self.chance.net).await;
        outcome
    }
}

/// A call that is at Slack.
struct Stay<'a>(&'a SlackVendor);

impl<'a> Stay<'a> {
    fn enter(slack: &'a SlackVendor) -> Self {
        slack.world().enter();
        Self(slack)
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.world().leave();
    }
}
