//! A request to Slack, and what is in it.

use hyper::Method;
use serde_json::Value;

use super::words::No;
use super::{SlackConfig, Way};
use crate::wire::{VendorRequest, bearer};

/// The one method that there is.
pub(super) const POST_MESSAGE: &str = "/api/chat.postMessage";
/// Where webhooks are.
pub(super) const SERVICES: &str = "/services/";

/// A request to Slack, `/services/T1/B1/SECRET` or `/api/chat.postMessage`; the token of the latter is in its headers.
pub type SlackRequest = VendorRequest;

/// A message to a channel.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) channel: String,
    pub(super) text: String,
}

impl SlackRequest {
    pub(super) fn way(&self) -> Way {
        if self.path == POST_MESSAGE { Way::Method } else { Way::Webhook }
    }

    /// The message in it, or what Slack says to it.
    pub(super) fn message(&self, config: &SlackConfig) -> Result<Message, No> {
        if self.method != Method::POST {
            return Err(No::Method);
        }
        let webhook = match self.way() {
            Way::Webhook => Some(self.service(&config.webhooks)?),
            Way::Method => {
                let token = bearer(&self.headers).ok_or(No::NotAuthed)?;
                if !config.tokens.is_empty() && !config.tokens.contains(&token) {
                    return Err(No::Auth);
                }
                None
            }
        };
        let json: Value = serde_json::from_slice(&self.body).map_err(|_| No::Payload)?;
        let fields = json.as_object().ok_or(No::Payload)?;
        let text = fields.get("text").and_then(Value::as_str).unwrap_or_default();
        let filled =
            |name| fields.get(name).and_then(Value::as_array).is_some_and(|l| !l.is_empty());
        let channel = match webhook {
            Some(service) => service,
            None => fields.get("channel").and_then(Value::as_str).ok_or(No::Channel)?,
        };
        if let Some(closed) = config.closed(channel) {
            return Err(No::Closed(closed));
        }
        if text.is_empty() && !filled("blocks") && !filled("attachments") {
            return Err(No::Text);
        }
        Ok(Message { channel: channel.to_owned(), text: text.to_owned() })
    }

    /// The service that a webhook's address names: its channel.
    fn service(&self, known: &[String]) -> Result<&str, No> {
        let address = self.path.strip_prefix(SERVICES).unwrap_or_default();
        let parts: Vec<&str> = address.split('/').collect();
        let [team, service, secret] = parts[..] else { return Err(No::Service) };
        if team.is_empty() || service.is_empty() || secret.is_empty() {
            return Err(No::Service);
        }
        if known.is_empty() || known.iter().any(|known| known == address) {
            return Ok(service);
        }
        let begins = |with: &str| known.iter().any(|known| known.starts_with(with));
        Err(match (begins(&format!("{team}/{service}/")), begins(&format!("{team}/"))) {
            (true, _) => No::Secret,
            (false, true) => No::Service,
            (false, false) => No::Team,
        })
    }
}
