//! Services of language models: how their keys begin, where they are, how a key is shown to them, and how a person's own
//! keys for them are kept. A key is sealed for the origin that it belongs to: for any other it does not open, so nothing
//! that names another address gets it.

use http::{HeaderName, HeaderValue, header};
use paceline_model::Item;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;

use crate::{Error, Result, Sealer};

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    OpenAi,
    /// The same, as others offer them.
    Compatible,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`.
    Google,
}

/// A service of language models. From their API references, as of 2026-11.
#[derive(Debug)]
pub struct AiService {
    /// What it is called in configurations.
    pub name: &'static str,
    /// How its keys begin, where that tells it from the others.
    pub key_prefix: Option<&'static str>,
    /// Where it is; none if that has to be said. `{base_url}/models` lists its models.
    pub base_url: Option<&'static str>,
    /// The header for its key; `Authorization: Bearer` if none.
    key_header: Option<&'static str>,
    /// A header that says which version of its API is meant.
    version: Option<(&'static str, &'static str)>,
    pub(crate) dialect: Dialect,
    /// Whether it takes a JSON Schema for its answers; one that does not is told the schema in words.
    pub(crate) takes_schema: bool,
}

impl AiService {
    /// Their names.
    pub const NAMES: [&'static str; 7] =
        ["anthropic", "openai", "google", "groq", "deepseek", "mistral", "openai_compatible"];

    /// All of them; of two whose keys begin alike, the one with the longer beginning first.
    pub const ALL: [Self; 7] = [
        Self {
            key_prefix: Some("sk-ant-"),
            key_header: Some("x-api-key"),
            version: Some(("anthropic-version", "2023-06-01")),
            dialect: Dialect::Anthropic,
            ..Self::bearer(Self::NAMES[0], "https://api.anthropic.com/v1")
        },
        Self {
            key_prefix: Some("sk-"),
            dialect: Dialect::OpenAi,
            ..Self::bearer(Self::NAMES[1], "https://api.openai.com/v1")
        },
        Self {
            key_prefix: Some("AIza"),
            key_header: Some("x-goog-api-key"),
            dialect: Dialect::Google,
            ..Self::bearer(Self::NAMES[2], "https://generativelanguage.googleapis.com/v1beta")
        },
        Self {
            key_prefix: Some("gsk_"),
            ..Self::bearer(Self::NAMES[3], "https://api.groq.com/openai/v1")
        },
        Self { takes_schema: false, ..Self::bearer(Self::NAMES[4], "https://api.deepseek.com") },
        Self::bearer(Self::NAMES[5], "https://api.mistral.ai/v1"),
        Self { base_url: None, ..Self::bearer(Self::NAMES[6], "") },
    ];

    const fn bearer(name: &'static str, base_url: &'static str) -> Self {
        Self {
            name,
            key_prefix: None,
            base_url: Some(base_url),
            key_header: None,
            version: None,
            dialect: Dialect::Compatible,
            takes_schema: true,
        }
    }

    /// The service of that name; `compatible` is `openai_compatible`.
    ///
    /// ```
    /// use paceline_engine::AiService;
    /// assert_eq!(AiService::named("compatible").unwrap().name, "openai_compatible");
    /// assert!(AiService::named("my key").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: &[AiService] = &AiService::ALL;
        let name = if name == "compatible" { Self::NAMES[6] } else { name };
        ALL.iter().find(|service| service.name == name)
    }

    /// The service whose keys begin as this one does.
    #[must_use]
    pub fn of_key(key: &str) -> Option<&'static Self> {
        const ALL: &[AiService] = &AiService::ALL;
        ALL.iter().find(|service| service.key_prefix.is_some_and(|prefix| key.starts_with(prefix)))
    }

    /// The headers that show a key to it; none if the key has signs that a header cannot carry.
    #[must_use]
    pub fn credentials(&self, key: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let (name, text) = match self.key_header {
            None => (header::AUTHORIZATION, format!("Bearer {key}")),
            Some(name) => (HeaderName::from_static(name), key.to_owned()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(std::iter::once((name, value)).chain(self.version()).collect())
    }

    /// The header that names the version of its API, if it wants one.
    pub(crate) fn version(&self) -> Option<(HeaderName, HeaderValue)> {
        self.version
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    }
}

/// What the store keeps of a person's own key for a service: the body of an item of kind [`AiProvider::KIND`], whose name
/// is what the person calls it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AiProvider {
    /// The [`AiService`]'s name.
    pub provider: String,
    /// Where it is.
    pub base_url: String,
    /// Sealed for the origin of `base_url`.
    pub key: String,
    /// The end of the key.
    pub ends: String,
    /// The one that was made the default last is the default of its service.
    pub default_since_micros: Option<i64>,
    /// As of the last test.
    #[serde(default)]
    pub models: Vec<String>,
    /// When it was tested.
    pub tested_at_micros: Option<i64>,
}

impl AiProvider {
    /// The kind of their items.
    pub const KIND: &'static str = "ai_provider";

    /// Reads the body of an item.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none.
    pub fn read(item: &Item) -> Result<Self> {
        serde_json::from_value(item.body.clone())
            .map_err(|error| Error::Internal(format!("AI provider {}: {error}", item.id)))
    }

    /// The body of its item.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or(Json::Null)
    }

    /// Seals a key for the origin of `base_url`.
    #[must_use]
    pub fn seal_key(sealer: &Sealer, key: &str, base_url: &Url) -> Option<String> {
        sealer.seal(key, &place(base_url))
    }

    /// The key, for a call of `url` and no other origin.
    #[must_use]
    pub fn open_key(&self, sealer: &Sealer, url: &Url) -> Option<String> {
        sealer.open(&self.key, &place(url))
    }

    /// Which of these is the default of a service.
    #[must_use]
    pub fn default_of<'a>(all: &'a [(Item, Self)], service: &str) -> Option<&'a (Item, Self)> {
        let of = all.iter().filter(|(_, body)| body.provider == service);
        of.max_by_key(|(item, body)| (body.default_since_micros, -item.id))
    }
}

/// What a key is sealed for: the provider's origin.
fn place(url: &Url) -> String {
    format!("{} {}", AiProvider::KIND, url.origin().ascii_serialization())
}

/// `base` with more segments.
#[must_use]
pub fn ai_url(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
