//! A run followed to its end: its progress shown, and stopped in an orderly way when asked to.

use paceline_clock::Clock;
use paceline_engine::{Engine, Progress};
use paceline_model::Run;

use crate::exit::Failure;
use crate::output;
use crate::progress;
use crate::signals::Signals;

/// Waits for a run to end; answers it as it then stands, and how far it came. `stopping` is what is told when a signal
/// stops it.
pub(crate) async fn follow(
    engine: &Engine,
    run: &Run,
    clock: &Clock,
    signals: &mut Signals,
    stopping: impl Fn(&Progress) -> String,
) -> Result<(Run, Option<Progress>), Failure> {
    let Some(snapshot) = engine.follow(run.id) else {
        return Ok((engine.wait(run.id).await?, None));
    };
    let ended = {
        let shown = progress::show(clock.clone(), &snapshot);
        let waited = engine.wait(run.id);
        tokio::pin!(shown, waited);
        tokio::select! {
            ended = &mut waited => Some(ended?),
            () = signals.next() => None,
            () = &mut shown => None,
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            output::note(&stopping(&snapshot()));
            stop(engine, run, signals).await?
        }
    };
    Ok((ended, Some(snapshot())))
}

async fn stop(engine: &Engine, run: &Run, signals: &mut Signals) -> Result<Run, Failure> {
    tokio::select! {
        () = engine.shutdown() => {}
        () = signals.next() => {}
    }
    let known = engine.store().run(run.id).await?;
    Ok(known.unwrap_or_else(|| run.clone()))
}
