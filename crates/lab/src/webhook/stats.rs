//! What the receiver of webhooks saw: the judge's own count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::signature::Wrong;
use crate::Stats;

/// What the receiver has seen since it started or was last reset.
///
/// An effect is a call that was `served`; `calls.served - calls.duplicates` is how many there would have been with everybody
/// keeping to their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookStats {
    /// Calls, effects, keys, faults and limits.
    #[serde(flatten)]
    pub calls: Stats,
    /// Calls with a genuine and fresh signature.
    pub signed: u64,
    /// Calls without a signature where one was asked for; nothing was done.
    pub unsigned: u64,
    /// Calls with a signature that is none, or of another secret or body; nothing was done.
    pub forged: u64,
    /// Calls with a genuine signature from another time; nothing was done.
    pub stale: u64,
}

/// A call that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookCall {
    /// When, in ms since the lab started.
    pub at_ms: u64,
    /// Its `Idempotency-Key`, or its `X-Paceline-Delivery`.
    pub key: Option<String>,
    /// Whether a call with this key had taken effect before.
    pub duplicate: bool,
    /// Whether its signature was asked for, and good.
    pub signed: bool,
    /// Its `X-Paceline-Event`.
    pub event: Option<String>,
    /// Its body.
    pub body: String,
}

/// How the signatures were.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    signed: AtomicU64,
    unsigned: AtomicU64,
    forged: AtomicU64,
    stale: AtomicU64,
}

impl Signatures {
    pub(super) fn count(&self, checked: Result<(), Wrong>) {
        match checked {
            Ok(()) => &self.signed,
            Err(Wrong::Unsigned) => &self.unsigned,
            Err(Wrong::Forged) => &self.forged,
            Err(Wrong::Stale) => &self.stale,
        }
        .fetch_add(1, Relaxed);
    }

    pub(super) fn stats(&self, calls: Stats) -> WebhookStats {
        WebhookStats {
            calls,
            signed: self.signed.load(Relaxed),
            unsigned: self.unsigned.load(Relaxed),
            forged: self.forged.load(Relaxed),
            stale: self.stale.load(Relaxed),
        }
    }

    pub(super) fn reset(&self) {
        let counts = [&self.signed, &self.unsigned, &self.forged, &self.stale];
        counts.into_iter().for_each(|count| count.store(0, Relaxed));
    }
}
