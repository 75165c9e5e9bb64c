//! `paceline enrich`: a file, an API, one call per row, and the file with its new column.
//!
//! Nothing happens before everything that can be checked has been: the input from its first to its last line, the
//! templates, the rate, the place of the output. From then on the state stands in a folder beside OUT, so that the same
//! command resumes whatever ended the last one.

mod job;
mod record;
mod report;
pub(crate) mod request;
mod result;
mod state;
mod step;

use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, OutboundGuard, Progress, Sealer};
use paceline_model::RunStatus;

use super::follow::follow;
use crate::args::EnrichArgs;
use crate::exit::{Exit, Failure, interrupted, usage};
use crate::output;
use crate::patience::patiently;
use crate::signals::Signals;
use job::Job;
use report::Report;
use request::Request;
use state::StateDir;
use step::Step;

/// Runs one enrichment to its end, its pause or its interruption.
pub(crate) async fn run(args: EnrichArgs) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let random = Random::system();
    let mut signals = Signals::listen()?;
    let request = Arc::new(Request::check(&args)?);
    let state = patiently(&clock, || StateDir::open(&request, args.restart)).await?;
    if state.is_new()
        && let Err(failure) = record::check_new(request.record.as_deref())
    {
        state.discard_if_new();
        return Err(failure);
    }
    let state = Arc::new(state);
    // In a task of its own: a pipe may be silent for ever, and Ctrl-C must end the wait.
    let mut preparing =
        tokio::spawn(prepare(Arc::clone(&request), Arc::clone(&state), clock.clone(), random));
    let prepared = tokio::select! {
        prepared = &mut preparing => prepared.map_err(usage)?,
        () = signals.next() => {
            preparing.abort();
            Err(interrupted("interrupted before the first call"))
        }
    };
    let (engine, job) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            // Wrong input leaves nothing behind; the state of an earlier run stays.
            state.discard_if_new();
            return Err(failure);
        }
    };
    if let Some(note) = request.note() {
        output::note(&note);
    }
    let before = job.totals(&engine).await?;
    let mut report = Report::new(&before);
    let steps = job.steps(&engine, args.retry_failed).await?;
    if let Err(failure) = record::check(&engine, steps.first(), request.record.as_deref()).await {
        drop(engine);
        state.discard_if_new();
        return Err(failure);
    }
    carry_out(steps, (&engine, &job, &request), &clock, &mut signals, &mut report).await?;
    let after = job.totals(&engine).await?;
    report.finish(&after, &request.rate);
    if report.is_complete() {
        result::write(&engine, &job, &request).await?;
    }
    report.print(&request, &state);
    drop(engine);
    if report.is_complete() {
        state.discard_if_passing();
    }
    Ok(report.exit())
}

/// Makes one run after the other, until one does not come to its end. The first one is recorded, if that was asked for.
async fn carry_out(
    steps: Vec<Step>,
    (engine, job, request): (&Engine, &Job, &Request),
    clock: &Clock,
    signals: &mut Signals,
    report: &mut Report,
) -> Result<(), Failure> {
    for (at, step) in steps.into_iter().enumerate() {
        let records = request.record.is_some() && at == 0;
        if request.record.is_some() && !records {
            output::note(
                "a recording is of one run: the cells that failed before are called again without it",
            );
        }
        let run = step.begin(engine, job, records).await?;
        let (ended, progress) = follow(engine, &run, clock, signals, stopping).await?;
        progress.iter().for_each(|progress| report.add(progress));
        match ended.status {
            RunStatus::Completed | RunStatus::CompletedWithErrors => {}
            RunStatus::Paused => {
                report.paused(ended.reason.as_deref());
                break;
            }
            _ => {
                report.interrupted();
                break;
            }
        }
    }
    Ok(())
}

async fn prepare(
    request: Arc<Request>,
    state: Arc<StateDir>,
    clock: Clock,
    random: Random,
) -> Result<(Engine, Job), Failure> {
    let (store, key) = state.open_store(&clock, &random)?;
    let config = EngineConfig {
        ceilings: request::CEILINGS,
        outbound: OutboundGuard::private(request.allow_private),
        sealer: Some(Sealer::new(&key, random.clone())),
        recordings: request.record.as_deref().map(record::into_file),
        ..EngineConfig::default()
    };
    let engine = Engine::new(store, clock, random, config);
    let job = Job::open_or_make(&engine, &request, &state, &key).await?;
    Ok((engine, job))
}

fn stopping(progress: &Progress) -> String {
    format!(
        "stopping: {} calls in flight are finished first; again to stop at once",
        progress.in_flight
    )
}
