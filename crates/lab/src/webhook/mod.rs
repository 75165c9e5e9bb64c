//! A receiver of webhooks: it checks who signed a call and when, counts effects by idempotency key, and keeps what came in.
//!
//! Its edge is that of a [`Vendor`](crate::Vendor): limits, delays, faults. A call passes
//!
//! ```text
//! net -> limits -> faults -> signature -> service -> effect -> net
//!          |         |          |
//!          '- 429 ---'- 429, 5xx '- 401
//! ```

mod config;
mod request;
mod signature;
mod stats;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use paceline_clock::{Clock, Tick};
use serde_json::json;

pub use config::WebhookConfig;
use config::check_secrets;
pub use request::WebhookRequest;
use signature::Wrong;
use stats::Signatures;
pub use stats::{WebhookCall, WebhookStats};

use crate::stats::{Recent, Sighting};
use crate::vendor::Visitor;
use crate::wire::{Outcome, Site, Told};
use crate::{Call, ConfigError, FaultKind, FaultLaw, Reply, Vendor, VendorAnswer};

/// The most secrets a receiver may have.
pub const WEBHOOK_SECRETS_MAX: usize = 64;
/// The most calls that are kept; older ones go.
pub const WEBHOOK_CALLS_MAX: usize = 10_000;
/// The most bytes of calls that are kept.
const CALLS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where it listens, and below.
const PATH: &str = "/webhook";

/// What a call is about.
const EVENT: &str = "x-paceline-event";

/// A receiver of webhooks. The lab's HTTP server puts one behind a socket at `/webhook`; tests call it in virtual time.
///
/// ```
/// use paceline_clock::SimClock;
/// use paceline_lab::{WebhookConfig, WebhookReceiver, WebhookRequest};
///
/// let stats = SimClock::new().run(|clock| async move {
///     let receiver = WebhookReceiver::new(WebhookConfig::default(), clock)?;
///     let call = || WebhookRequest::post(&[("idempotency-key", "row-7")], r#"{"n": 7}"#);
///     assert_eq!(receiver.handle(call()).await.json()["duplicate"], false);
///     assert_eq!(receiver.handle(call()).await.json()["duplicate"], true);
///     Ok::<_, paceline_lab::ConfigError>(receiver.stats())
/// })?;
/// assert_eq!((stats.calls.served, stats.calls.keys, stats.calls.duplicates), (2, 1, 1));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct WebhookReceiver {
    vendor: Vendor,
    clock: Clock,
    started: Tick,
    tolerance_s: u64,
    secrets: RwLock<Vec<String>>,
    signatures: Signatures,
    calls: Mutex<Recent<WebhookCall>>,
}

/// Why nothing is done for a call.
#[derive(Clone, Copy)]
enum Refused {
    Method,
    Signature(Wrong),
}

/// Whether a path is the receiver's.
pub(crate) fn is_ours(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl WebhookReceiver {
    /// A receiver that has seen nothing yet. Its windows begin now.
    ///
    /// # Errors
    /// If limits and policy do not fit together, there are more than [`WEBHOOK_SECRETS_MAX`] secrets, or one is empty.
    pub fn new(config: WebhookConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            vendor: Vendor::new(config.vendor, clock.clone())?,
            started: clock.now(),
            clock,
            tolerance_s: config.tolerance_s,
            secrets: RwLock::new(config.secrets),
            signatures: Signatures::default(),
            calls: Mutex::new(Recent::new(WEBHOOK_CALLS_MAX, CALLS_BYTES_MAX)),
        })
    }

    /// Takes a call there and brings what comes back, for ever if a fault hangs it.
    ///
    /// Dropping the future stops the call wherever it is on its way.
    pub async fn handle(&self, request: WebhookRequest) -> VendorAnswer {
        self.process(request).await.answer().await
    }

    /// What it has seen so far.
    #[must_use]
    pub fn stats(&self) -> WebhookStats {
        self.signatures.stats(self.vendor.stats())
    }

    /// The newest calls that took effect, [`WEBHOOK_CALLS_MAX`] and 16 MiB of bodies at most, the oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<WebhookCall> {
        self.kept().to_vec()
    }

    /// Forgets every call; what goes wrong and the secrets stay.
    pub fn reset(&self) {
        self.vendor.reset();
        self.signatures.reset();
        self.kept().clear();
    }

    /// The fault law in force.
    #[must_use]
    pub fn faults(&self) -> FaultLaw {
        self.vendor.faults()
    }

    /// Changes what goes wrong, for calls that arrive from now on.
    pub fn set_faults(&self, law: FaultLaw) {
        self.vendor.set_faults(law);
    }

    /// Another secret that calls may be signed with, from now on; with the first one, a signature is asked for.
    ///
    /// # Errors
    /// If there are [`WEBHOOK_SECRETS_MAX`] already, or it is empty.
    pub fn add_secret(&self, secret: &str) -> Result<(), ConfigError> {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let mut more = secrets.clone();
        more.push(secret.to_owned());
        check_secrets(&more)?;
        *secrets = more;
        Ok(())
    }

    /// Looks at a call as it arrives; whether its signature was asked for.
    fn check(&self, request: &WebhookRequest) -> Result<bool, Refused> {
        if request.method != Method::POST {
            return Err(Refused::Method);
        }
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if secrets.is_empty() {
            return Ok(false);
        }
        let header = request.header(signature::HEADER);
        let now = (self.clock.wall(), self.tolerance_s);
        let checked = signature::check(header, &request.body, &secrets, now);
        self.signatures.count(checked);
        checked.map(|()| true).map_err(Refused::Signature)
    }

    /// A call takes effect.
    fn keep(&self, request: &WebhookRequest, signed: bool, duplicate: bool) {
        let text = |name| request.header(name).map(str::to_owned);
        let call = WebhookCall {
            at_ms: (self.clock.now() - self.started).as_millis().try_into().unwrap_or(u64::MAX),
            key: request.key().map(str::to_owned),
            duplicate,
            signed,
            event: text(EVENT),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        };
        let bytes = call.body.len() + call.key.as_ref().map_or(0, String::len);
        self.kept().push(call, bytes);
    }

    fn kept(&self) -> MutexGuard<'_, Recent<WebhookCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site for WebhookReceiver {
    type Request = WebhookRequest;

    fn request(parts: &Parts, body: Bytes) -> WebhookRequest {
        WebhookRequest { method: parts.method.clone(), headers: parts.headers.clone(), body }
    }

    fn is_instant(&self) -> bool {
        self.vendor.is_instant()
    }

    async fn process(&self, request: WebhookRequest) -> Outcome {
        let mut delivery = Delivery { at: self, request, checked: Ok(false), duplicate: false };
        let answer = self.vendor.receive(&mut delivery).await;
        // A fault strikes whoever called; without one, what is wrong with a call is its answer.
        let told = match (delivery.checked, answer.reply) {
            (Err(refused), Reply::Accepted) => refused.told(),
            _ => Told::json(200, &json!({"received": true, "duplicate": delivery.duplicate})),
        };
        Outcome::of(answer, told, words)
    }
}

/// A call on its way.
struct Delivery<'a> {
    at: &'a WebhookReceiver,
    request: WebhookRequest,
    checked: Result<bool, Refused>,
    duplicate: bool,
}

impl Visitor for Delivery<'_> {
    fn arrives(&mut self) -> Call {
        self.checked = self.at.check(&self.request);
        match (self.checked, self.request.key()) {
            (Err(_), _) => Call::new().invalid(),
            (Ok(_), Some(key)) => Call::new().key(key.as_bytes()),
            (Ok(_), None) => Call::new(),
        }
    }

    fn served(&mut self, sighting: Option<Sighting>) {
        self.duplicate = sighting == Some(Sighting::Again);
        self.at.keep(&self.request, self.checked.unwrap_or_default(), self.duplicate);
    }
}

impl Refused {
    fn told(self) -> Told {
        match self {
            Self::Method => error(405, "a webhook is called with POST"),
            Self::Signature(wrong) => error(401, wrong.says()),
        }
    }
}

fn error(status: u16, text: &str) -> Told {
    Told::json(status, &json!({"error": text}))
}

/// What it says where it does nothing.
fn words(kind: FaultKind) -> Told {
    match kind {
        FaultKind::BadGateway | FaultKind::Unavailable => {
            Told::proxy_page(kind.status().unwrap_or(502))
        }
        _ => error(kind.status().unwrap_or(500), &format!("the receiver says {}", kind.name())),
    }
}
