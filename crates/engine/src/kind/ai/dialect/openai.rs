//! OpenAI's chat completions (API reference, "Create chat completion"; guides "Structured outputs" and "Rate limits"), and
//! whoever offers them too.

use paceline_model::CellError;
use serde_json::{Value as Json, json};

use super::{Question, SHAPE_NAME, Said, no_answer, refused, text, truncated};
use crate::ai_service::{AiService, Dialect};
use crate::kind::ai::schema;

pub(super) fn body(service: &AiService, question: &Question<'_>) -> Json {
    let schema = question.shape.and_then(|shape| shape.schema.as_ref());
    // JSON without a schema is only given where the word stands in a message.
    let in_words = match (question.shape, schema) {
        (None, _) => None,
        (Some(_), Some(schema)) if !service.takes_schema => {
            Some(format!("Answer with JSON that satisfies this JSON Schema: {schema}"))
        }
        (Some(_), Some(_)) => None,
        (Some(_), None) => Some("Answer with JSON.".to_owned()),
    };
    let system = [question.system.map(str::to_owned), in_words];
    let system: Vec<String> = system.into_iter().flatten().collect();
    let mut messages = Vec::with_capacity(2);
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    messages.push(json!({"role": "user", "content": question.prompt}));
    let mut body = json!({"model": question.model, "messages": messages});
    // OpenAI's newer models refuse the older name, and others do not know the newer one.
    let name = match service.dialect {
        Dialect::OpenAi => "max_completion_tokens",
        _ => "max_tokens",
    };
    body[name] = json!(question.max_tokens);
    if let Some(temperature) = question.temperature {
        body["temperature"] = json!(temperature);
    }
    match schema {
        Some(schema) if service.takes_schema => {
            let strict = schema::is_strict(schema);
            let named = json!({"name": SHAPE_NAME, "strict": strict, "schema": schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": named});
        }
        _ if question.shape.is_some() => body["response_format"] = json!({"type": "json_object"}),
        _ => {}
    }
    body
}

pub(super) fn read(reply: &Json) -> Result<Said, CellError> {
    let choice = &reply["choices"][0];
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(no_answer("no choices with a message"));
    };
    if let Some(refusal) = message["refusal"].as_str().filter(|refusal| !refusal.is_empty()) {
        return Err(refused(refusal));
    }
    match choice["finish_reason"].as_str() {
        Some("length") => Err(truncated()),
        Some("content_filter") => Err(refused("its content filter")),
        _ => text(message["content"].as_str().unwrap_or_default()),
    }
}

pub(super) fn tokens(reply: &Json) -> Option<u64> {
    let usage = reply.get("usage")?;
    let count = |name: &str| usage.get(name).and_then(Json::as_u64);
    count("total_tokens")
        .or_else(|| Some(count("prompt_tokens")?.saturating_add(count("completion_tokens")?)))
}
