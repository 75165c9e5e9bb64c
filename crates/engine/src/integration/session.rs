//! A session with Hex outside of any run, for a look or a word in between: which projects there are, where a run stands.

use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_hex::{Budgets, Options, Session, TokenSource};

use super::ProviderWire;
use crate::{Error, OutboundGuard, ProviderFactory, Result};

/// A session whose budgets nobody else shares and nothing keeps: it is for a few calls of a person's, not for runs.
///
/// # Errors
/// [`Error::Config`] names the setting; [`Error::Outbound`] if the address may not be called.
pub fn hex_session(
    options: Options,
    outbound: OutboundGuard,
    tokens: Arc<dyn TokenSource>,
    clock: Clock,
    random: Random,
) -> Result<Session> {
    outbound.check_url(&options.base_url)?;
    let refused = |error: String| Error::config("config", error);
    let budgets = Budgets::new(&options, &clock).map_err(|error| refused(error.to_string()))?;
    let provider = ProviderFactory::Http.make(&outbound, &clock, None)?;
    let wire = Arc::new(ProviderWire { provider, counter: None });
    Session::new(options, budgets, wire, tokens, clock, random)
        .map_err(|error| refused(error.to_string()))
}
