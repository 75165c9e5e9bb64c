//! Simulated vendors of language models: OpenAI's chat completions (and whoever is compatible with them), Anthropic's
//! messages and Google's `generateContent`, as their public references have them in November 2026.
//!
//! Each vendor checks a request as it does, answers in its own shape, counts requests and tokens against limits of its
//! own, tells of them in its own headers and refuses with its own bodies. The answers are computed from the prompt
//! ([`ai_text`], [`ai_value`]), so that a test can tell the right one. A call passes
//!
//! ```text
//! net -> key -> request -> limits of requests and tokens -> faults -> service -> tokens settled -> net
//!         |        |                 |                        |
//!         '- 401 --'- 400, 404 ------'- 429 ------------------'- 429, 500, overloaded, refusals, truncated answers
//! ```
//!
//! A token is four characters ([`ai_tokens`]). A call is charged what it may take (its prompt, and as many tokens as it
//! allows for the answer) when it arrives and what it took when it is done, as Anthropic describes its output limits
//! ("estimated based on max_tokens at the beginning of each request, and the estimate is adjusted at the end"). Google
//! counts the prompt only.

mod answer;
mod books;
mod config;
mod desk;
mod dialect;
mod fault;
mod meter;
mod request;
mod say;
mod stats;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::http::request::Parts;
use paceline_clock::{Clock, Random, Tick, Timestamp};

pub use answer::{ai_text, ai_tokens, ai_value};
pub use config::{AI_KEYS_MAX, AI_MODELS_MAX, AiConfig, AiPolicy};
use desk::{Arrived, World};
pub use dialect::AiDialect;
pub(crate) use dialect::is_ours;
pub use fault::{AI_FAULT_GRAMMAR, AI_FAULTS_MAX, AiFaultLaw};
pub use request::{AiAnswer, AiRequest};
pub use stats::{AiDialectStats, AiStats};

use crate::stats::{KEYS_MAX, Keys};
use crate::wire::{Outcome, Site};
use crate::{ConfigError, Law};

/// The simulated vendors. The lab's HTTP server puts them behind a socket; tests call them in virtual time.
///
/// ```
/// use paceline_clock::SimClock;
/// use paceline_lab::{AiConfig, AiRequest, AiVendor, ai_text};
///
/// let answer = SimClock::new().run(|clock| async move {
///     let vendor = AiVendor::new(AiConfig::default(), clock)?;
///     let body = r#"{"model": "lab-large", "messages": [{"role": "user", "content": "Capital of Norway?"}]}"#;
///     let request = AiRequest::post("/v1/chat/completions", &[("authorization", "Bearer any")], body);
///     Ok::<_, paceline_lab::ConfigError>(vendor.handle(request).await)
/// })?;
/// assert_eq!(answer.json()["choices"][0]["message"]["content"], ai_text("Capital of Norway?"));
/// assert_eq!(answer.json()["usage"]["prompt_tokens"], 5);
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct AiVendor {
    config: AiConfig,
    clock: Clock,
    started: Tick,
    world: Mutex<World>,
    prompts: [Keys; AiDialect::ALL.len()],
    in_flight: [AtomicU64; AiDialect::ALL.len()],
    chance: Chance,
}

/// A stream for each purpose, so that one more fault does not change every delay after it.
#[derive(Debug)]
struct Chance {
    net: Random,
    service: Random,
    faults: Random,
}

impl AiVendor {
    /// Vendors that have seen nothing yet. Their windows begin now.
    ///
    /// # Errors
    /// If there are more than [`LIMITS_MAX`](crate::LIMITS_MAX) limits of a kind, [`AI_KEYS_MAX`] keys or
    /// [`AI_MODELS_MAX`] models.
    pub fn new(config: AiConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        let stream = |purpose: u64| Random::seeded(config.seed.rotate_left(4) ^ (0x2000 + purpose));
        Ok(Self {
            started: clock.now(),
            clock,
            world: Mutex::new(World::new(&config)),
            prompts: std::array::from_fn(|_| Keys::new(KEYS_MAX)),
            in_flight: std::array::from_fn(|_| AtomicU64::new(0)),
            chance: Chance { net: stream(0), service: stream(1), faults: stream(2) },
            config,
        })
    }

    /// Takes a request there and brings what comes back, for ever if a fault hangs it.
    ///
    /// Dropping the future stops the call wherever it is on its way; what it was charged on arrival stays charged.
    pub async fn handle(&self, request: AiRequest) -> AiAnswer {
        self.process(request).await.answer().await
    }

    /// What they were built from; the fault law may have [changed](AiVendor::set_faults) since.
    #[must_use]
    pub fn config(&self) -> &AiConfig {
        &self.config
    }

    /// What each vendor has seen so far.
    #[must_use]
    pub fn stats(&self) -> AiStats {
        let world = self.world();
        let of = |dialect: AiDialect| {
            let distinct = self.prompts[dialect as usize].len();
            AiDialectStats { distinct, ..world.stats(dialect) }
        };
        AiStats {
            openai: of(AiDialect::OpenAi),
            anthropic: of(AiDialect::Anthropic),
            google: of(AiDialect::Google),
        }
    }

    /// Forgets every call: counts, prompts and what the limits remember.
    pub fn reset(&self) {
        let mut world = self.world();
        let faults = world.faults().clone();
        *world = World::new(&self.config);
        world.set_faults(faults);
        self.prompts.iter().for_each(Keys::reset);
    }

    /// The fault law in force.
    #[must_use]
    pub fn faults(&self) -> AiFaultLaw {
        self.world().faults().clone()
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, law: AiFaultLaw) {
        self.world().set_faults(law);
    }

    async fn wait(&self, law: Law, random: &Random) {
        if !law.is_zero() {
            self.clock.sleep(law.draw(random)).await;
        }
    }

    /// Time since the vendors began.
    fn now(&self) -> Tick {
        Tick::ZERO + (self.clock.now() - self.started)
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call as being at the vendor until the guard is dropped.
    fn enter(&self, dialect: AiDialect) -> Stay<'_> {
        let count = &self.in_flight[dialect as usize];
        let now = count.fetch_add(1, Relaxed) + 1;
        self.world().busy(dialect, now);
        Stay(count)
    }
}

impl Site for AiVendor {
    type Request = AiRequest;

    fn request(parts: &Parts, body: Bytes) -> AiRequest {
        AiRequest::of(parts, body)
    }

    fn is_instant(&self) -> bool {
        self.config.net.is_zero() && self.config.service.is_zero()
    }

    async fn process(&self, request: AiRequest) -> Outcome {
        self.wait(self.config.net, &self.chance.net).await;
        let outcome = match self.arrive(&request) {
            Arrived::Told(answer) => Outcome::Answer(answer),
            Arrived::Admitted(call) => {
                let _stay = self.enter(call.dialect);
                self.wait(self.config.service, &self.chance.service).await;
                self.leave(&call)
            }
        };
        self.wait(self.config.net, &self.chance.net).await;
        outcome
    }
}

/// A call that is at a vendor.
struct Stay<'a>(&'a AtomicU64);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
