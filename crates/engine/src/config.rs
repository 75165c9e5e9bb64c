//! What an engine is made with.

use paceline_governor::Ceilings;
use paceline_model::limits;

use crate::{OutboundGuard, ProviderFactory, Sealer};

/// Settings of an engine.
#[derive(Clone, Debug)]
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
        }
    }
}
