//! What the simulated Slack saw: the judge's own count.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::LimitStats;

/// What Slack has seen since it started or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlackStats {
    /// Calls that passed the limits, whatever became of them.
    pub accepted: u64,
    /// Calls that the limits refused; faults that look like it are not among them.
    pub refused: u64,
    /// Calls that Slack said no to for what they were, by its word; no limit counts them.
    pub noes: BTreeMap<&'static str, u64>,
    /// Messages that were posted, whether or not the answer reached the caller.
    pub posted: u64,
    /// Messages that were posted although one with the same `Idempotency-Key` had been. Slack itself does not look at it.
    pub duplicates: u64,
    /// Distinct keys of the messages, [`KEYS_MAX`](crate::KEYS_MAX) at most.
    pub keys: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many channels were called, [`SLACK_CHANNELS_MAX`](crate::SLACK_CHANNELS_MAX) at most.
    pub channels: u64,
    /// Of each limit, what the busiest channel saw.
    pub limits: Vec<LimitStats>,
    /// The most calls that were at Slack at once.
    pub in_flight_max: u64,
    /// When the first call arrived, in ms since the lab started.
    pub first_call_ms: Option<u64>,
    /// When the latest call arrived, in ms since the lab started.
    pub last_call_ms: Option<u64>,
}

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlackMessage {
    /// When, in ms since the lab started.
    pub at_ms: u64,
    /// Where: a channel's id, or the middle part of a webhook.
    pub channel: String,
    /// The text, as it was sent.
    pub text: String,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
}
