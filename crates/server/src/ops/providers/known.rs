//! The AI providers that are known: how their keys begin, where they are, and how a key is shown to them.

use crate::error::{ApiError, Result};

/// Anything that speaks as OpenAI does, at an address of its own.
pub(super) const OPENAI_COMPATIBLE: &str = "openai_compatible";

/// Their names.
pub(crate) const NAMES: [&str; 7] =
    ["anthropic", "openai", "google", "groq", "deepseek", "mistral", OPENAI_COMPATIBLE];

/// A provider. From their API references, as of 2026-11.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// How its keys begin, where that tells it from the others (hypertab.md a8).
    prefix: Option<&'static str>,
    /// `{base_url}/models` lists its models.
    pub(super) base_url: Option<&'static str>,
    /// The header for its key; `Authorization: Bearer` if none.
    pub(super) key_header: Option<&'static str>,
    /// A header that says which version of its API is meant.
    pub(super) version: Option<(&'static str, &'static str)>,
}

/// The longer prefix first.
const KNOWN: [Known; 7] = [
    Known {
        name: NAMES[0],
        prefix: Some("sk-ant-"),
        base_url: Some("https://api.anthropic.com/v1"),
        key_header: Some("x-api-key"),
        version: Some(("anthropic-version", "2023-06-01")),
    },
    Known { prefix: Some("sk-"), ..bearer(NAMES[1], "https://api.openai.com/v1") },
    Known {
        prefix: Some("AIza"),
        key_header: Some("x-goog-api-key"),
        ..bearer(NAMES[2], "https://generativelanguage.googleapis.com/v1beta")
    },
    Known { prefix: Some("gsk_"), ..bearer(NAMES[3], "https://api.groq.com/openai/v1") },
    bearer(NAMES[4], "https://api.deepseek.com"),
    bearer(NAMES[5], "https://api.mistral.ai/v1"),
    Known { base_url: None, ..bearer(OPENAI_COMPATIBLE, "") },
];

const fn bearer(name: &'static str, base_url: &'static str) -> Known {
    Known { name, prefix: None, base_url: Some(base_url), key_header: None, version: None }
}

impl Known {
    /// The provider of that name, or failing that the one whose keys begin so.
    pub(super) fn of(name: Option<&str>, key: &str) -> Result<&'static Self> {
        if let Some(name) = name {
            return Self::named(name);
        }
        let begins = |known: &&Self| known.prefix.is_some_and(|prefix| key.starts_with(prefix));
        KNOWN.iter().find(begins).ok_or_else(|| {
            let names = NAMES.join(", ");
            ApiError::field(
                "provider",
                format!("is not told by this key's beginning; give one of {names}"),
            )
        })
    }

    pub(super) fn named(name: &str) -> Result<&'static Self> {
        KNOWN.iter().find(|known| known.name == name).ok_or_else(|| {
            ApiError::field("provider", format!("is not one of {}", NAMES.join(", ")))
        })
    }
}

/// What is wrong, by the status of the answer; `None` if nothing is.
pub(super) fn problem(status: u16) -> Option<String> {
    Some(match status {
        200..=299 => return None,
        401 | 403 => format!("the provider does not take this key (HTTP {status}); save it again"),
        404 => "there is no list of models at this address (HTTP 404); check base_url".to_owned(),
        429 => "the provider has no room at the moment (HTTP 429); test it later".to_owned(),
        _ => format!("the provider answered HTTP {status}; test it later"),
    })
}
