//! What the child process does: reads a call, runs it in a runtime of its own, answers, until its stdin is closed.

use std::io::{self, Read, Write};
use std::time::Duration;

use paceline_clock::Clock;

use crate::convert;
use crate::frame::{self, AnswerFrame, CallFrame};
use crate::pool::Outcome;
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
    let mut kept = None;
    while let Some(call) = frame::read::<CallFrame<'static>>(&mut input)? {
        before_call(Duration::from_millis(call.timeout_ms))?;
        let outcome = match call.face {
            Face::Function => function(&call, clock),
            Face::Formula => formula(&call, &mut kept, clock),
        };
        frame::write(&mut output, &AnswerFrame { outcome })?;
    }
    Ok(())
}

/// In a runtime of its own.
fn function(call: &CallFrame<'_>, clock: &Clock) -> Outcome {
    let mut realm = Realm::new(&call.source, Face::Function, limits(call), clock)?;
    realm.call(std::slice::from_ref(call.row.as_ref()), convert::json_into_js)
}

/// In the realm of the row before, if it was the same formula: a row leaves nothing behind in it.
fn formula(call: &CallFrame<'_>, kept: &mut Option<(String, Realm)>, clock: &Clock) -> Outcome {
    let (source, mut realm) = match kept.take() {
        Some((source, realm)) if source == call.source && !realm.is_spent() => (source, realm),
        _ => {
            let source = call.source.clone().into_owned();
            let realm = Realm::new(&source, Face::Formula, limits(call), clock)?;
            (source, realm)
        }
    };
    let values = call.row.as_array().map(Vec::as_slice).unwrap_or_default();
    let outcome = realm.call(values, convert::json_into_js);
    *kept = Some((source, realm));
    outcome
}

fn limits(call: &CallFrame<'_>) -> Limits {
    Limits { timeout: Duration::from_millis(call.timeout_ms), memory_bytes: call.memory_bytes }
}
