//! `paceline sandbox-worker`: the child process that functions run in.

mod confined;

use paceline_clock::Clock;
use paceline_script::worker;

use crate::exit::Exit;

/// Serves calls until stdin is closed, as it is when the server ends.
pub(crate) fn run() -> Exit {
    if confined::for_good().is_err() {
        return Exit::Usage;
    }
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match worker::serve(input, output, &Clock::system(), confined::for_call) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Usage,
    }
}
