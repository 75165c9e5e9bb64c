//! The simulated vendors of language models: what each checks, how it answers, what it counts and what goes wrong.

mod http;
mod limits;
mod shapes;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{AiAnswer, AiConfig, AiDialect, AiRequest, AiVendor};
use serde_json::{Value, json};

pub(super) fn vendor(config: AiConfig, clock: Clock) -> AiVendor {
    AiVendor::new(config, clock).unwrap()
}

/// The request of each dialect for the same question.
pub(super) fn question(dialect: AiDialect, prompt: &str, output_max: u64) -> AiRequest {
    let messages = json!([{"role": "user", "content": prompt}]);
    let body = match dialect {
        AiDialect::OpenAi => {
            json!({"model": "m", "messages": messages, "max_completion_tokens": output_max})
        }
        AiDialect::Anthropic => {
            json!({"model": "m", "messages": messages, "max_tokens": output_max})
        }
        AiDialect::Google => json!({
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": {"maxOutputTokens": output_max},
        }),
    };
    request(dialect, &body)
}

pub(super) fn request(dialect: AiDialect, body: &Value) -> AiRequest {
    let (path, headers): (&str, &[(&str, &str)]) = match dialect {
        AiDialect::OpenAi => ("/v1/chat/completions", &[("authorization", "Bearer good")]),
        AiDialect::Anthropic => {
            ("/v1/messages", &[("x-api-key", "good"), ("anthropic-version", "2023-06-01")])
        }
        AiDialect::Google => ("/v1beta/models/m:generateContent", &[("x-goog-api-key", "good")]),
    };
    AiRequest::post(path, headers, &body.to_string())
}

/// The text of an answer.
pub(super) fn text(dialect: AiDialect, answer: &AiAnswer) -> String {
    let json = answer.json();
    let text = match dialect {
        AiDialect::OpenAi => &json["choices"][0]["message"]["content"],
        AiDialect::Anthropic => &json["content"][0]["text"],
        AiDialect::Google => &json["candidates"][0]["content"]["parts"][0]["text"],
    };
    text.as_str().unwrap_or_default().to_owned()
}

/// Why an answer ended.
pub(super) fn ended(dialect: AiDialect, answer: &AiAnswer) -> String {
    let json = answer.json();
    let reason = match dialect {
        AiDialect::OpenAi => &json["choices"][0]["finish_reason"],
        AiDialect::Anthropic => &json["stop_reason"],
        AiDialect::Google if json.get("candidates").is_none() => {
            &json["promptFeedback"]["blockReason"]
        }
        AiDialect::Google => &json["candidates"][0]["finishReason"],
    };
    reason.as_str().unwrap_or_default().to_owned()
}

/// One call in virtual time.
pub(super) fn ask(config: AiConfig, request: AiRequest) -> AiAnswer {
    SimClock::new().run(|clock| async move { vendor(config, clock).handle(request).await })
}
