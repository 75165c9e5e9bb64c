//! The environment, read here and nowhere else. Each name is a constant with what it does.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door that the lint points everyone else to"
)]

/// The key that `paceline serve` asks of its callers; made and shown once if not set.
const API_KEY: &str = "PACELINE_API_KEY";
/// What is logged to stderr: `error`, `warn` (the default), `info`, or a filter such as `paceline_engine=debug`.
const LOG: &str = "PACELINE_LOG";

/// The API key, if one is set.
pub(crate) fn api_key() -> Option<String> {
    std::env::var(API_KEY).ok().filter(|key| !key.is_empty())
}

/// The log filter, if one is set.
pub(crate) fn log_filter() -> Option<String> {
    std::env::var(LOG).ok().filter(|filter| !filter.is_empty())
}
