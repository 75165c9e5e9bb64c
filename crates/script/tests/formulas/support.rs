//! Evaluates formulas the short way.

use std::future::Future;

use paceline_clock::Clock;
use paceline_model::Value;
use paceline_script::{Formula, Pool, ScriptError};
use serde_json::Value as Json;

pub(crate) type Outcome = Result<Json, ScriptError>;

#[expect(clippy::unwrap_used, reason = "a test")]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A formula of one column `x`, evaluated for these values of it, one after the other.
pub(crate) fn eval(source: &str, values: impl IntoIterator<Item = Value>) -> Vec<Outcome> {
    let formula =
        Formula::compile(source, &["x"]).unwrap_or_else(|error| panic!("{source}: {error}"));
    let uses_x = !formula.inputs().is_empty();
    let rows =
        values.into_iter().map(|value| if uses_x { vec![value] } else { Vec::new() }).collect();
    block_on(Pool::new(Clock::system(), 1).eval(&formula, rows))
}

/// What a formula gives for one value of `x`.
pub(crate) fn one(source: &str, value: Value) -> Outcome {
    eval(source, [value]).remove(0)
}

pub(crate) fn code(outcome: &Outcome) -> &'static str {
    outcome.as_ref().map_or_else(|error| error.code.as_str(), |_| "no error")
}
