//! Google's Gemini API: `POST /v1beta/models/MODEL:generateContent`.
//!
//! After its API reference, its pages "Rate limits" and "Troubleshooting", and AIP-193 for errors, November 2026. Of an
//! answer nothing but a 429's body tells of limits.

use serde_json::{Value, json};

use super::{
    Ask, Counts, End, Problem, Said, Shape, Told, TooMany, check_temperature, count_of, seconds_up,
    text_of, texts,
};
use crate::ai::request::AiRequest;
use crate::hints::Headers;

pub(super) const PREFIX: &str = "/v1beta/models/";
pub(super) const KEY_HEADER: &str = "x-goog-api-key";
const METHOD: &str = ":generateContent";
/// Words of JSON Schema that `responseSchema`, which is OpenAPI's subset, does not know.
const UNKNOWN_WORDS: [&str; 5] = ["$schema", "additionalProperties", "const", "oneOf", "$ref"];
const DEPTH_MAX: usize = 32;

pub(super) fn read(request: &AiRequest, body: &Value) -> Result<Ask, Problem> {
    let model = request.path.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(METHOD));
    let model = model.ok_or_else(|| Problem::NoModel(request.path.clone()))?.to_owned();
    let contents = body.get("contents").and_then(Value::as_array).filter(|all| !all.is_empty());
    let contents =
        contents.ok_or_else(|| Problem::invalid("contents", "contents is not specified"))?;
    let mut ask = Ask { model, ..Ask::default() };
    if let Some(system) = body.get("systemInstruction") {
        let text = texts(system.get("parts"));
        ask.input = text.ok_or_else(|| {
            Problem::invalid("systemInstruction", "must have at least one text part")
        })?;
    }
    for (place, content) in contents.iter().enumerate() {
        let role = text_of(content, "role").unwrap_or_else(|| "user".to_owned());
        if !["user", "model"].contains(&role.as_str()) {
            let problem = "Please use a valid role: user, model.".to_owned();
            return Err(Problem::Invalid(format!("contents[{place}].role"), problem));
        }
        let text = texts(content.get("parts"));
        let text = text.ok_or_else(|| {
            let problem = "contents.parts must not be empty.".to_owned();
            Problem::Invalid(format!("contents[{place}].parts"), problem)
        })?;
        ask.input.push_str(&text);
        if role == "user" {
            ask.prompt = text;
        }
    }
    let config = body.get("generationConfig").unwrap_or(&Value::Null);
    check_temperature(config, 2.0)?;
    ask.output_max = count_of(config, "maxOutputTokens")?;
    ask.shape = shape(config)?;
    if let Some(shape) = &ask.shape {
        ask.input.push_str(&shape.schema.to_string());
    }
    Ok(ask)
}

fn shape(config: &Value) -> Result<Option<Shape>, Problem> {
    let schema = config.get("responseSchema");
    let is_json = config.get("responseMimeType").is_some_and(|kind| kind == "application/json");
    match schema {
        None if is_json => Ok(Some(Shape { schema: json!({"type": "OBJECT"}), tool: None })),
        None => Ok(None),
        Some(_) if !is_json => {
            let problem = "is only allowed with the response mime type application/json";
            Err(Problem::invalid("generationConfig.responseSchema", problem))
        }
        Some(schema) => {
            check_schema(schema, 0)?;
            Ok(Some(Shape { schema: schema.clone(), tool: None }))
        }
    }
}

fn check_schema(schema: &Value, depth: usize) -> Result<(), Problem> {
    let at = "generation_config.response_schema";
    let Some(words) = schema.as_object().filter(|_| depth <= DEPTH_MAX) else {
        return Err(Problem::invalid(at, "must be a schema, not nested too deep"));
    };
    if let Some(word) = words.keys().find(|word| UNKNOWN_WORDS.contains(&word.as_str())) {
        let problem = format!("Invalid JSON payload received. Unknown name \"{word}\"");
        return Err(Problem::invalid(at, problem));
    }
    if words.get("type").is_some_and(Value::is_array) {
        return Err(Problem::invalid(at, "Proto field is not repeating, cannot start list: type"));
    }
    let properties = words.get("properties").and_then(Value::as_object);
    let inner = properties.into_iter().flat_map(|properties| properties.values());
    inner.chain(words.get("items")).try_for_each(|inner| check_schema(inner, depth + 1))
}

pub(super) fn answer(ask: &Ask, said: &Said, id: u64) -> Value {
    let usage = json!({
        "promptTokenCount": said.input_tokens,
        "candidatesTokenCount": said.output_tokens,
        "totalTokenCount": said.input_tokens + said.output_tokens,
    });
    let mut answer = json!({
        "usageMetadata": usage, "modelVersion": ask.model, "responseId": format!("lab{id}"),
    });
    if said.end == End::Blocked {
        answer["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
        return answer;
    }
    let finish_reason = match said.end {
        End::Length => "MAX_TOKENS",
        End::Refusal => "SAFETY",
        End::Whole | End::Blocked => "STOP",
    };
    let mut candidate = json!({"finishReason": finish_reason, "index": 0});
    if said.end != End::Refusal {
        let parts = if said.text.is_empty() { json!([]) } else { json!([{"text": said.text}]) };
        candidate["content"] = json!({"parts": parts, "role": "model"});
    }
    answer["candidates"] = json!([candidate]);
    answer
}

pub(super) fn models(models: &[String]) -> Value {
    let model = |id: &String| json!({"name": format!("models/{id}"), "displayName": id});
    json!({ "models": models.iter().map(model).collect::<Vec<_>>() })
}

pub(super) fn error(problem: &Problem) -> Told {
    let info = |reason: &str| {
        json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        }])
    };
    let (code, status, message, details) = match problem {
        Problem::NoKey => {
            let message = "Method doesn't allow unregistered callers (callers without established identity). Please use \
                           API Key or other form of API consumer identity to call this API.";
            (403, "PERMISSION_DENIED", message.to_owned(), Value::Null)
        }
        // Not 401: that is what Google answers.
        Problem::BadKey => {
            let message = "API key not valid. Please pass a valid API key.".to_owned();
            (400, "INVALID_ARGUMENT", message, info("API_KEY_INVALID"))
        }
        Problem::NoModel(model) => {
            let message = format!("models/{model} is not found for API version v1beta.");
            (404, "NOT_FOUND", message, Value::Null)
        }
        Problem::Invalid(field, problem) => {
            (400, "INVALID_ARGUMENT", format!("* {field}: {problem}"), Value::Null)
        }
        Problem::TooMany(refusal) => {
            let message = format!(
                "You exceeded your current quota, please check your plan and billing details. \nPlease retry in {}s.",
                refusal.wait.as_secs_f64()
            );
            (429, "RESOURCE_EXHAUSTED", message, too_many(refusal))
        }
        Problem::Quota => {
            let message = "This API method requires billing to be enabled. Please enable billing on project #0.";
            (403, "PERMISSION_DENIED", message.to_owned(), info("BILLING_DISABLED"))
        }
        Problem::Internal => {
            (500, "INTERNAL", "An internal error has occurred.".to_owned(), Value::Null)
        }
        Problem::Overloaded => {
            let message = "The model is overloaded. Please try again later.".to_owned();
            (503, "UNAVAILABLE", message, Value::Null)
        }
    };
    let mut error = json!({"code": code, "message": message, "status": status});
    if !details.is_null() {
        error["details"] = details;
    }
    Told { status: code, headers: Headers::new(), body: json!({ "error": error }) }
}

fn too_many(refusal: &TooMany) -> Value {
    let (metric, id) = match refusal.counts {
        Counts::Requests => {
            ("generate_content_requests", "GenerateRequestsPerMinutePerProjectPerModel")
        }
        Counts::Tokens => {
            ("generate_content_input_token_count", "GenerateContentInputTokensPerModelPerMinute")
        }
    };
    json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
            "quotaMetric": format!("generativelanguage.googleapis.com/{metric}"),
            "quotaId": id,
            "quotaValue": refusal.limit.to_string(),
        }]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", seconds_up(refusal.wait))},
    ])
}
