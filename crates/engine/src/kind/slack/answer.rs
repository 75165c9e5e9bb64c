//! What Slack's noes mean. `chat.postMessage` answers 200 whatever happened, with `ok` and a code; an incoming webhook
//! answers a status with a code as its text.
//!
//! The codes: <https://docs.slack.dev/reference/methods/chat.postMessage>, <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
//! The statuses of a webhook's codes: <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks> (400
//! `invalid_payload` and `user_not_found`, 403 `action_prohibited`, 404 `channel_not_found`, 410 `channel_is_archived`, 500
//! `rollup_error`; any status but 200 is a failure, so none of these was posted). A webhook that was switched off or removed
//! answers 404 with `no_active_hooks` or `no_service`.

use paceline_governor::OutcomeClass;
use serde_json::Value as Json;

use super::super::Refusal;
use super::Way;
use crate::Reply;
use crate::task::cell_error;

/// Longer texts are no code of Slack's.
const CODE_BYTES_MAX: usize = 60;

/// What is done about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Too fast.
    Throttled,
    /// It may pass.
    Transient,
    /// Slack says itself that the message may have been posted.
    Unknown,
    /// The token or the webhook is refused.
    Credential,
    /// No row can work until somebody changes something.
    Configuration,
    /// The channel: a fault of the row where it comes from the row.
    Channel,
    /// This message cannot be posted.
    Row,
}

/// The refusal in an answer; `None` if it is none, or if its status says all there is.
pub(super) fn refusal(way: Way, reply: &Reply) -> Option<Refusal> {
    match way {
        Way::Webhook if (200..=299).contains(&reply.status) => None,
        Way::Webhook => {
            let code = std::str::from_utf8(&reply.body).ok()?.trim();
            let known = meaning(code)?;
            Some(said(way, code, known, reply.status))
        }
        Way::Token { .. } if reply.status != 200 => None,
        Way::Token { .. } => in_json(way, reply),
    }
}

fn in_json(way: Way, reply: &Reply) -> Option<Refusal> {
    let told: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (told["ok"].as_bool(), told["error"].as_str()) {
        (Some(true), _) => None,
        (Some(false), Some(code)) => {
            Some(said(way, code, meaning(code).unwrap_or(Meaning::Row), reply.status))
        }
        // Something between us and Slack answered; what became of the message nobody knows.
        _ => Some(said(way, "no answer of Slack's", Meaning::Unknown, reply.status)),
    }
}

fn said(way: Way, code: &str, meaning: Meaning, status: u16) -> Refusal {
    let class = match meaning {
        Meaning::Throttled => OutcomeClass::Throttled,
        Meaning::Transient | Meaning::Unknown => OutcomeClass::Transient,
        Meaning::Credential | Meaning::Configuration => OutcomeClass::ConfigurationCaused,
        Meaning::Channel if way == (Way::Token { one_channel: false }) => OutcomeClass::RowCaused,
        Meaning::Channel => OutcomeClass::ConfigurationCaused,
        Meaning::Row => OutcomeClass::RowCaused,
    };
    let shown: String = code.chars().take(CODE_BYTES_MAX).collect();
    let unknown = meaning == Meaning::Unknown;
    let (name, advice) = match meaning {
        _ if unknown => (
            "OUTCOME_UNKNOWN",
            "the message may have been posted and is not repeated; look into the channel, then settle this cell",
        ),
        Meaning::Throttled => ("SLACK_REFUSED", "it is tried again when Slack says"),
        Meaning::Transient => ("SLACK_REFUSED", "it is tried again"),
        Meaning::Credential => {
            ("SLACK_REFUSED", "give the column a token or webhook that may post")
        }
        Meaning::Configuration => {
            ("SLACK_REFUSED", "change this in Slack, then retry failed cells")
        }
        Meaning::Channel => ("SLACK_REFUSED", "name a channel that the app is a member of"),
        _ => ("SLACK_REFUSED", "change the message"),
    };
    let message = format!("Slack said {shown:?} (HTTP {status}): {advice}");
    let credential = meaning == Meaning::Credential;
    Refusal { class, credential, unknown, error: cell_error(name, message) }
}

fn meaning(code: &str) -> Option<Meaning> {
    Some(match code {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Meaning::Throttled,
        "service_unavailable" | "request_timeout" | "team_added_to_org" | "rollup_error" => {
            Meaning::Transient
        }
        // "It's possible some aspect of the operation succeeded before the error was raised."
        "fatal_error" | "internal_error" => Meaning::Unknown,
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_expired"
        | "token_revoked"
        | "no_permission"
        | "missing_scope"
        | "not_allowed_token_type"
        | "invalid_token"
        | "no_service"
        | "no_service_id"
        | "no_active_hooks"
        | "no_team"
        | "team_disabled"
        | "access_denied"
        | "accesslimited" => Meaning::Credential,
        "org_login_required"
        | "ekm_access_denied"
        | "team_access_not_granted"
        | "two_factor_setup_required"
        | "enterprise_is_restricted"
        | "action_prohibited"
        | "deprecated_endpoint"
        | "method_deprecated"
        | "team_not_found" => Meaning::Configuration,
        "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "channel_is_archived"
        | "user_not_found"
        | "messages_tab_disabled"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "posting_to_general_channel_denied"
        | "cannot_reply_to_message" => Meaning::Channel,
        "invalid_payload"
        | "no_text"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "too_many_attachments"
        | "invalid_arguments"
        | "missing_text_or_fallback_or_attachments" => Meaning::Row,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: Default::default(), body: body.to_owned().into() }
    }

    #[test]
    fn every_answer_of_slacks_has_its_class() {
        use OutcomeClass::{ConfigurationCaused, RowCaused, Throttled, Transient};
        let fixed = Way::Token { one_channel: true };
        let varying = Way::Token { one_channel: false };
        let cases = [
            (fixed, 200, r#"{"ok":true,"ts":"1.2"}"#, None),
            (fixed, 200, r#"{"ok":false,"error":"ratelimited"}"#, Some((Throttled, false))),
            (
                fixed,
                200,
                r#"{"ok":false,"error":"invalid_auth"}"#,
                Some((ConfigurationCaused, false)),
            ),
            (
                fixed,
                200,
                r#"{"ok":false,"error":"channel_not_found"}"#,
                Some((ConfigurationCaused, false)),
            ),
            (varying, 200, r#"{"ok":false,"error":"channel_not_found"}"#, Some((RowCaused, false))),
            (fixed, 200, r#"{"ok":false,"error":"msg_too_long"}"#, Some((RowCaused, false))),
            (fixed, 200, r#"{"ok":false,"error":"service_unavailable"}"#, Some((Transient, false))),
            (fixed, 200, r#"{"ok":false,"error":"internal_error"}"#, Some((Transient, true))),
            (fixed, 200, r#"{"ok":false,"error":"of tomorrow"}"#, Some((RowCaused, false))),
            (fixed, 200, "<html>", Some((Transient, true))),
            (fixed, 200, "", Some((Transient, true))),
            (fixed, 429, "", None),
            (fixed, 502, "<html>", None),
            (Way::Webhook, 200, "ok", None),
            (Way::Webhook, 400, "invalid_payload", Some((RowCaused, false))),
            (Way::Webhook, 403, "action_prohibited", Some((ConfigurationCaused, false))),
            (Way::Webhook, 404, "channel_not_found", Some((ConfigurationCaused, false))),
            (Way::Webhook, 404, "no_service", Some((ConfigurationCaused, false))),
            (Way::Webhook, 404, "no_active_hooks", Some((ConfigurationCaused, false))),
            (Way::Webhook, 400, "user_not_found", Some((ConfigurationCaused, false))),
            (Way::Webhook, 410, "channel_is_archived", Some((ConfigurationCaused, false))),
            (Way::Webhook, 500, "rollup_error", Some((Transient, false))),
            (Way::Webhook, 429, "rate_limited", Some((Throttled, false))),
            (Way::Webhook, 404, "<html>", None),
        ];
        for (way, status, body, wanted) in cases {
            let found = refusal(way, &reply(status, body));
            let found = found.map(|refusal| (refusal.class, refusal.unknown));
            assert_eq!(found, wanted, "{way:?} {status} {body}");
        }
    }

    #[test]
    fn a_long_answer_is_not_repeated_whole() {
        let body = format!(r#"{{"ok":false,"error":"{}"}}"#, "x".repeat(10_000));
        let found = refusal(Way::Token { one_channel: true }, &reply(200, &body)).unwrap();
        assert!(found.error.message.len() < 200, "{}", found.error.message.len());
    }
}
