//! The commands, one file each.

mod api;
mod demo;
mod enrich;
mod follow;
mod hex;
mod lab;
mod mcp;
mod plan;
mod replay;
pub(crate) mod sandbox_worker;
mod serve;

use crate::args::Command;
use crate::exit::{Exit, Failure};

/// Runs a command to its end.
pub(crate) async fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Api(args) => api::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Enrich(args) => enrich::run(*args).await,
        Command::Plan(args) => plan::run(&args),
        Command::Replay(args) => replay::run(args).await,
        Command::Lab(args) => lab::run(*args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Mcp(args) => mcp::run(args).await,
        Command::Hex(args) => hex::run(args.command).await,
        Command::SandboxWorker => Ok(sandbox_worker::run()),
    }
}
