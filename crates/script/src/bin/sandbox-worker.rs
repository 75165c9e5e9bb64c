//! The child process of functions, by itself: for the tests of this crate. The `paceline` binary has the same as a
//! subcommand, which lets the system limit it as well.

use std::process::ExitCode;

use paceline_clock::Clock;

fn main() -> ExitCode {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match paceline_script::worker::serve(input, output, &Clock::system(), |_| Ok(())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
