//! Simulated vendors: limits, delays and faults, in virtual time and on loopback.
//!
//! The lab is the judge of everything that calls APIs, so it knows nothing of what it judges: it parses its own limits
//! and counts for itself. Three layers, each usable alone:
//!
//! - [`Enforcer`]: the zoo of ways to enforce limits, pure functions of the arrival time;
//! - [`Vendor`]: an enforcer with delays ([`Law`]), faults ([`FaultLaw`]) and [`Stats`], on any
//!   [`Clock`](paceline_clock::Clock);
//! - [`Lab`]: a vendor behind HTTP/1.1, selling something real: the nearest of 3,376 airports.
//!
//! Beside it stand [`HexVendor`], a simulated Hex, [`AiVendor`], the vendors of language models, [`SlackVendor`] and
//! [`WebhookReceiver`]; all callable in virtual time and served by the same [`Lab`].
//!
//! A call passes the network, is counted, perhaps refused, perhaps struck by a fault, worked on, done, and passes the
//! network again:
//!
//! ```text
//! net -> limits -> faults -> service -> effect -> net
//!          |         |                             ^
//!          '- 429 ---'- 429, 400, 401, reset ------'
//! ```
#![warn(missing_docs)]

mod ai;
mod date;
mod enforcer;
mod error;
mod fault;
mod geo;
mod hex;
mod hints;
mod http;
mod law;
mod limit;
mod query;
mod slack;
mod stats;
mod vendor;
mod webhook;
mod wire;

pub use ai::{
    AI_FAULT_GRAMMAR, AI_FAULTS_MAX, AI_KEYS_MAX, AI_MODELS_MAX, AiAnswer, AiConfig, AiDialect,
    AiDialectStats, AiFaultLaw, AiPolicy, AiRequest, AiStats, AiVendor, ai_text, ai_tokens,
    ai_value,
};
pub use enforcer::{Enforcer, LIMITS_MAX, Policy, Refusal, Standing, Verdict};
pub use error::ConfigError;
pub use fault::{FAULT_GRAMMAR, FAULTS_MAX, Fault, FaultKind, FaultLaw};
pub use geo::{AIRPORTS_CSV, Airport, Airports, EARTH_RADIUS_KM, Nearest, Position};
pub use hex::{
    HEX_FAULT_GRAMMAR, HEX_FAULTS_MAX, HEX_JOBS_MAX, HEX_PARAMS_BYTES_MAX, HEX_PROJECTS_DEFAULT,
    HEX_PROJECTS_MAX, HEX_RUNS_MAX, HEX_TOKENS_MAX, HexAnswer, HexConfig, HexErrors, HexFaultLaw,
    HexGroup, HexGroupName, HexGroupStats, HexInput, HexLimit, HexLimits, HexPolicy, HexProject,
    HexRequest, HexRun, HexStats, HexStatus, HexVendor, HexVersionForm,
};
pub use hints::{RateHeaders, RetryAfter};
pub use http::{
    CONNECTIONS_MAX, HUGE_BODY_BYTES, Lab, LabConfig, REQUEST_BODY_BYTES_MAX, Running, StartError,
};
pub use law::{EXP_CUT, LAW_MS_MAX, Law};
pub use limit::{LIMIT_COUNT_MAX, LIMIT_WINDOW_MAX, Limit};
pub use slack::{
    SLACK_CHANNELS_MAX, SLACK_TOKENS_MAX, SlackChannel, SlackClosed, SlackConfig, SlackMessage,
    SlackRequest, SlackStats, SlackVendor,
};
pub use stats::{KEYS_MAX, LimitStats, Stats};
pub use vendor::{Answer, Call, Reply, Vendor, VendorConfig};
pub use webhook::{
    WEBHOOK_CALLS_MAX, WEBHOOK_SECRETS_MAX, WebhookCall, WebhookConfig, WebhookReceiver,
    WebhookRequest, WebhookStats,
};
pub use wire::{VendorAnswer, VendorRequest};
