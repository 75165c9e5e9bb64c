//! The wait that a refusal's JSON body asks for, where the headers have none.

use std::time::Duration;

use serde_json::Value;

use super::{HINT_MAX, time};

/// Of a longer body only so much is looked at.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Of more details, or of more errors in a list, only the first are looked at.
const ITEMS_MAX: usize = 16;
/// The detail that says when to come back (Google AIP-193, "Errors"; `google/rpc/error_details.proto`).
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// What stands before the wait in a message: OpenAI and Groq, Gemini, Azure OpenAI.
const PHRASES: [&str; 3] = ["try again in ", "retry in ", "retry after "];

/// The wait that the body of a refusal (429, 503) asks for; the longest, if it says several; at most [`HINT_MAX`].
///
/// Read are Google's `RetryInfo` (`"retryDelay": "33s"` in `error.details`), and the sentences of OpenAI ("Please try
/// again in 1.2s"), Gemini ("Please retry in 38.9s", which is exacter than its `retryDelay`) and Azure OpenAI ("Please retry
/// after 45 seconds") in `error.message`, never anywhere else: the rest of a body may be somebody's text. `None` if the
/// body is not JSON, does not end within 64 KiB, or says nothing of the kind.
///
/// ```
/// use paceline_governor::retry_after_in_body;
/// let body = br#"{"error": {"message": "Rate limit reached for gpt-4o. Please try again in 6m0s."}}"#;
/// assert_eq!(retry_after_in_body(body).unwrap().as_secs(), 360);
/// ```
#[must_use]
pub fn retry_after_in_body(body: &[u8]) -> Option<Duration> {
    let body = body.get(..BODY_BYTES_MAX).unwrap_or(body);
    let body = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next()?.ok()?;
    // Google's streaming calls answer with a list that holds the error.
    let items = body.as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
    let errors = items.iter().take(ITEMS_MAX).filter_map(|item| item.get("error"));
    let waits = errors.filter_map(|error| in_details(error).max(in_message(error)));
    Some(waits.max()?.min(HINT_MAX))
}

fn in_details(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?.iter().take(ITEMS_MAX);
    let infos =
        details.filter(|detail| detail.get("@type").and_then(Value::as_str) == Some(RETRY_INFO));
    // A protobuf duration in JSON: seconds, with a fraction if need be, and an "s".
    let delays = infos.filter_map(|info| info.get("retryDelay")?.as_str()?.strip_suffix('s'));
    delays.filter_map(time::seconds).max()
}

fn in_message(error: &Value) -> Option<Duration> {
    let message = error.get("message")?.as_str()?.to_ascii_lowercase();
    let waits = PHRASES.iter().filter_map(|phrase| {
        let (_, after) = message.split_once(phrase)?;
        spoken(after)
    });
    waits.max()
}

/// `1.2s`, `6m0s`, or `45 seconds`; a number without a unit is none.
fn spoken(text: &str) -> Option<Duration> {
    let mut words = text.split([' ', ',', ';', '\n', ')']);
    let first = words.next()?.trim_end_matches(['.', '!']);
    if let Some(wait) = time::go_duration(first) {
        return Some(wait);
    }
    let unit = words.next()?.trim_end_matches(['.', '!']);
    let one = match unit.strip_suffix('s').unwrap_or(unit) {
        "millisecond" => return time::millis(first),
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        _ => return None,
    };
    Some(time::seconds(first)?.saturating_mul(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(body: &str) -> Option<u128> {
        retry_after_in_body(body.as_bytes()).map(|wait| wait.as_millis())
    }

    #[test]
    fn google_says_it_in_a_detail() {
        let gemini = r#"{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
            "message": "You exceeded your current quota.\nPlease retry in 38.919426178s.",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "5"}]},
                {"@type": "type.googleapis.com/google.rpc.Help", "retryDelay": "999s"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}]}}"#;
        assert_eq!(millis(gemini), Some(38_919));
        let delay = |delay: &str| {
            let info = format!(r#"{{"@type": "{RETRY_INFO}", "retryDelay": {delay}}}"#);
            millis(&format!(r#"[{{"error": {{"details": [{info}]}}}}]"#))
        };
        assert_eq!(delay(r#""33s""#), Some(33_000));
        assert_eq!(delay(r#""33.5s""#), Some(33_500));
        assert_eq!(delay(r#""1e99s""#), Some(86_400_000));
        for wrong in [r#""-5s""#, r#""33""#, r#""s""#, "33", "null", r#"{"seconds": 33}"#] {
            assert_eq!(delay(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_message_says_it_in_words() {
        let cases = [
            (
                "Rate limit reached for gpt-4 on tokens per min (TPM): Limit 10000, Used 8554, \
              Requested 3082. Please try again in 9.816s. Visit https://x to learn more.",
                Some(9_816),
            ),
            ("Rate limit reached. Please try again in 6ms. Contact us.", Some(6)),
            ("on tokens per day (TPD): Limit 100000. Please try again in 7m11.1s.", Some(431_100)),
            ("Please try again in 250ms", Some(250)),
            ("Please TRY AGAIN in 6m0s!", Some(360_000)),
            (
                "exceeded call rate limit of your pricing tier. Please retry after 45 seconds. Go here",
                Some(45_000),
            ),
            ("please retry after 1 minute, thanks", Some(60_000)),
            ("please try again in 9999h", Some(86_400_000)),
            ("Please try again in 5", None),
            ("please try again in a moment", None),
            ("please try again in -5s", None),
            ("please retry after 1767225600", None),
            ("please try again in ", None),
            ("wait 5s", None),
        ];
        for (message, wanted) in cases {
            let body = serde_json::json!({ "error": { "message": message } }).to_string();
            assert_eq!(millis(&body), wanted, "{message}");
        }
    }

    #[test]
    fn text_anywhere_else_is_somebody_s_text() {
        for body in [
            r#"{"message": "try again in 5s"}"#,
            r#"{"error": "try again in 5s"}"#,
            r#"{"error": {"param": "try again in 5s"}}"#,
            r#"{"choices": [{"error": {"message": "try again in 5s"}}]}"#,
            "try again in 5s",
            "",
            "null",
        ] {
            assert_eq!(millis(body), None, "{body}");
        }
    }

    #[test]
    fn a_long_body_is_not_read_to_its_end() {
        let error = r#"{"error": {"message": "try again in 5s"}}"#;
        assert_eq!(millis(&format!("{error}{}", " ".repeat(BODY_BYTES_MAX))), Some(5_000));
        assert_eq!(millis(&format!("{}{error}", " ".repeat(BODY_BYTES_MAX))), None);
        // Deep nesting ends at the JSON reader's own bound, not at the stack's.
        assert_eq!(millis(&"[".repeat(BODY_BYTES_MAX)), None);
    }
}
