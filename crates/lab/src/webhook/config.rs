//! What the receiver of webhooks is like.

use super::WEBHOOK_SECRETS_MAX;
use crate::{ConfigError, VendorConfig};

/// What the receiver of webhooks is like. The default is friendly: no limits, no delays, no faults, and unsigned calls are
/// taken.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Its limits, delays and faults, as those of any vendor.
    pub vendor: VendorConfig,
    /// The secrets that calls may be signed with; empty: nobody looks for a signature.
    pub secrets: Vec<String>,
    /// How far a signature's time may be from now, in seconds.
    pub tolerance_s: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { vendor: VendorConfig::default(), secrets: Vec::new(), tolerance_s: 300 }
    }
}

impl WebhookConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_secrets(&self.secrets)
    }
}

/// Refuses too many secrets, and one that is empty.
pub(super) fn check_secrets(secrets: &[String]) -> Result<(), ConfigError> {
    let refuse = |text: String| Err(ConfigError::Together(text));
    if secrets.len() > WEBHOOK_SECRETS_MAX {
        let many = secrets.len();
        return refuse(format!(
            "{many} secrets are too many; a receiver has at most {WEBHOOK_SECRETS_MAX}"
        ));
    }
    if secrets.iter().any(String::is_empty) {
        return refuse("a secret is empty; leave it out and no signature is asked for".to_owned());
    }
    Ok(())
}
