//! A recorded run once more, against its own recording: the real engine and store, simulated time, no network.
//!
//! Each request is answered with what the vendor answered to the equal request of that row, after the time that it took then.
//! So the same recording under the same configuration gives the same cells, and under another rate, condition or path it
//! shows what would have come of it. A request that was never made has no answer: its cell fails with `NOT_RECORDED`.

mod answers;
mod report;
mod stage;

use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_governor::Ceilings;
use paceline_model::{RunOptions, RunStatus, Scope, Store, limits};
use serde_json::Value as Json;

use crate::{
    Engine, EngineConfig, Error, OutboundGuard, ProviderFactory, Recording, Result, Sealer,
};
use answers::Answers;
pub use report::{Difference, Ending, Report};
use stage::Stage;

/// The column that is filled in a replay, where it differs from the recorded one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Altered {
    /// Another configuration; secrets may be masked, for nobody is shown them.
    pub config: Option<Json>,
    /// Another rate: a preset's name or a rate object.
    pub rate_limit: Option<Json>,
}

/// Replays a recording on a store that is empty and thrown away afterwards. `clock` should be simulated, and stand where the
/// recording begins: an hour then takes no time.
///
/// # Errors
/// The altered configuration or rate is wrong, or does not fit the recorded columns; the store's.
pub async fn replay(
    recording: &Recording,
    altered: Altered,
    store: Arc<dyn Store>,
    clock: &Clock,
) -> Result<Report> {
    let answers = Arc::new(Answers::new(recording, clock.clone()));
    let random = Random::seeded(1);
    let config = EngineConfig {
        // What the recorded run might do, it may do again.
        ceilings: Ceilings {
            concurrent_max: limits::CLI_CONCURRENT_MAX,
            rate_max: limits::CLI_RATE_MAX,
            rate_optional: true,
        },
        // Nothing is called, so any address may be.
        outbound: OutboundGuard::private(true),
        sealer: Some(Sealer::new(&[0; 32], random.clone())),
        providers: ProviderFactory::Fixed(Arc::clone(&answers) as Arc<dyn crate::Provider>),
        ..EngineConfig::default()
    };
    let engine = Engine::new(store, clock.clone(), random, config);
    let stage = Stage::set(&engine, recording, altered).await?;
    answers.know(stage.ids());
    let options = RunOptions { caps: recording.header.caps, ..RunOptions::default() };
    let began = clock.now();
    let runs = engine.start_runs(&stage.table, &[&stage.column], Scope::All, options).await?;
    let first = runs.first().map(|run| run.id);
    let first = first.ok_or_else(|| Error::Internal("a replay's run was not made".to_owned()))?;
    let mut run = engine.wait(first).await?;
    for _ in 0..recording.resumed {
        if run.status != RunStatus::Paused {
            break;
        }
        // As it was then.
        engine.resume_run(run.id).await?;
        run = engine.wait(run.id).await?;
    }
    let elapsed = clock.now() - began;
    report::made(&engine, recording, &stage, &answers, run, elapsed).await
}
