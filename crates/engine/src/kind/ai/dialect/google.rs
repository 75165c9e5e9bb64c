//! Google's `generateContent` (API reference, "Generating content"; pages "Structured output" and "Rate limits").

use paceline_model::CellError;
use serde_json::{Value as Json, json};

use super::{Question, Said, no_answer, refused, text, truncated};
use crate::kind::ai::schema;

pub(super) fn body(question: &Question<'_>) -> Json {
    let mut config = json!({"maxOutputTokens": question.max_tokens});
    if let Some(temperature) = question.temperature {
        config["temperature"] = json!(temperature);
    }
    if let Some(shape) = question.shape {
        config["responseMimeType"] = json!("application/json");
        if let Some(schema) = &shape.schema {
            config["responseSchema"] = schema::for_google(schema);
        }
    }
    let mut body = json!({
        "contents": [{"role": "user", "parts": [{"text": question.prompt}]}],
        "generationConfig": config,
    });
    if let Some(system) = question.system {
        body["systemInstruction"] = json!({"parts": [{"text": system}]});
    }
    body
}

pub(super) fn read(reply: &Json) -> Result<Said, CellError> {
    if let Some(reason) = reply["promptFeedback"]["blockReason"].as_str() {
        return Err(refused(&format!("the prompt was blocked ({reason})")));
    }
    let Some(candidate) = reply.get("candidates").and_then(|all| all.get(0)) else {
        return Err(no_answer("no candidates"));
    };
    match candidate["finishReason"].as_str() {
        Some("MAX_TOKENS") => return Err(truncated()),
        None | Some("STOP" | "FINISH_REASON_UNSPECIFIED" | "OTHER") => {}
        // SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT, SPII, LANGUAGE and what may come.
        Some(reason) => return Err(refused(&format!("it stopped with {reason}"))),
    }
    let parts = candidate["content"]["parts"].as_array().map_or(&[][..], Vec::as_slice);
    let said = parts.iter().filter(|part| part["thought"] != true);
    let said: String = said.filter_map(|part| part["text"].as_str()).collect();
    text(&said)
}

/// Google limits input tokens.
pub(super) fn tokens(reply: &Json) -> Option<u64> {
    reply.get("usageMetadata")?.get("promptTokenCount")?.as_u64()
}
