//! `paceline hex`: runs of Hex projects, one or hundreds, each started once and seen to its end.
//!
//! A batch is rows of the account's table and a run of its one column: the engine claims, waits, retries, pauses and
//! resumes, here as everywhere. What is here reads files, says what is to be done, and tells what became of it.

mod abandon;
mod account;
mod again;
mod batch;
mod file;
mod jobs;
mod ledger;
mod list;
mod one;
mod params;
mod plan;
mod record;
mod report;
mod rows;
mod settle;
mod state;
mod status;
mod token;
mod work;

use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_engine::hex_session;
use paceline_hex::{Error, Options, Session};

use crate::args::hex::HexCommand;
use crate::exit::{Exit, Failure, paused, usage};
use account::Account;
use token::Tokens;

pub(super) async fn run(command: HexCommand) -> Result<Exit, Failure> {
    match command {
        HexCommand::List(args) => list::run(&args).await,
        HexCommand::Run(args) => one::run(*args).await,
        HexCommand::Batch(args) => batch::run(*args).await,
        HexCommand::Status(args) => status::status(&args).await,
        HexCommand::Cancel(args) => status::cancel(&args).await,
    }
}

/// A session for a few calls of a person's, beside any batch.
fn session(
    account: &Account,
    options: Options,
    tokens: Arc<Tokens>,
    clock: &Clock,
) -> Result<Session, Failure> {
    Ok(hex_session(options, account.outbound.clone(), tokens, clock.clone(), Random::system())?)
}

/// How a command ends that Hex did not answer as it should.
fn refused(error: Error) -> Failure {
    match error {
        Error::NoCredentials(message) => paused(message),
        error => usage(error),
    }
}
