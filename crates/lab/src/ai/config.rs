//! What the simulated vendors of language models are like.

use std::fmt;
use std::str::FromStr;

use super::fault::AiFaultLaw;
use crate::{ConfigError, LIMITS_MAX, Law, Limit};

/// The most keys that may be named.
pub const AI_KEYS_MAX: usize = 64;
/// The most models that may be named.
pub const AI_MODELS_MAX: usize = 256;

/// What the simulated vendors are like; each of them counts for itself. The default is friendly: no limits, no delays, no
/// faults, any key and any model is good.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// Limits of requests.
    pub requests: Vec<Limit>,
    /// Limits of tokens.
    pub tokens: Vec<Limit>,
    /// How they are enforced.
    pub policy: AiPolicy,
    /// Whether a call that is done is charged what it took instead of what it might have taken.
    pub settles: bool,
    /// The keys that are good; empty: any.
    pub keys: Vec<String>,
    /// The models that there are; empty: any.
    pub models: Vec<String>,
    /// The one-way delay before a call is counted, and again on its way back.
    pub net: Law,
    /// How long a vendor works on a call after counting it.
    pub service: Law,
    /// What goes wrong with calls that passed the limits.
    pub faults: AiFaultLaw,
    /// Where all chance comes from.
    pub seed: u64,
}

impl Default for AiConfig {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            tokens: Vec::new(),
            policy: AiPolicy::default(),
            settles: true,
            keys: Vec::new(),
            models: Vec::new(),
            net: Law::ZERO,
            service: Law::ZERO,
            faults: AiFaultLaw::none(),
            seed: 0,
        }
    }
}

impl AiConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (what, count, most) in [
            ("limits of requests", self.requests.len(), LIMITS_MAX),
            ("limits of tokens", self.tokens.len(), LIMITS_MAX),
            ("keys", self.keys.len(), AI_KEYS_MAX),
            ("models", self.models.len(), AI_MODELS_MAX),
        ] {
            if count > most {
                let text = format!("{count} {what} are too many; an AI vendor has at most {most}");
                return Err(ConfigError::Together(text));
            }
        }
        Ok(())
    }
}

/// How limits of requests and tokens are enforced. Its text form is what `--ai-policy` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AiPolicy {
    /// A bucket of the limit's count that starts full and is refilled evenly, as Anthropic says of its limits and
    /// OpenAI's reset headers show.
    #[default]
    Bucket,
    /// At most the limit's count in any window.
    Log,
    /// Windows that follow one another, from the start of the vendor on.
    Fixed,
}

impl FromStr for AiPolicy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "bucket" => Ok(Self::Bucket),
            "log" => Ok(Self::Log),
            "fixed" => Ok(Self::Fixed),
            _ => Err(ConfigError::Word {
                what: "AI policy",
                text: text.to_owned(),
                accepted: "bucket, log, fixed",
            }),
        }
    }
}

impl fmt::Display for AiPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bucket => "bucket",
            Self::Log => "log",
            Self::Fixed => "fixed",
        })
    }
}
