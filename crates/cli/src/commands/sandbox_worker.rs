//! `paceline sandbox-worker`: the child process that functions run in.

use paceline_clock::Clock;
use paceline_script::worker;

use crate::exit::Exit;

/// Serves calls until stdin is closed, as it is when the server ends.
pub(crate) fn run() -> Exit {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match worker::serve(input, output, &Clock::system()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Usage,
    }
}
