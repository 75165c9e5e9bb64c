//! Simulated vendors: limits, delays and faults on loopback and in virtual time.
#![warn(missing_docs)]

mod enforcer;
mod error;
mod fault;
mod geo;
mod hints;
mod http;
mod law;
mod limit;
mod stats;
mod vendor;

pub use enforcer::{Enforcer, LIMITS_MAX, Policy, Refusal, Standing, Verdict};
pub use error::ConfigError;
pub use fault::{FAULT_GRAMMAR, FAULTS_MAX, Fault, FaultKind, FaultLaw};
pub use geo::{AIRPORTS_CSV, Airport, Airports, EARTH_RADIUS_KM, Nearest, Position};
pub use hints::{RateHeaders, RetryAfter};
pub use http::{
    CONNECTIONS_MAX, HUGE_BODY_BYTES, Lab, REQUEST_BODY_BYTES_MAX, Running, StartError,
};
pub use law::{EXP_CUT, LAW_MS_MAX, Law};
pub use limit::{LIMIT_COUNT_MAX, LIMIT_WINDOW_MAX, Limit};
pub use stats::{KEYS_MAX, LimitStats, Stats};
pub use vendor::{Answer, Call, Reply, Vendor, VendorConfig};
