//! Anthropic's messages: `POST /v1/messages`.
//!
//! After Anthropic's API reference and its pages "Errors", "Rate limits" and "Handling stop reasons", November 2026.

use paceline_clock::Timestamp;
use serde_json::{Value, json};

use super::{
    Ask, Counts, End, Left, Lefts, Problem, Said, Shape, Told, check_temperature, count_of,
    seconds_up, text_of, texts,
};
use crate::ai::request::AiRequest;
use crate::date::iso;
use crate::hints::Headers;

pub(super) const PATH: &str = "/v1/messages";
pub(super) const KEY_HEADER: &str = "x-api-key";
const VERSION_HEADER: &str = "anthropic-version";

pub(super) fn read(request: &AiRequest, body: &Value) -> Result<Ask, Problem> {
    if request.header(VERSION_HEADER).is_none() {
        return Err(Problem::invalid(VERSION_HEADER, "header is required"));
    }
    let required = || "Field required".to_owned();
    let model = text_of(body, "model").ok_or_else(|| Problem::invalid("model", required()))?;
    let output_max = count_of(body, "max_tokens")?;
    let output_max = output_max.ok_or_else(|| Problem::invalid("max_tokens", required()))?;
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or_else(|| Problem::invalid("messages", required()))?;
    if messages.is_empty() {
        return Err(Problem::invalid("messages", "at least one message is required"));
    }
    check_temperature(body, 1.0)?;
    let mut ask = Ask { model, output_max: Some(output_max), ..Ask::default() };
    match body.get("system") {
        None => {}
        system => {
            let text = texts(system);
            ask.input = text.ok_or_else(|| Problem::invalid("system", "must be text"))?;
        }
    }
    for (place, message) in messages.iter().enumerate() {
        let field = |name: &str| format!("messages.{place}.{name}");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !["user", "assistant"].contains(&role) {
            let problem = "Input should be 'user' or 'assistant'".to_owned();
            return Err(Problem::Invalid(field("role"), problem));
        }
        let text = texts(message.get("content")).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| {
            Problem::Invalid(field("content"), "text content blocks must be non-empty".to_owned())
        })?;
        ask.input.push_str(&text);
        if role == "user" {
            ask.prompt = text;
        }
    }
    ask.shape = shape(body)?;
    if let Some(tools) = body.get("tools") {
        ask.input.push_str(&tools.to_string());
    }
    Ok(ask)
}

/// A tool that the model is made to call.
fn shape(body: &Value) -> Result<Option<Shape>, Problem> {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (place, tool) in tools.iter().enumerate() {
        let has_type = tool["input_schema"].get("type").is_some_and(|kind| kind == "object");
        if tool["name"].as_str().is_none_or(str::is_empty) || !has_type {
            let field = format!("tools.{place}");
            let problem = "a name and an input_schema of type object are required".to_owned();
            return Err(Problem::Invalid(field, problem));
        }
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(None) };
    let named = match choice.get("type").and_then(Value::as_str) {
        Some("tool") => tools.iter().find(|tool| tool["name"] == choice["name"]),
        Some("any") => tools.first(),
        _ => return Ok(None),
    };
    let Some(tool) = named else {
        return Err(Problem::invalid("tool_choice", "Tool not found in provided tools"));
    };
    let name = tool["name"].as_str().map(str::to_owned);
    Ok(Some(Shape { schema: tool["input_schema"].clone(), tool: name }))
}

pub(super) fn answer(ask: &Ask, said: &Said, id: u64) -> Value {
    let tool = ask.shape.as_ref().and_then(|shape| shape.tool.as_ref());
    // The input of a tool that was cut is not given at all, and one that is no JSON is said as text.
    let input = if said.end == End::Length { None } else { serde_json::from_str(&said.text).ok() };
    let (content, stop_reason) = match (said.end, tool, input) {
        (End::Refusal | End::Blocked, ..) => (json!([]), "refusal"),
        (End::Length, Some(name), _) => {
            let cut = json!({"type": "tool_use", "id": format!("toolu_lab{id}"), "name": name, "input": {}});
            (json!([cut]), "max_tokens")
        }
        (End::Length, None, _) => (json!([{"type": "text", "text": said.text}]), "max_tokens"),
        (End::Whole, ..) if said.text.is_empty() => (json!([]), "end_turn"),
        (End::Whole, Some(name), Some(input)) => {
            let input: Value = input;
            let call = json!({"type": "tool_use", "id": format!("toolu_lab{id}"), "name": name, "input": input});
            (json!([call]), "tool_use")
        }
        (End::Whole, ..) => (json!([{"type": "text", "text": said.text}]), "end_turn"),
    };
    json!({
        "id": format!("msg_lab{id}"),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
    })
}

pub(super) fn models(models: &[String]) -> Value {
    let model = |id: &String| json!({"type": "model", "id": id, "display_name": id});
    let data: Vec<Value> = models.iter().map(model).collect();
    json!({ "data": data, "has_more": false })
}

pub(super) fn error(problem: &Problem, id: u64) -> Told {
    let mut headers = Headers::new();
    let (status, kind, message) = match problem {
        Problem::NoKey => (401, "authentication_error", "x-api-key header is required".to_owned()),
        Problem::BadKey => (401, "authentication_error", "invalid x-api-key".to_owned()),
        Problem::NoModel(model) => (404, "not_found_error", format!("model: {model}")),
        Problem::Invalid(field, problem) => {
            (400, "invalid_request_error", format!("{field}: {problem}"))
        }
        Problem::TooMany(refusal) => {
            headers.push(("retry-after", seconds_up(refusal.wait).to_string()));
            let unit = match refusal.counts {
                Counts::Requests => "requests",
                Counts::Tokens => "tokens",
            };
            let message = format!(
                "This request would exceed your organization's rate limit of {} {unit} per minute. Please reduce the \
                 prompt length or the maximum tokens requested, or try again later.",
                refusal.limit
            );
            (429, "rate_limit_error", message)
        }
        Problem::Quota => {
            let message =
                "You have reached the monthly spend limit of your organization's usage tier.";
            (429, "rate_limit_error", message.to_owned())
        }
        Problem::Internal => (500, "api_error", "Internal server error".to_owned()),
        Problem::Overloaded => (529, "overloaded_error", "Overloaded".to_owned()),
    };
    let mut error = json!({"type": kind, "message": message});
    if *problem == Problem::Quota {
        error["details"] = json!({"error_code": "enforced_spend_limit_reached"});
    }
    let request_id = format!("req_lab{id}");
    let body = json!({"type": "error", "error": error, "request_id": request_id});
    Told { status, headers, body }
}

pub(super) fn headers(lefts: Lefts, wall: Timestamp) -> Headers {
    const REQUESTS: [&str; 3] = [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ];
    const TOKENS: [&str; 3] = [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ];
    let three = |names: [&'static str; 3], left: Left| {
        let reset = iso(wall + left.reset);
        names.into_iter().zip([left.limit.to_string(), left.remaining.to_string(), reset])
    };
    let requests = lefts.requests.into_iter().flat_map(|left| three(REQUESTS, left));
    requests.chain(lefts.tokens.into_iter().flat_map(|left| three(TOKENS, left))).collect()
}
