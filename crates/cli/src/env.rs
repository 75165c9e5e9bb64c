//! The environment, read here and nowhere else. Each name is a constant with what it does.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door that the lint points everyone else to"
)]

use std::path::PathBuf;

use crate::store::StoreUrl;

/// The key that `paceline serve` asks of its callers, made and shown once if not set; and the one that `paceline mcp --url`
/// shows.
const API_KEY: &str = "PACELINE_API_KEY";
/// The server that `paceline mcp` goes through, if `--url` does not name one.
const URL: &str = "PACELINE_URL";
/// What is logged to stderr: `error`, `warn` (the default), `info`, or a filter such as `paceline_engine=debug`.
const LOG: &str = "PACELINE_LOG";
/// The token for Hex. An empty one counts as none, as with all of these.
const HEX_TOKEN: &str = "HEX_TOKEN";
/// Hex's origin, if it is not `https://app.hex.tech`.
const HEX_BASE_URL: &str = "HEX_BASE_URL";
/// Where programs keep their state; `~/.local/state` if not set (XDG Base Directory).
const STATE_HOME: &str = "XDG_STATE_HOME";
/// The user's folder.
const HOME: &str = "HOME";
/// Where `paceline serve` keeps tables, runs and changes, if not in its directory: what `--store` takes, for addresses
/// with a password in them.
const STORE: &str = "PACELINE_STORE";

/// The token for Hex, if one is set.
pub(crate) fn hex_token() -> Option<String> {
    std::env::var(HEX_TOKEN).ok().filter(|token| !token.is_empty())
}

/// Hex's origin, if one is set.
pub(crate) fn hex_base_url() -> Option<String> {
    std::env::var(HEX_BASE_URL).ok().filter(|url| !url.is_empty())
}

/// The folder for the state of programs, if the user has one.
pub(crate) fn state_home() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    // The standard has relative paths ignored.
    let state = folder(STATE_HOME).filter(|path| path.is_absolute());
    state.or_else(|| folder(HOME).map(|home| home.join(".local/state")))
}

/// The file of this program, where the system tells it.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// What this process was started with, without its own name.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The API key, if one is set.
pub(crate) fn api_key() -> Option<String> {
    std::env::var(API_KEY).ok().filter(|key| !key.is_empty())
}

/// The address of a server, if one is set.
pub(crate) fn url() -> Option<String> {
    std::env::var(URL).ok().filter(|url| !url.is_empty())
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
