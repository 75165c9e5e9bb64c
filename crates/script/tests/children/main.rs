//! What becomes of formulas whose threads are caught in a built-in that does not ask for the time. One test, because it
//! counts the threads of this process.

use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{Value, limits};
use paceline_script::{Formula, FunctionCommand, Pool, ScriptError};
use serde_json::{Value as Json, json};

/// Works for a minute between two moments at which the engine asks for the time.
const STUCK: &str = "const n = (1n << 500000n) - 1n; for (let i = 0; i < 1000; i++) n * n";

type Outcome = Result<Json, ScriptError>;

async fn eval(pool: &Pool, source: &str, values: &[Value]) -> Vec<Outcome> {
    let formula =
        Formula::compile(source, &["x"]).unwrap_or_else(|error| panic!("{source}: {error}"));
    let rows = values.iter().map(|value| vec![value.clone(); formula.inputs().len()]).collect();
    pool.eval(&formula, rows).await
}

fn command() -> FunctionCommand {
    FunctionCommand { program: env!("CARGO_BIN_EXE_sandbox-worker").into(), args: Vec::new() }
}

/// Stuck for 1; else it gives what it is given, and `mark`.
fn stuck(mark: &str) -> String {
    format!("if (x === 1) {{ {STUCK} }} return x + {mark:?}")
}

fn timed_out(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|error| error.code.as_str() == "SCRIPT_TIMEOUT")
}

/// How many threads of this process are for formulas.
#[expect(clippy::unwrap_used, reason = "a test")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "formulas").count()
}

/// What a formula may be: the same in a child as on a thread.
const SOURCES: [&str; 12] = [
    "x",
    "typeof x",
    "[x, x]",
    "({ x })",
    "x.a.b",
    "String(x).toUpperCase()",
    "x * 2",
    "new Date(0)",
    "Math.random()",
    "throw new RangeError('no')",
    "Object.prototype.mark = x",
    "y + x",
];

#[tokio::test]
async fn a_formula_that_cannot_be_stopped_costs_one_thread_and_no_other_formula() {
    let clock = Clock::system();
    let pool = Pool::with_children(clock.clone(), 1, command());
    let rows = [0, 1, 2, 1, 3].map(Value::Int);
    let began = clock.now();
    let outcomes = eval(&pool, &stuck("a"), &rows).await;
    for (at, wanted) in [(0, "0a"), (2, "2a"), (4, "3a")] {
        assert_eq!(outcomes[at], Ok(json!(wanted)));
    }
    assert!(timed_out(&outcomes[1]) && timed_out(&outcomes[3]), "{outcomes:?}");
    // The second time it is killed, with the air that a child gets.
    assert!(clock.now() - began < 2 * limits::FORMULA_TIMEOUT + Duration::from_secs(8));
    assert_eq!(threads(), 1, "the one that was lost; what came then ran in a child");

    // The same text in another column: nothing is to be learnt anew.
    assert!(timed_out(&eval(&pool, &stuck("a"), &[Value::Int(1)]).await[0]));
    assert_eq!(threads(), 1);
    // Nobody is suspected for ever.
    let many: Vec<Value> = (2..1_010).map(Value::Int).collect();
    let outcomes = eval(&pool, &stuck("a"), &many).await;
    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|it| it.is_err()));
    assert_eq!(threads(), 2, "the last rows had a thread again");
    // Others have it, too.
    assert_eq!(eval(&pool, "x + 1", &[Value::Int(1)]).await, [Ok(json!(2))]);
    assert_eq!(threads(), 2);

    // One more, and there are no threads for others; they run all the same, and give the same.
    assert!(timed_out(&eval(&pool, &stuck("b"), &[Value::Int(1)]).await[0]));
    let plain = Pool::new(clock, 1);
    let values: Vec<Value> = [
        json!(null),
        json!(true),
        json!(7),
        json!(9_007_199_254_740_993_i64),
        json!(0.1),
        json!("añ😀\u{0}"),
        json!({"a": {"b": [1]}, "__proto__": 2}),
    ]
    .into_iter()
    .map(|json| match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => number.as_i64().map_or(Value::Number(0.1), Value::Int),
        Json::String(text) => Value::Text(text),
        other => Value::Json(other),
    })
    .collect();
    for source in SOURCES {
        let source = format!("const it = x; return (() => {{ return {source} }})()");
        let source = source.replace("return throw", "throw");
        assert_eq!(
            eval(&pool, &source, &values).await,
            eval(&plain, &source, &values).await,
            "{source}"
        );
    }
    a_program_that_is_not_there_is_said().await;
}

#[expect(clippy::unwrap_used, reason = "a test")]
async fn a_program_that_is_not_there_is_said() {
    let command = FunctionCommand { program: "/no/such/program".into(), args: Vec::new() };
    let pool = Pool::with_children(Clock::system(), 1, command);
    let source = stuck("c");
    assert!(timed_out(&eval(&pool, &source, &[Value::Int(1)]).await[0]));
    let error = eval(&pool, &source, &[Value::Int(0)]).await.remove(0).unwrap_err();
    assert_eq!(error.code.as_str(), "FUNCTION_CRASHED");
    assert!(error.message.contains("cannot be started"), "{error}");
}
