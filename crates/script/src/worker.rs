//! What the child process does: reads a call, runs it in a runtime of its own, answers, until its stdin is closed.

use std::io::{self, Read, Write};
use std::time::Duration;

use paceline_clock::Clock;

use crate::convert;
use crate::frame::{self, AnswerFrame, CallFrame};
use crate::realm::{Face, Limits, Realm};

/// Serves calls until `input` ends, as it does when the parent dies. Nothing else happens: no file is opened, nothing is
/// read from the environment. `before_call` is told the time that the next call has, for limits that the system keeps.
///
/// # Errors
/// When a frame cannot be read or written, or `before_call` fails; the process is to end then.
///
/// ```
/// // A call is its length, the low byte first, and JSON; so is its answer.
/// let call = br#"{"source":"(row) => row.n + 1","row":{"n":1},"timeout_ms":1000,"memory_bytes":8000000}"#;
/// let input: Vec<u8> = [&(call.len() as u32).to_le_bytes()[..], call].concat();
/// let mut output = Vec::new();
/// let clock = paceline_clock::Clock::system();
/// paceline_script::worker::serve(&*input, &mut output, &clock, |_| Ok(())).unwrap();
/// assert_eq!(&output[4..], br#"{"outcome":{"Ok":2}}"#);
/// ```
pub fn serve(
    mut input: impl Read,
    mut output: impl Write,
    clock: &Clock,
    mut before_call: impl FnMut(Duration) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(call) = frame::read::<CallFrame<'static>>(&mut input)? {
        before_call(Duration::from_millis(call.timeout_ms))?;
        let answer = AnswerFrame { outcome: run(&call, clock) };
        frame::write(&mut output, &answer)?;
    }
    Ok(())
}

fn run(call: &CallFrame<'_>, clock: &Clock) -> Result<serde_json::Value, crate::ScriptError> {
    let limits =
        Limits { timeout: Duration::from_millis(call.timeout_ms), memory_bytes: call.memory_bytes };
    let mut realm = Realm::new(&call.source, Face::Function, limits, clock)?;
    realm.call(std::slice::from_ref(call.row.as_ref()), convert::json_into_js)
}
