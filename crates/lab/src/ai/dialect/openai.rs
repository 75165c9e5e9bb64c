//! OpenAI's chat completions: `POST /v1/chat/completions`, and whoever is compatible with them.
//!
//! After OpenAI's API reference, its guides "Rate limits", "Error codes" and "Structured outputs", November 2026.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Ask, Counts, End, Left, Lefts, Problem, Said, Shape, Told, TooMany, check_temperature,
    count_of, text_of, texts,
};
use crate::hints::Headers;

pub(super) const PATH: &str = "/chat/completions";
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
/// Longer names of schemas are refused.
const NAME_CHARS_MAX: usize = 64;
const DEPTH_MAX: usize = 32;

pub(super) fn read(body: &Value) -> Result<Ask, Problem> {
    let model = text_of(body, "model").filter(|model| !model.is_empty());
    let model =
        model.ok_or_else(|| Problem::invalid("model", "you must provide a model parameter"))?;
    let messages = body.get("messages").and_then(Value::as_array).filter(|all| !all.is_empty());
    let messages =
        messages.ok_or_else(|| Problem::invalid("messages", "must be a non-empty list"))?;
    let mut ask = Ask { model, ..Ask::default() };
    for (place, message) in messages.iter().enumerate() {
        let field = |name: &str| format!("messages[{place}].{name}");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !ROLES.contains(&role) {
            return Err(Problem::Invalid(field("role"), format!("must be one of {ROLES:?}")));
        }
        let text = texts(message.get("content"));
        let text =
            text.ok_or_else(|| Problem::Invalid(field("content"), "must be text".to_owned()))?;
        ask.input.push_str(&text);
        if role == "user" {
            ask.prompt = text;
        }
    }
    let (old, new) = (count_of(body, "max_tokens")?, count_of(body, "max_completion_tokens")?);
    if old.is_some() && new.is_some() {
        let problem =
            "setting max_tokens and max_completion_tokens at the same time is not supported";
        return Err(Problem::invalid("max_tokens", problem));
    }
    check_temperature(body, 2.0)?;
    ask.output_max = old.or(new);
    ask.shape = shape(body)?;
    if let Some(shape) = &ask.shape {
        ask.input.push_str(&shape.schema.to_string());
    }
    Ok(ask)
}

fn shape(body: &Value) -> Result<Option<Shape>, Problem> {
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else {
        return Ok(None);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(None),
        Some("json_object") => {
            return Ok(Some(Shape { schema: json!({ "type": "object" }), tool: None }));
        }
        Some("json_schema") => {}
        _ => {
            let problem = "must be one of text, json_object, json_schema";
            return Err(Problem::invalid("response_format.type", problem));
        }
    }
    let given = &format["json_schema"];
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
        let problem = "must have 1 to 64 letters, digits, underscores or dashes";
        return Err(Problem::invalid("response_format.json_schema.name", problem));
    }
    let schema = given.get("schema").filter(|schema| schema.is_object());
    let schema = schema
        .ok_or_else(|| Problem::invalid("response_format.json_schema.schema", "is missing"))?;
    if given.get("strict") == Some(&Value::Bool(true)) {
        if schema["type"] != "object" {
            return Err(bad_schema(name, "schema must be a JSON Schema of 'type: \"object\"'"));
        }
        check_strict(schema, name, 0)?;
    }
    Ok(Some(Shape { schema: schema.clone(), tool: None }))
}

/// A strict schema requires every property and forbids all others, in each of its objects.
fn check_strict(schema: &Value, name: &str, depth: usize) -> Result<(), Problem> {
    if depth > DEPTH_MAX {
        return Err(bad_schema(name, "it is nested too deep"));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            let problem = "'additionalProperties' is required to be supplied and to be false";
            return Err(bad_schema(name, problem));
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |property: &String| {
            required.is_some_and(|names| names.iter().any(|known| known == property.as_str()))
        };
        if let Some(property) = properties.keys().find(|property| !is_required(property)) {
            let problem = format!(
                "'required' is required to be supplied and to be an array including every key in properties. Missing \
                 '{property}'"
            );
            return Err(bad_schema(name, &problem));
        }
    }
    let inner =
        schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|p| p.values());
    for inner in inner.chain(schema.get("items")) {
        check_strict(inner, name, depth + 1)?;
    }
    Ok(())
}

fn bad_schema(name: &str, problem: &str) -> Problem {
    Problem::invalid(
        "response_format",
        format!("Invalid schema for response_format '{name}': {problem}."),
    )
}

pub(super) fn answer(ask: &Ask, said: &Said, id: u64) -> Value {
    let (content, refusal) = match said.end {
        End::Refusal => (Value::Null, json!("I'm sorry, I cannot assist with that request.")),
        _ => (json!(said.text), Value::Null),
    };
    let finish_reason = match said.end {
        End::Whole | End::Refusal => "stop",
        End::Length => "length",
        End::Blocked => "content_filter",
    };
    json!({
        "id": format!("chatcmpl-lab{id}"),
        "object": "chat.completion",
        "created": 0,
        "model": ask.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": content, "refusal": refusal},
            "logprobs": null,
            "finish_reason": finish_reason,
        }],
        "usage": {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
        },
    })
}

pub(super) fn models(models: &[String]) -> Value {
    let model = |id: &String| json!({"id": id, "object": "model", "created": 0, "owned_by": "lab"});
    json!({ "object": "list", "data": models.iter().map(model).collect::<Vec<_>>() })
}

pub(super) fn error(problem: &Problem) -> Told {
    let invalid = "invalid_request_error";
    let (status, message, kind, param, code) = match problem {
        Problem::NoKey => {
            let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                           using Bearer auth.";
            (401, message.to_owned(), invalid, Value::Null, Value::Null)
        }
        Problem::BadKey => {
            let message =
                "Incorrect API key provided. You can find your API key in your account settings.";
            (401, message.to_owned(), invalid, Value::Null, json!("invalid_api_key"))
        }
        Problem::NoModel(model) => {
            let message =
                format!("The model `{model}` does not exist or you do not have access to it.");
            (404, message, invalid, Value::Null, json!("model_not_found"))
        }
        Problem::Invalid(field, problem) => {
            let message = format!("Invalid '{field}': {problem}");
            (400, message, invalid, json!(field), Value::Null)
        }
        Problem::TooMany(refusal) => {
            let kind = match refusal.counts {
                Counts::Requests => "requests",
                Counts::Tokens => "tokens",
            };
            (429, too_many(refusal), kind, Value::Null, json!("rate_limit_exceeded"))
        }
        Problem::Quota => {
            let message =
                "You exceeded your current quota, please check your plan and billing details.";
            let kind = "insufficient_quota";
            (429, message.to_owned(), kind, Value::Null, json!("credit_balance_exhausted"))
        }
        Problem::Internal => {
            let message =
                "The server had an error while processing your request. Sorry about that!";
            (500, message.to_owned(), "server_error", Value::Null, Value::Null)
        }
        Problem::Overloaded => {
            let message = "The engine is currently overloaded, please try again later.";
            (503, message.to_owned(), "server_error", Value::Null, json!("overloaded"))
        }
    };
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    Told { status, headers: Headers::new(), body }
}

/// The wait stands in the message alone.
fn too_many(refusal: &TooMany) -> String {
    let TooMany { counts, limit, used, requested, wait } = refusal;
    let unit = match counts {
        Counts::Requests => "requests per min (RPM)",
        Counts::Tokens => "tokens per min (TPM)",
    };
    if requested > limit {
        return format!(
            "Request too large for this model on {unit}: Limit {limit}, Requested {requested}. The input or output \
             tokens must be reduced in order to run successfully."
        );
    }
    let wait = go_duration(*wait);
    format!(
        "Rate limit reached for this model in organization org-lab on {unit}: Limit {limit}, Used {used}, Requested \
         {requested}. Please try again in {wait}. Visit your account's limits to learn more."
    )
}

pub(super) fn headers(lefts: Lefts) -> Headers {
    const REQUESTS: [&str; 3] = [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ];
    const TOKENS: [&str; 3] =
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    let three = |names: [&'static str; 3], left: Left| {
        let values = [left.limit.to_string(), left.remaining.to_string(), go_duration(left.reset)];
        names.into_iter().zip(values)
    };
    let requests = lefts.requests.into_iter().flat_map(|left| three(REQUESTS, left));
    requests.chain(lefts.tokens.into_iter().flat_map(|left| three(TOKENS, left))).collect()
}

/// A duration as Go writes it, in whole milliseconds rounded up: `6m0s`, `1.2s`, `20ms`.
fn go_duration(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    let (minutes, ms) = (ms / 60_000, ms % 60_000);
    match (minutes, ms) {
        (0, 0) => "0s".to_owned(),
        (0, ..1_000) => format!("{ms}ms"),
        (0, _) => format!("{}s", ms as f64 / 1e3),
        _ => format!("{minutes}m{}s", ms as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (micros, text) in [
            (0, "0s"),
            (1, "1ms"),
            (20_000, "20ms"),
            (1_200_000, "1.2s"),
            (60_000_000, "1m0s"),
            (360_500_000, "6m0.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_micros(micros)), text);
        }
    }
}
