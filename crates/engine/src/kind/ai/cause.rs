//! What a refusal's body says of its cause, where its status alone would mislead: an account without money answers 429 as
//! a rate does, a wrong key 400 as a wrong row does, a model that does not exist 404.

use paceline_governor::{Outcome, OutcomeClass};
use serde_json::Value as Json;

use crate::Reply;
use crate::kind::Cause;
use crate::task::cell_error;

/// OpenAI's codes ("Error codes": retrying does not restore access), and those that others took over from it.
const NO_MONEY: [&str; 8] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    // Anthropic: error.details.error_code of a 429 ("Rate limits": spend limits).
    "enforced_spend_limit_reached",
];
/// Anthropic says it in words, with 400.
const NO_MONEY_WORDS: [&str; 2] =
    ["credit balance is too low", "reached your specified api usage limits"];
/// Google's reasons of an `ErrorInfo` with 400.
const BAD_KEY: [&str; 2] = ["API_KEY_INVALID", "API_KEY_EXPIRED"];
/// Of a vendor's message, so much is told.
const MESSAGE_CHARS_MAX: usize = 300;

/// The cause that a reply names, if its status alone would be taken for another.
pub(super) fn cause(reply: &Reply, model: &str) -> Option<Cause> {
    if !(400..500).contains(&reply.status) {
        return None;
    }
    let body: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
    // Some that speak Google's dialect answer with a list that holds the error.
    let error = body.get("error").or_else(|| body.get(0)?.get("error")).unwrap_or(&Json::Null);
    let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
    let message: String = text("message").chars().take(MESSAGE_CHARS_MAX).collect();
    let words = message.to_ascii_lowercase();
    let details = error.get("details");
    let infos = details.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let reason = |known: &[&str]| {
        infos
            .iter()
            .filter_map(|info| info.get("reason")?.as_str())
            .any(|reason| known.contains(&reason))
    };
    let code = details.and_then(|details| details.get("error_code")?.as_str()).unwrap_or_default();
    let no_money = reply.status == 402
        || [text("code"), text("type"), code].iter().any(|word| NO_MONEY.contains(word))
        || (reply.status == 400 && NO_MONEY_WORDS.iter().any(|known| words.contains(known)))
        || reason(&["BILLING_DISABLED"]);
    if no_money {
        let text =
            format!("the account has nothing left to spend (HTTP {}): {message}", reply.status);
        return Some(configuration("AI_QUOTA", &text, true));
    }
    if reply.status == 400 && reason(&BAD_KEY) {
        let mut cause = configuration("AI_KEY", &format!("the key was refused: {message}"), false);
        cause.outcome.credential_refused = true;
        return Some(cause);
    }
    let no_model = text("code") == "model_not_found"
        || (text("type") == "not_found_error" && words.starts_with("model"))
        || (reply.status == 404 && text("status") == "NOT_FOUND");
    if no_model {
        let text = format!("there is no model {model:?} for this key: {message}");
        return Some(configuration("AI_MODEL", &text, true));
    }
    if reply.status == 429 && words.starts_with("request too large") {
        let error =
            cell_error("AI_TOO_LONG", format!("{message}; shorten the prompt or lower max_tokens"));
        return Some(Cause { outcome: Outcome::of(OutcomeClass::RowCaused), error, stops: false });
    }
    None
}

fn configuration(code: &str, text: &str, stops: bool) -> Cause {
    let outcome = Outcome::of(OutcomeClass::ConfigurationCaused);
    Cause { outcome, error: cell_error(code, text), stops }
}
