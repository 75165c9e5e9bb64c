//! `paceline hex status` and `paceline hex cancel`: one run, now. Neither needs the account's state for itself alone.

use std::time::Duration;

use paceline_clock::Clock;
use paceline_hex::{Error, Options, Run, RunId, RunStatus, Session};
use serde_json::json;

use super::account::Account;
use super::ledger::project_of;
use super::state::State;
use super::token::Tokens;
use super::{refused, session};
use crate::args::hex::RunIdArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;

/// How often a cancelled run is looked at: 12 a minute, well inside the read limit.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first look comes sooner, for most are cancelled at once.
const LOOK_FIRST: Duration = Duration::from_millis(500);
/// A run that has not ended so long after it was cancelled is told as it stands.
const CANCEL_MAX: Duration = Duration::from_secs(600);

/// A run of a project, and whom to ask about it.
struct Asked {
    session: Session,
    project: String,
    run: RunId,
    clock: Clock,
}

pub(super) async fn status(args: &RunIdArgs) -> Result<Exit, Failure> {
    let asked = Asked::open(args).await?;
    let run = asked.look().await.map_err(refused)?;
    print(&run, &asked.project, args.account.json);
    Ok(exit(&run.status))
}

pub(super) async fn cancel(args: &RunIdArgs) -> Result<Exit, Failure> {
    let asked = Asked::open(args).await?;
    let Asked { session, project, run: id, clock } = &asked;
    match session.cancel(project, id).await {
        Ok(()) => {}
        // It may be over: what became of it is what was asked for.
        Err(error @ Error::Status { status: 400..=499, .. }) => {
            let run = asked.look().await.map_err(refused)?;
            if !run.status.is_terminal() {
                return Err(refused(error));
            }
        }
        Err(error) => return Err(refused(error)),
    }
    let until = clock.now() + CANCEL_MAX;
    let mut wait = LOOK_FIRST;
    loop {
        let run = asked.look().await;
        match run {
            Ok(run) if run.status.is_terminal() => {
                print(&run, project, args.account.json);
                return Ok(Exit::Done);
            }
            Ok(run) if clock.now() >= until => {
                print(&run, project, args.account.json);
                return Ok(Exit::SomeUnknown);
            }
            Err(error) if clock.now() >= until || !error.may_pass() => return Err(refused(error)),
            Ok(_) | Err(_) => clock.sleep(wait).await,
        }
        wait = LOOK_EVERY;
    }
}

impl Asked {
    async fn open(args: &RunIdArgs) -> Result<Self, Failure> {
        let clock = Clock::system();
        let account = Account::of(&args.account)?;
        let tokens = Tokens::open(&args.account, &clock).await?;
        let project = match &args.project {
            Some(project) => project.clone(),
            None => known_project(&account, &args.run, &clock).await.ok_or_else(|| {
                usage(format!(
                    "paceline did not start run {} for this account, so its project is not known; give --project P",
                    output::in_one_line(&args.run)
                ))
            })?,
        };
        let options = Options { base_url: account.base_url.clone(), ..Options::default() };
        let session = session(&account, options, tokens, &clock)?;
        Ok(Self { session, project, run: RunId(args.run.clone()), clock })
    }

    async fn look(&self) -> Result<Run, Error> {
        self.session.run_status(&self.project, &self.run).await
    }
}

/// The project of a run that was started here.
async fn known_project(account: &Account, run: &str, clock: &Clock) -> Option<String> {
    let store = State::peek(account, clock)?;
    // A state that cannot be read is as good as none: the project can be given.
    project_of(store.as_ref(), run).await.ok().flatten()
}

/// A run that ended without success is a failure to a script.
fn exit(status: &RunStatus) -> Exit {
    match status {
        status if !status.is_terminal() => Exit::Done,
        RunStatus::Completed => Exit::Done,
        _ => Exit::SomeFailed,
    }
}

fn print(run: &Run, project: &str, as_json: bool) {
    if as_json {
        let line = json!({
            "run_id": run.run_id,
            "project_id": project,
            "status": run.status.as_str(),
            "elapsed_ms": run.elapsed_ms,
            "run_url": run.run_url,
            "trace_id": run.trace_id,
        });
        output::result(&line.to_string());
        return;
    }
    let elapsed = run
        .elapsed_ms
        .map_or_else(String::new, |ms| format!(" after {}", output::duration(ms as f64)));
    output::result(&format!("status {}{elapsed}", output::in_one_line(run.status.as_str())));
    if let Some(url) = &run.run_url {
        output::result(&format!("url {}", output::in_one_line(url)));
    }
}
