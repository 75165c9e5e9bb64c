//! The environment, read here and nowhere else. Each name is a constant with what it does.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door that the lint points everyone else to"
)]

use crate::store::StoreUrl;

/// The key that `paceline serve` asks of its callers; made and shown once if not set.
const API_KEY: &str = "PACELINE_API_KEY";
/// What is logged to stderr: `error`, `warn` (the default), `info`, or a filter such as `paceline_engine=debug`.
const LOG: &str = "PACELINE_LOG";

/// Where `paceline serve` keeps tables, runs and changes, if not in its directory: what `--store` takes, for addresses
/// with a password in them.
const STORE: &str = "PACELINE_STORE";

/// The API key, if one is set.
pub(crate) fn api_key() -> Option<String> {
    std::env::var(API_KEY).ok().filter(|key| !key.is_empty())
}

/// The address of the store, if one is set.
pub(crate) fn store() -> Option<StoreUrl> {
    let url = std::env::var(STORE).ok().filter(|url| !url.is_empty())?;
    url.parse().ok()
}

/// The log filter, if one is set.
pub(crate) fn log_filter() -> Option<String> {
    std::env::var(LOG).ok().filter(|filter| !filter.is_empty())
}
