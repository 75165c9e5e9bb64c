//! `paceline hex run`: one run of a project, as a batch of one job.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_hex::Note;
use paceline_model::CellState;
use serde_json::{Map, Value as Json};

use super::account::{Account, Settings};
use super::again::command;
use super::batch::{give_up, jobs_of, unless_interrupted};
use super::jobs::{JobRow, check};
use super::ledger::{JobState, Ledger};
use super::params::given;
use super::record::{Batch, Way, Wish, way};
use super::report::Report;
use super::session;
use super::settle::{Word, settle};
use super::state::State;
use super::token::Tokens;
use super::work::{Done, End, cancel_started, work};
use crate::args::hex::RunArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;
use crate::patience::patiently;
use crate::signals::Signals;

/// How often it is looked whether the run's id is known.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run(args: RunArgs) -> Result<Exit, Failure> {
    let (clock, random) = (Clock::system(), Random::system());
    let began = clock.now();
    let mut signals = Signals::listen()?;
    let account = Account::of(&args.account)?;
    let settings = Settings::of(&account, &args.tuning, 1)?;
    let word = args.settle.as_deref().map(settle).transpose()?;
    let words: Vec<Word> = word.map(|settle| Word { line: 1, settle }).into_iter().collect();
    let row = job(&args)?;
    let tokens = unless_interrupted(&mut signals, Tokens::open(&args.account, &clock)).await?;
    let name = format!("hex run {}", row.project);
    let state = patiently(&clock, || State::open(&account, &name, &clock)).await?;
    let ledger =
        Ledger::open(&state, &account, &settings, tokens.clone(), (&clock, &random)).await?;
    let wish = Wish {
        resume: args.unfinished.resume,
        restart: args.unfinished.restart,
        retry_failed: false,
        settle: !words.is_empty(),
    };
    let begun = Begun { row, command: command() };
    let last = Batch::last(&ledger, &begun.identity(), wish).await?;
    let way = way(last, &begun.identity(), wish)?;
    let look_again = matches!(way, Way::GoOn(_));
    let mut batch = begun.batch(&ledger, way).await?;
    ledger.settle(&jobs_of(&ledger, &batch).await?, &words).await?;

    let done = follow(&ledger, &batch, look_again, &args, &mut signals).await?;
    let mut jobs = jobs_of(&ledger, &batch).await?;
    if let (Followed::Started, Some(job)) = (&done, jobs.first()) {
        ledger.detach(job).await?;
        jobs = jobs_of(&ledger, &batch).await?;
    }
    let done = done.into_done();
    if done.end == End::Interrupted && args.unfinished.cancel_on_interrupt {
        let session = session(&account, settings.options()?, tokens, &clock)?;
        cancel_started(&session, &jobs).await;
    }
    batch.closed = jobs.iter().all(|job| !matches!(job.state, None | Some(CellState::Unknown)));
    batch.save(&ledger).await?;
    let elapsed_ms = (clock.now() - began).as_secs_f64() * 1e3;
    let report = Report { batch: &batch, jobs: &jobs, done: &done, elapsed_ms, output: None };
    report.print_one(args.account.json);
    Ok(report.exit())
}

fn job(args: &RunArgs) -> Result<JobRow, Failure> {
    let params = given(&args.params)?.into_iter().map(|param| (param.name, param.value));
    let params: Map<String, Json> = params.collect();
    check(JobRow { line: 1, project: args.project.clone(), params }).map_err(usage)
}

/// The one job, and the command that asked for it.
struct Begun {
    row: JobRow,
    command: String,
}

impl Begun {
    fn identity(&self) -> String {
        let params = Json::Object(self.row.params.clone()).to_string();
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"run\0").update(self.row.project.as_bytes());
        hasher.update(&[0]).update(params.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    async fn batch(self, ledger: &Ledger, way: Way) -> Result<Batch, Failure> {
        let number = match way {
            Way::GoOn(open) | Way::RetryFailed(open) => return Ok(open),
            Way::Replace(open, number) => {
                give_up(ledger, &open).await?;
                number
            }
            Way::Begin(number) => {
                ledger.abandon(None).await?;
                number
            }
        };
        let identity = self.identity();
        let first = ledger.insert(number, vec![self.row]).await?;
        let batch = Batch {
            number,
            file: None,
            identity,
            command: self.command,
            jobs: 1,
            first: first.map(|row| row.0),
            closed: false,
        };
        batch.save(ledger).await?;
        Ok(batch)
    }
}

/// How far the run was followed.
enum Followed {
    /// It was started, which is all that was asked for.
    Started,
    Done(Done),
}

impl Followed {
    fn into_done(self) -> Done {
        match self {
            Self::Started => Done { triggers: 1, ..Done::default() },
            Self::Done(done) => done,
        }
    }
}

/// Tells the run's id as soon as it is known, and goes on to the run's end if that is wanted.
async fn follow(
    ledger: &Ledger,
    batch: &Batch,
    look_again: bool,
    args: &RunArgs,
    signals: &mut Signals,
) -> Result<Followed, Failure> {
    let working = work(ledger, batch, look_again, signals);
    tokio::pin!(working);
    let job = tokio::select! {
        done = &mut working => return Ok(Followed::Done(done?)),
        job = started(ledger, batch) => job?,
    };
    if !args.account.json {
        tell(&job);
    }
    if args.wait {
        return Ok(Followed::Done(working.await?));
    }
    ledger.engine.shutdown().await;
    let done = working.await?;
    Ok(if done.end == End::Interrupted { Followed::Started } else { Followed::Done(done) })
}

/// Waits until the id of the run is known.
async fn started(ledger: &Ledger, batch: &Batch) -> Result<JobState, Failure> {
    loop {
        let job = jobs_of(ledger, batch).await?.into_iter().next();
        if let Some(job) = job.filter(|job| matches!(job.note, Some(Note::Started { .. }))) {
            return Ok(job);
        }
        ledger.clock.sleep(LOOK_EVERY).await;
    }
}

/// The run's id and address, as soon as they are known.
fn tell(job: &JobState) {
    output::result(&format!("run {}", job.run_id().unwrap_or_default()));
    if let Some(Note::Started { run_url: Some(url), .. }) = &job.note {
        output::result(&format!("url {}", output::in_one_line(url)));
    }
}
