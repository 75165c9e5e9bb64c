//! `paceline hex batch`: a run per row of a file.
//!
//! Nothing happens before everything that can be checked has been. From then on the state knows the batch, and the same
//! command with `--resume` goes on with whatever ended the last one.

use std::future::Future;

use paceline_clock::{Clock, Random};
use paceline_hex::Note;
use paceline_model::CellState;

use super::account::{Account, Settings};
use super::again::command;
use super::file::{Input, Output};
use super::jobs::JobRow;
use super::ledger::{JobState, Ledger};
use super::record::{Batch, Way, Wish, way};
use super::report::Report;
use super::settle::Word;
use super::state::State;
use super::token::Tokens;
use super::work::{self, End, work};
use super::{plan, session};
use crate::args::hex::BatchArgs;
use crate::exit::{Exit, Failure, interrupted, usage};
use crate::output;
use crate::patience::patiently;
use crate::signals::Signals;

/// Runs of an abandoned batch that are named one by one.
const LEFT_SHOWN: usize = 10;

pub(super) async fn run(args: BatchArgs) -> Result<Exit, Failure> {
    let (clock, random) = (Clock::system(), Random::system());
    let began = clock.now();
    let mut signals = Signals::listen()?;
    let account = Account::of(&args.account)?;
    let settings = Settings::of(&account, &args.tuning, args.concurrency)?;
    let words: Vec<Word> =
        args.settle.iter().map(|flag| Word::read(flag)).collect::<Result<_, _>>()?;
    let output = if args.plan { None } else { Some(Output::of(&args)?) };
    let input = read(&args, &mut signals).await?;
    let Some(output) = output else {
        return plan::print(&args, &account, &settings, &input, &clock).await;
    };
    let tokens = unless_interrupted(&mut signals, Tokens::open(&args.account, &clock)).await?;
    let name = format!("hex batch {}", input.spooled.name);
    let state = patiently(&clock, || State::open(&account, &name, &clock)).await?;
    let ledger =
        Ledger::open(&state, &account, &settings, tokens.clone(), (&clock, &random)).await?;
    let wish = Wish {
        resume: args.unfinished.resume,
        restart: args.unfinished.restart,
        retry_failed: args.retry_failed,
        settle: !words.is_empty(),
    };
    let last = Batch::last(&ledger, &input.identity(), wish).await?;
    let way = way(last, &input.identity(), wish)?;
    let mut look_again = true;
    let mut batch = match way {
        Way::Begin(number) => {
            look_again = false;
            ledger.abandon(None).await?;
            begin(&ledger, &state, &input, command(), number).await?
        }
        Way::Replace(open, number) => {
            look_again = false;
            give_up(&ledger, &open).await?;
            begin(&ledger, &state, &input, command(), number).await?
        }
        Way::GoOn(open) => open,
        Way::RetryFailed(closed) => closed,
    };
    if let Some(first) = batch.first_row() {
        ledger.settle(&ledger.jobs(first).await?, &words).await?;
    }
    let mut done = work(&ledger, &batch, look_again, &mut signals).await?;
    if args.retry_failed && done.end == End::Complete && again(&ledger, &mut batch).await? {
        let more = work(&ledger, &batch, false, &mut signals).await?;
        done = more.after(done);
    }
    let jobs = jobs_of(&ledger, &batch).await?;
    if done.end == End::Interrupted && args.unfinished.cancel_on_interrupt {
        let session = session(&account, settings.options()?, tokens, &clock)?;
        work::cancel_started(&session, &jobs).await;
    }
    let path = Some(output.path.as_path());
    if let Some(file) = batch.file.as_ref().filter(|_| done.end == End::Complete) {
        tokio::task::block_in_place(|| output.write(file, &jobs))?;
        batch.closed = jobs.iter().all(|job| job.state != Some(CellState::Unknown));
        batch.save(&ledger).await?;
    }
    let elapsed_ms = (clock.now() - began).as_secs_f64() * 1e3;
    let report = Report { batch: &batch, jobs: &jobs, done: &done, elapsed_ms, output: path };
    report.print(args.account.json);
    Ok(report.exit())
}

/// Reads FILE in a task of its own: a pipe may be silent for ever, and Ctrl-C must end the wait.
async fn read(args: &BatchArgs, signals: &mut Signals) -> Result<Input, Failure> {
    let (file, params) = (args.file.clone(), args.params.clone());
    let reading = tokio::task::spawn_blocking(move || Input::check(&file, &params));
    unless_interrupted(signals, async { reading.await.map_err(usage)? }).await
}

/// Waits for what comes before the first call.
pub(super) async fn unless_interrupted<T>(
    signals: &mut Signals,
    waiting: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = waiting => done,
        () = signals.next() => Err(interrupted("interrupted before the first call")),
    }
}

/// Makes the batch: its rows first, so that a crash in between leaves rows that nobody asks for.
async fn begin(
    ledger: &Ledger,
    state: &State,
    input: &Input,
    command: String,
    number: u64,
) -> Result<Batch, Failure> {
    let (file, jobs) = tokio::task::block_in_place(|| {
        Ok::<_, Failure>((input.keep(&state.spool_path(number))?, input.jobs()?))
    })?;
    let count = jobs.len() as u64;
    let first = ledger.insert(number, jobs).await?;
    let batch = Batch {
        number,
        file: Some(file),
        identity: input.identity(),
        command,
        jobs: count,
        first: first.map(|row| row.0),
        closed: false,
    };
    batch.save(ledger).await?;
    state.forget_before(number);
    Ok(batch)
}

/// Gives up an open batch and says what of it goes on at Hex.
pub(super) async fn give_up(ledger: &Ledger, open: &Batch) -> Result<(), Failure> {
    let jobs = jobs_of(ledger, open).await?;
    let left: Vec<&JobState> =
        jobs.iter().filter(|job| matches!(job.note, Some(Note::Started { .. }))).collect();
    ledger.abandon(open.first_row()).await?;
    Batch { closed: true, ..open.clone() }.save(ledger).await?;
    output::note(&format!("{} is abandoned", open.name()));
    for job in left.iter().take(LEFT_SHOWN) {
        let run = job.run_id().unwrap_or_default();
        output::note(&format!(
            "run {run} of project {} goes on at Hex (line {})",
            job.project, job.line
        ));
    }
    if left.len() > LEFT_SHOWN {
        output::note(&format!("and {} more runs go on at Hex", left.len() - LEFT_SHOWN));
    }
    Ok(())
}

/// Makes new rows for the jobs that failed; false if none did.
async fn again(ledger: &Ledger, batch: &mut Batch) -> Result<bool, Failure> {
    let failed = jobs_of(ledger, batch).await?.into_iter();
    let failed = failed.filter(|job| job.state == Some(CellState::Failed));
    let rows: Vec<JobRow> = failed
        .map(|job| JobRow { line: job.line, project: job.project, params: job.params })
        .collect();
    if rows.is_empty() {
        return Ok(false);
    }
    // First, so that a crash in between leaves a batch that is known for unfinished.
    batch.closed = false;
    batch.save(ledger).await?;
    ledger.insert(batch.number, rows).await?;
    Ok(true)
}

pub(super) async fn jobs_of(ledger: &Ledger, batch: &Batch) -> Result<Vec<JobState>, Failure> {
    match batch.first_row() {
        Some(first) => ledger.jobs(first).await,
        None => Ok(Vec::new()),
    }
}
