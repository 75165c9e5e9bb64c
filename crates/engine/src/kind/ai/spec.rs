//! The configuration of an `ai` smart column as users write it: read, renamed, sealed, opened, masked.

use paceline_model::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::secret::{self, MASK, Sealer};
use crate::{Error, Result};

const FIELDS: [&str; 10] = [
    "provider",
    "api_key",
    "base_url",
    "model",
    "prompt",
    "system",
    "max_tokens",
    "temperature",
    "output",
    "timeout_ms",
];

/// The configuration as users write it. `prompt` and `system` are templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AiSpec {
    /// The name of a service (`openai`, `anthropic`, `google`, `compatible`, ...), or what a person calls a stored provider.
    pub(crate) provider: String,
    /// A key of the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<String>,
    /// Where the service is, if not where it is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    pub(crate) model: String,
    pub(crate) prompt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    /// Tokens that an answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f64>,
    /// `{"schema": JSON Schema}` or `{"fields": {...}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    /// The stored provider, once it was looked up.
    #[serde(skip)]
    pub(crate) found: Option<Found>,
}

/// A stored provider.
#[derive(Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) service: String,
    pub(crate) base_url: String,
    pub(crate) key: String,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Found({} at {})", self.service, self.base_url)
    }
}

impl AiSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] names the field; it never repeats a key.
    pub(crate) fn from_json(json: &Json) -> Result<Self> {
        let Some(fields) = json.as_object() else {
            return Err(Error::config(
                "config",
                "must be an object with provider, model and prompt",
            ));
        };
        if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Error::Config {
                field: format!("config.{}", name.chars().take(40).collect::<String>()),
                problem: format!("there is no such field; the fields are {}", FIELDS.join(", ")),
                did_you_mean: paceline_model::suggest(name, FIELDS).map(str::to_owned),
            });
        }
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        for name in ["provider", "model", "prompt"] {
            match given(name) {
                None => return Err(field(name, "is required: text")),
                Some(Json::String(text)) if !text.trim().is_empty() => {}
                Some(_) => return Err(field(name, "must be text, and not empty")),
            }
        }
        let number = |value: &Json| value.is_u64();
        for (name, wanted, fits) in [
            ("api_key", "text", Json::is_string as fn(&Json) -> bool),
            ("base_url", "text", Json::is_string),
            ("system", "text", Json::is_string),
            ("max_tokens", "a whole number", number),
            ("temperature", "a number", Json::is_number),
            ("timeout_ms", "a whole number", number),
        ] {
            if given(name).is_some_and(|value| !fits(value)) {
                return Err(field(name, &format!("must be {wanted}")));
            }
        }
        // Every type is checked: what is still wrong is not a value, so the text repeats none.
        let spec =
            Self::deserialize(json).map_err(|error| Error::config("config", error.to_string()))?;
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<()> {
        if self.model.len() > limits::AI_MODEL_BYTES_MAX || self.model.chars().any(char::is_control)
        {
            let most = limits::AI_MODEL_BYTES_MAX;
            return Err(field("model", &format!("must be a name of at most {most} bytes")));
        }
        if !(1..=limits::AI_OUTPUT_TOKENS_MAX).contains(&self.max_tokens()) {
            let problem = format!("must be from 1 to {}", limits::AI_OUTPUT_TOKENS_MAX);
            return Err(field("max_tokens", &problem));
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(field("temperature", "must be from 0 to 2"));
        }
        let timeout = self.timeout_ms.unwrap_or(1);
        if timeout == 0 || u128::from(timeout) > limits::CALL_TIMEOUT_MAX.as_millis() {
            let problem = format!("must be from 1 to {} ms", limits::CALL_TIMEOUT_MAX.as_millis());
            return Err(field("timeout_ms", &problem));
        }
        let key = self.api_key.as_deref().unwrap_or("k");
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "is no key: it is empty, or has signs that a header cannot carry";
            return Err(field("api_key", problem));
        }
        Ok(())
    }

    /// Tokens that an answer may take.
    pub(crate) fn max_tokens(&self) -> u64 {
        self.max_tokens.unwrap_or(limits::AI_OUTPUT_TOKENS_DEFAULT)
    }

    /// The configuration as JSON, for the store.
    pub(crate) fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or(Json::Null)
    }

    pub(crate) fn renamed(mut self, rename: &dyn Fn(&str) -> Result<String>) -> Result<Self> {
        self.prompt = rename(&self.prompt)?;
        self.system = self.system.as_deref().map(rename).transpose()?;
        Ok(self)
    }

    pub(crate) fn sealed(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        let key = self.api_key.take();
        self.api_key = secret::seal_field(key, sealer, "config.api_key", &key_place(place))?;
        Ok(self)
    }

    pub(crate) fn opened(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        let key = self.api_key.take();
        self.api_key = secret::open_field(key, sealer, "config.api_key", &key_place(place))?;
        Ok(self)
    }

    pub(crate) fn masked(mut self) -> Self {
        if let Some(key) = &mut self.api_key {
            MASK.clone_into(key);
        }
        self
    }

    /// Everything that decides what is asked for a row, as text without secrets: the service, the model, the prompts, the
    /// form of the answer and the temperature; not how long it may be or take.
    pub(crate) fn identity(&self) -> String {
        let Self { provider, base_url, model, prompt, system, temperature, output, .. } = self;
        serde_json::json!([provider, base_url, model, prompt, system, temperature, output])
            .to_string()
    }
}

pub(super) fn field(name: &str, problem: &str) -> Error {
    Error::config(format!("config.{name}"), problem)
}

fn key_place(place: &str) -> String {
    format!("{place}.api_key")
}
