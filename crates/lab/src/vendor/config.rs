//! What a vendor is like.

use crate::{FaultLaw, Law, Limit, Policy, RateHeaders, RetryAfter};

/// What a vendor is like. The default has no limits, no delays and no faults.
#[derive(Clone, Debug)]
pub struct VendorConfig {
    /// Limits that all must accept a call.
    pub limits: Vec<Limit>,
    /// How the limits are enforced.
    pub policy: Policy,
    /// The one-way delay before a call is counted, and again on its way back.
    pub net: Law,
    /// How long the vendor works on a call after counting it.
    pub service: Law,
    /// What goes wrong with calls that passed the limits.
    pub faults: FaultLaw,
    /// Where all chance comes from.
    pub seed: u64,
    /// How a refusal says when to come back.
    pub retry_after: RetryAfter,
    /// Which headers tell what is left.
    pub rate_headers: RateHeaders,
}

impl Default for VendorConfig {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            policy: Policy::FIXED,
            net: Law::ZERO,
            service: Law::ZERO,
            faults: FaultLaw::none(),
            seed: 0,
            retry_after: RetryAfter::default(),
            rate_headers: RateHeaders::default(),
        }
    }
}
