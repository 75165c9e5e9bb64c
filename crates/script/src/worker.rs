//! What the child process does: reads a call, runs it in a runtime of its own, answers, until its stdin is closed.

use std::io::{self, Read, Write};
use std::time::Duration;

use paceline_clock::Clock;

use crate::convert;
use crate::frame::{self, AnswerFrame, CallFrame};
use crate::realm::{Face, Limits, Realm};

/// Serves calls until `input` ends, as it does when the parent dies. Nothing else happens: no file is opened, nothing is
/// read from the environment.
///
/// # Errors
/// When a frame cannot be read or written; the process is to end then.
pub fn serve(mut input: impl Read, mut output: impl Write, clock: &Clock) -> io::Result<()> {
    while let Some(call) = frame::read::<CallFrame<'static>>(&mut input)? {
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
