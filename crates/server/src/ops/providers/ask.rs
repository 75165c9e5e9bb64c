//! What models a provider's answer names.

use paceline_engine::FetchReply;
use serde_json::Value as Json;

/// Models of a provider that are kept.
const MODELS_MAX: usize = 500;
/// Bytes of a model's name.
const MODEL_BYTES_MAX: usize = 256;

/// The models of a reply: `data[].id` as OpenAI lists them, or `models[].name` as Google does.
pub(super) fn models(reply: &FetchReply) -> Vec<String> {
    let json: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
    let listed = json.get("data").or_else(|| json.get("models")).and_then(Json::as_array);
    let names = listed.into_iter().flatten().filter_map(|model| {
        let name = model.get("id").or_else(|| model.get("name"))?.as_str()?;
        Some(name.strip_prefix("models/").unwrap_or(name))
    });
    let mut names: Vec<String> =
        names.filter(|name| name.len() <= MODEL_BYTES_MAX).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names.truncate(MODELS_MAX);
    names
}
