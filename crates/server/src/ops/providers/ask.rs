//! A question to a provider: where it goes, how the key is shown, and what models the answer names.

use http::{HeaderName, HeaderValue, header};
use paceline_engine::FetchReply;
use serde_json::Value as Json;
use url::Url;

use super::known::Known;
use crate::error::{ApiError, Result};

/// Models of a provider that are kept.
const MODELS_MAX: usize = 500;
/// Bytes of a model's name.
const MODEL_BYTES_MAX: usize = 256;

/// The headers that show a key to a provider.
pub(super) fn credentials(known: &Known, key: &str) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let (name, text) = match known.key_header {
        None => (header::AUTHORIZATION, format!("Bearer {key}")),
        Some(name) => (HeaderName::from_static(name), key.to_owned()),
    };
    let value = HeaderValue::from_str(&text);
    let mut value =
        value.map_err(|_| ApiError::internal("a provider's key cannot stand in a header"))?;
    value.set_sensitive(true);
    let mut headers = vec![(name, value)];
    headers.extend(
        known
            .version
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
    );
    Ok(headers)
}

/// `base` with one more segment.
pub(super) fn joined(base: &Url, segment: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(segment);
    }
    url
}

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
