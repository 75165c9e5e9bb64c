//! The `paceline` binary: reads its arguments, runs a command, ends with its exit code. It holds no logic of its own.

mod args;
mod commands;
mod env;
mod exit;
mod keys;
mod output;
mod patience;
mod progress;
mod signals;
mod store;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return args::refusal(&error),
    };
    // A child for functions needs no runtime, no TLS and no log.
    if matches!(args.command, args::Command::SandboxWorker) {
        return commands::sandbox_worker::run().into();
    }
    paceline_engine::install_tls();
    output::start_log(env::log_filter().as_deref());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("the runtime cannot start: {error}"));
            return exit::Exit::Usage.into();
        }
    };
    let code = match runtime.block_on(commands::run(args.command)) {
        Ok(exit) => exit,
        Err(failure) => {
            output::error(&failure.to_string());
            failure.exit
        }
    };
    // What still runs (a connection that hangs, say) must not keep the process.
    runtime.shutdown_background();
    code.into()
}
