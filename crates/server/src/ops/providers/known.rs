//! Which service a key is for, and what its answer to a test means.

use paceline_engine::AiService;

use crate::error::{ApiError, Result};

/// The service of that name, or failing that the one whose keys begin so.
pub(super) fn service(name: Option<&str>, key: &str) -> Result<&'static AiService> {
    if let Some(name) = name {
        return named(name);
    }
    AiService::of_key(key).ok_or_else(|| {
        let names = AiService::NAMES.join(", ");
        ApiError::field(
            "provider",
            format!("is not told by this key's beginning; give one of {names}"),
        )
    })
}

pub(super) fn named(name: &str) -> Result<&'static AiService> {
    AiService::named(name).ok_or_else(|| {
        ApiError::field("provider", format!("is not one of {}", AiService::NAMES.join(", ")))
    })
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
