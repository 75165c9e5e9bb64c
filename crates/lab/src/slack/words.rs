//! What Slack says: an incoming webhook a status with a word as plain text, `chat.postMessage` 200 with `ok` and a word.
//!
//! Words and statuses: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> ("handling errors"),
//! <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>,
//! <https://docs.slack.dev/reference/methods/chat.postMessage>; 429 and `Retry-After`:
//! <https://docs.slack.dev/apis/web-api/rate-limits>.

use serde_json::json;

use super::{SlackClosed, Way};
use crate::FaultKind;
use crate::wire::Told;

/// Why Slack does not post a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// Another method than POST.
    Method,
    /// There is no such team, service or webhook of it; or the secret of one is wrong.
    Team,
    Service,
    Secret,
    /// No token, or not a good one.
    NotAuthed,
    Auth,
    /// What was sent is no message, or an empty one.
    Payload,
    Text,
    /// The message names no channel.
    Channel,
    Closed(SlackClosed),
}

impl No {
    /// Slack's word for it, and the status where a webhook says it.
    pub(super) fn word(self, way: Way) -> (u16, &'static str) {
        let method = way == Way::Method;
        match self {
            Self::Method => (405, "method_not_allowed"),
            Self::Team => (404, "no_team"),
            Self::Service => (404, "no_service"),
            Self::Secret => (403, "invalid_token"),
            Self::NotAuthed => (403, "not_authed"),
            Self::Auth => (403, "invalid_auth"),
            Self::Payload if method => (400, "invalid_arguments"),
            Self::Payload => (400, "invalid_payload"),
            Self::Text => (400, "no_text"),
            Self::Channel => (404, "channel_not_found"),
            Self::Closed(SlackClosed::Missing) => (404, "channel_not_found"),
            Self::Closed(SlackClosed::Archived) if method => (410, "is_archived"),
            Self::Closed(SlackClosed::Archived) => (410, "channel_is_archived"),
            Self::Closed(SlackClosed::Prohibited) if method => (403, "restricted_action"),
            Self::Closed(SlackClosed::Prohibited) => (403, "action_prohibited"),
        }
    }

    pub(super) fn told(self, way: Way) -> Told {
        let (status, word) = self.word(way);
        match way {
            Way::Webhook => Told::text(status, word),
            Way::Method => Told::json(200, &json!({"ok": false, "error": word})),
        }
    }
}

/// A message has been posted.
pub(super) fn posted(way: Way, channel: &str, text: &str, ts: &str) -> Told {
    match way {
        Way::Webhook => Told::text(200, "ok"),
        Way::Method => Told::json(
            200,
            &json!({"ok": true, "channel": channel, "ts": ts,
                    "message": {"type": "message", "text": text, "ts": ts}}),
        ),
    }
}

/// What it says where a fault strikes, or a limit refuses.
pub(super) fn fault(way: Way, kind: FaultKind) -> Told {
    let status = kind.status().unwrap_or(500);
    let method = |status, word: &str| Told::json(status, &json!({"ok": false, "error": word}));
    match (kind, way) {
        (FaultKind::TooMany | FaultKind::TooManyAfter | FaultKind::TooManyDate, Way::Method) => {
            method(429, "ratelimited")
        }
        (FaultKind::TooMany | FaultKind::TooManyAfter | FaultKind::TooManyDate, _) => {
            method(429, "rate_limited")
        }
        (FaultKind::Internal, Way::Webhook) => Told::text(status, "rollup_error"),
        // Slack's documentation: the message may have been posted.
        (FaultKind::Internal, Way::Method) => method(200, "internal_error"),
        (FaultKind::UnavailableAfter, Way::Method) => method(status, "service_unavailable"),
        (FaultKind::Unauthorized, way) if way == Way::Webhook => No::Secret.told(way),
        (FaultKind::Unauthorized, way) => No::Auth.told(way),
        (FaultKind::BadRequest, way) => No::Payload.told(way),
        _ => Told::proxy_page(status),
    }
}
