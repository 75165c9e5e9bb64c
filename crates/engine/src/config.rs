//! What an engine is made with.

use std::fmt;
use std::sync::Arc;

use paceline_clock::Clock;
use paceline_governor::Ceilings;
use paceline_hex::TokenSource;
use paceline_model::limits;
use paceline_script::{FunctionHost, Pool};

use crate::{OutboundGuard, ProviderFactory, Recordings, Sealer};

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
    /// Where formulas run.
    pub formulas: Pool,
    /// Where functions run; without it a run of a `function` column cannot begin.
    pub functions: Option<FunctionHost>,
    /// Where runs are recorded that are to be; without it such a run is refused.
    pub recordings: Option<Arc<dyn Recordings>>,
}

impl Default for EngineConfig {
    /// The platform's ceilings, private addresses refused, no sealer, real HTTP, formulas on as many threads as there are cores,
    /// no functions, no recordings.
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
            formulas: Pool::new(Clock::system(), threads()),
            functions: None,
            recordings: None,
        }
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ceilings, outbound, sealer, providers, tokens, formulas, functions, recordings } =
            self;
        f.debug_struct("EngineConfig")
            .field("ceilings", ceilings)
            .field("outbound", outbound)
            .field("sealer", sealer)
            .field("providers", providers)
            .field("tokens", &tokens.is_some())
            .field("formulas", formulas)
            .field("functions", functions)
            .field("recordings", &recordings.is_some())
            .finish()
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
