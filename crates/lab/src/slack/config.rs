//! What the simulated Slack is like.

use std::fmt;
use std::str::FromStr;

use super::{SLACK_CHANNELS_MAX, SLACK_TOKENS_MAX};
use crate::{ConfigError, FaultLaw, Law, Limit, Policy};

/// What the simulated Slack is like. As its documentation has it by default: about one message a second and channel, with
/// short bursts (how short is not said: four at once here); any token, webhook and channel is good.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    /// Limits of each channel.
    pub limits: Vec<Limit>,
    /// How they are enforced.
    pub policy: Policy,
    /// The tokens of `chat.postMessage` that are good; empty: any.
    pub tokens: Vec<String>,
    /// The webhooks that there are, as `T1/B1/SECRET`; empty: any.
    pub webhooks: Vec<String>,
    /// Channels that cannot be posted to: by their id, or for a webhook by its middle part, `B1`.
    pub channels: Vec<SlackChannel>,
    /// The one-way delay before a call is counted, and again on its way back.
    pub net: Law,
    /// How long Slack works on a call after counting it.
    pub service: Law,
    /// What goes wrong with calls that passed the limits, in Slack's words where it has some: `500` is `rollup_error` of a
    /// webhook and `internal_error` (with 200) of the method.
    pub faults: FaultLaw,
    /// Where all chance comes from.
    pub seed: u64,
}

impl Default for SlackConfig {
    fn default() -> Self {
        Self {
            limits: Limit::new(1, std::time::Duration::from_secs(1)).into_iter().collect(),
            policy: Policy::Bucket { sizes: vec![4] },
            tokens: Vec::new(),
            webhooks: Vec::new(),
            channels: Vec::new(),
            net: Law::ZERO,
            service: Law::ZERO,
            faults: FaultLaw::none(),
            seed: 0,
        }
    }
}

/// A channel that cannot be posted to. Its text form is what `--slack-channel` takes: `C1=archived`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackChannel {
    /// Its id.
    pub id: String,
    /// Why not.
    pub closed: SlackClosed,
}

/// Why a channel cannot be posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlackClosed {
    /// It is archived.
    Archived,
    /// There is none.
    Missing,
    /// An administrator forbids it.
    Prohibited,
}

impl SlackConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (what, count, most) in [
            ("tokens", self.tokens.len(), SLACK_TOKENS_MAX),
            ("webhooks", self.webhooks.len(), SLACK_TOKENS_MAX),
            ("channels", self.channels.len(), SLACK_CHANNELS_MAX),
        ] {
            if count > most {
                let text = format!("{count} {what} are too many; a Slack has at most {most}");
                return Err(ConfigError::Together(text));
            }
        }
        Ok(())
    }

    pub(super) fn closed(&self, channel: &str) -> Option<SlackClosed> {
        self.channels.iter().find(|known| known.id == channel).map(|known| known.closed)
    }
}

impl FromStr for SlackChannel {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let closed = match text.split_once('=').map(|(_, closed)| closed.trim()) {
            Some("archived") => SlackClosed::Archived,
            Some("missing") => SlackClosed::Missing,
            Some("prohibited") => SlackClosed::Prohibited,
            _ => {
                return Err(ConfigError::Word {
                    what: "Slack channel",
                    text: text.to_owned(),
                    accepted: "ID=archived, ID=missing, ID=prohibited",
                });
            }
        };
        let id = text.split_once('=').map_or("", |(id, _)| id.trim()).to_owned();
        Ok(Self { id, closed })
    }
}

impl fmt::Display for SlackChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = match self.closed {
            SlackClosed::Archived => "archived",
            SlackClosed::Missing => "missing",
            SlackClosed::Prohibited => "prohibited",
        };
        write!(f, "{}={closed}", self.id)
    }
}
