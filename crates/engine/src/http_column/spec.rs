//! The configuration of an `http` smart column as users write it: read, sealed, opened, masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::secret::{self, MASK, Sealer};
use crate::{Error, Result};

/// The configuration as users write it: `url`, `method`, `headers`, `body`, `extract`, `timeout_ms`, `repeatable`.
/// `url`, header values and `body` are templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// Where to call.
    pub url: String,
    /// How; GET if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: text, or any JSON whose texts are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
    /// A JSONPath (RFC 9535) into the reply; the whole reply if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
    /// Time for one call in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether a call may be made again when nobody knows whether it took effect. If not given: yes for GET, HEAD, PUT
    /// and DELETE; for POST and PATCH only if the headers name an `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeatable: Option<bool>,
}

impl HttpSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn from_json(json: &Json) -> Result<Self> {
        const FIELDS: [&str; 7] =
            ["url", "method", "headers", "body", "extract", "timeout_ms", "repeatable"];
        let unknown = json
            .as_object()
            .and_then(|fields| fields.keys().find(|name| !FIELDS.contains(&name.as_str())));
        if let Some(name) = unknown {
            return Err(Error::Config {
                field: format!("config.{}", name.chars().take(40).collect::<String>()),
                problem: format!("there is no such field; the fields are {}", FIELDS.join(", ")),
                did_you_mean: paceline_model::suggest(name, FIELDS).map(str::to_owned),
            });
        }
        check_types(json)?;
        // Every type is checked: what is still wrong is not a value, so the text repeats none.
        Self::deserialize(json).map_err(|error| Error::config("config", error.to_string()))
    }

    /// The configuration as JSON, for the store.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or(Json::Null)
    }

    /// With the secrets of its headers sealed for `place`. Without a sealer a secret is refused: it would stand in
    /// the store in plain text.
    ///
    /// # Errors
    /// [`Error::Config`] if there is a secret and no way to seal it.
    pub fn sealed(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        for (name, value) in &mut self.headers {
            if !secret::is_secret_header(name) || secret::is_sealed(value) {
                continue;
            }
            let sealed = sealer.and_then(|sealer| sealer.seal(value, &header_place(place, name)));
            *value = sealed.ok_or_else(|| {
                Error::config(
                    format!("config.headers.{name}"),
                    "holds a secret, and there is no key to seal it with",
                )
            })?;
        }
        Ok(self)
    }

    /// With the secrets of its headers opened.
    ///
    /// # Errors
    /// [`Error::Config`] if one does not open: the key of the data directory is not the one it was sealed with.
    pub fn opened(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        for (name, value) in &mut self.headers {
            if !secret::is_sealed(value) {
                continue;
            }
            let opened = sealer.and_then(|sealer| sealer.open(value, &header_place(place, name)));
            *value = opened.ok_or_else(|| {
                let problem =
                    "cannot be opened with this data directory's key; give the header again";
                Error::config(format!("config.headers.{name}"), problem)
            })?;
        }
        Ok(self)
    }

    /// With `rename` done to each of its templates.
    pub(crate) fn renamed(mut self, rename: &dyn Fn(&str) -> Result<String>) -> Result<Self> {
        self.url = rename(&self.url)?;
        for value in self.headers.values_mut() {
            *value = rename(value)?;
        }
        self.body = match self.body.take() {
            Some(Json::String(text)) => Some(Json::String(rename(&text)?)),
            // As JSON it is one template as well; names need no escaping, so it stays JSON.
            Some(json) => {
                let text = rename(&json.to_string())?;
                Some(serde_json::from_str(&text).map_err(|error| {
                    Error::config("config.body", format!("is no JSON with that name: {error}"))
                })?)
            }
            None => None,
        };
        Ok(self)
    }

    /// Everything that decides what is called for a row, as text: all but the secrets and the time-out. Two
    /// configurations with the same one make the same call.
    #[must_use]
    pub fn identity(&self) -> String {
        Self { timeout_ms: None, ..self.clone().masked() }.to_json().to_string()
    }

    /// As a person or program may see it.
    #[must_use]
    pub fn masked(mut self) -> Self {
        for (name, value) in &mut self.headers {
            if secret::is_secret_header(name) {
                MASK.clone_into(value);
            }
        }
        self
    }
}

/// Checks the type of each field, in words that never repeat a value: it may be a secret.
fn check_types(json: &Json) -> Result<()> {
    let Some(fields) = json.as_object() else {
        return Err(Error::config("config", "must be an object with at least a url"));
    };
    let texts = |json: &Json| json.as_object().is_some_and(|map| map.values().all(Json::is_string));
    let rules: [(&str, &str, bool); 6] = [
        ("url", "text", fields.get("url").is_some_and(Json::is_string)),
        ("method", "text", fields.get("method").is_none_or(|v| v.is_string() || v.is_null())),
        ("headers", "an object whose values are texts", fields.get("headers").is_none_or(texts)),
        ("extract", "text", fields.get("extract").is_none_or(|v| v.is_string() || v.is_null())),
        (
            "timeout_ms",
            "a whole number",
            fields.get("timeout_ms").is_none_or(|v| v.is_u64() || v.is_null()),
        ),
        (
            "repeatable",
            "true or false",
            fields.get("repeatable").is_none_or(|v| v.is_boolean() || v.is_null()),
        ),
    ];
    match rules.iter().find(|(_, _, fits)| !fits) {
        None => Ok(()),
        Some((name, wanted, _)) if fields.contains_key(*name) => {
            Err(Error::config(format!("config.{name}"), format!("must be {wanted}")))
        }
        Some((name, wanted, _)) => {
            Err(Error::config(format!("config.{name}"), format!("is required: {wanted}")))
        }
    }
}

fn header_place(place: &str, name: &str) -> String {
    format!("{place}.headers.{}", name.to_ascii_lowercase())
}
