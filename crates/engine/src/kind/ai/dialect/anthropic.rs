//! Anthropic's messages (API reference, "Create a Message"; pages "Tool use", "Handling stop reasons" and "Rate limits").

use paceline_model::CellError;
use serde_json::{Value as Json, json};

use super::{Question, SHAPE_NAME, Said, no_answer, refused, text, truncated};
use crate::task::cell_error;

pub(super) fn body(question: &Question<'_>) -> Json {
    let mut body = json!({
        "model": question.model,
        "max_tokens": question.max_tokens,
        "messages": [{"role": "user", "content": question.prompt}],
    });
    if let Some(system) = question.system {
        body["system"] = json!(system);
    }
    if let Some(temperature) = question.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(shape) = question.shape {
        let any = json!({"type": "object"});
        let schema = shape.schema.as_ref().unwrap_or(&any);
        body["tools"] = json!([{
            "name": SHAPE_NAME,
            "description": "Takes the answer to the question.",
            "input_schema": schema,
        }]);
        body["tool_choice"] = json!({"type": "tool", "name": SHAPE_NAME});
    }
    body
}

pub(super) fn read(reply: &Json, shaped: bool) -> Result<Said, CellError> {
    let Some(content) = reply.get("content").and_then(Json::as_array) else {
        return Err(no_answer("no content"));
    };
    match reply["stop_reason"].as_str() {
        Some("max_tokens") => return Err(truncated()),
        Some("refusal") => return Err(refused("the model refused")),
        Some("model_context_window_exceeded") => {
            let message =
                "the answer was cut at the end of the model's context; shorten the prompt";
            return Err(cell_error("AI_TRUNCATED", message));
        }
        _ => {}
    }
    let call = content.iter().find(|block| block["type"] == "tool_use").filter(|_| shaped);
    if let Some(call) = call {
        return Ok(Said::Json(call["input"].clone()));
    }
    let texts = content.iter().filter(|block| block["type"] == "text");
    let texts: String = texts.filter_map(|block| block["text"].as_str()).collect();
    text(&texts)
}

/// What is read from a cache counts against no limit of today's models.
pub(super) fn tokens(reply: &Json) -> Option<u64> {
    let usage = reply.get("usage")?;
    let count = |name: &str| usage.get(name).and_then(Json::as_u64);
    let cached = count("cache_creation_input_tokens").unwrap_or(0);
    Some(count("input_tokens")?.saturating_add(cached).saturating_add(count("output_tokens")?))
}
