//! The child process of functions, by itself: for the tests of this crate and for hosts without the `paceline` binary,
//! which has the same as a subcommand.

use std::process::ExitCode;

use paceline_clock::Clock;

fn main() -> ExitCode {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match paceline_script::worker::serve(input, output, &Clock::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
