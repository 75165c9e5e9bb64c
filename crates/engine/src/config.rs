//! What an engine is made with.

use std::fmt;
use std::sync::Arc;

use paceline_governor::Ceilings;
use paceline_hex::TokenSource;
use paceline_model::limits;

use crate::{OutboundGuard, ProviderFactory, Sealer};

/// Settings of an engine.
#[derive(Clone)]
pub struct EngineConfig {
    /// How much a column's rate may ask for.
    pub ceilings: Ceilings,
    /// Which addresses may be called.
    pub outbound: OutboundGuard,
    /// Seals the secrets of column configs; `None` keeps them out of the store altogether: then a column with secrets
    /// is refused.
    pub sealer: Option<Sealer>,
    /// What makes the calls.
    pub providers: ProviderFactory,
    /// Where the token of an `integration` column comes from whose configuration has none.
    pub tokens: Option<Arc<dyn TokenSource>>,
}

impl Default for EngineConfig {
    /// The platform's ceilings, private addresses refused, no sealer, real HTTP.
    fn default() -> Self {
        Self {
            ceilings: Ceilings {
                concurrent_max: limits::COLUMN_CONCURRENT_MAX,
                rate_max: limits::COLUMN_RATE_MAX,
                rate_optional: false,
            },
            outbound: OutboundGuard::default(),
            sealer: None,
            providers: ProviderFactory::Http,
            tokens: None,
        }
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ceilings, outbound, sealer, providers, tokens } = self;
        f.debug_struct("EngineConfig")
            .field("ceilings", ceilings)
            .field("outbound", outbound)
            .field("sealer", sealer)
            .field("providers", providers)
            .field("tokens", &tokens.is_some())
            .finish()
    }
}
