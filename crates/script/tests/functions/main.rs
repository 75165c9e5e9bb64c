//! Functions in their child processes: what they give, and that a child that hangs or dies costs its cell and no more.

use std::future::Future;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_script::{FunctionCommand, FunctionHost, FunctionSource, ScriptError};
use serde_json::{Value as Json, json};

#[expect(clippy::unwrap_used, reason = "a test")]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn command() -> FunctionCommand {
    FunctionCommand { program: env!("CARGO_BIN_EXE_sandbox-worker").into(), args: Vec::new() }
}

fn host(timeout: Duration, children_max: usize) -> FunctionHost {
    FunctionHost::new(command(), Clock::system(), timeout, children_max)
}

async fn call(host: &FunctionHost, source: &str, row: Json) -> Result<Json, ScriptError> {
    let source = FunctionSource::read(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    host.call(&source, &row).await
}

#[test]
fn a_function_is_called_whatever_way_it_is_written() {
    block_on(async {
        let host = host(Duration::from_secs(10), 1);
        for source in [
            "function score(row) { return row.stars * 2 }",
            "async function score(row) { await null; return row.stars * 2 }",
            "function two() { return 2 }\nfunction main(row) { return row.stars * two() }",
            "const two = 2;\nfunction score({stars}) { return stars * two }",
            "(row) => row.stars * 2",
            "async ({stars}) => stars * 2",
            "row.stars * 2",
            "const two = 2; return row.stars * two",
            "return await Promise.resolve(row.stars * 2)",
        ] {
            assert_eq!(call(&host, source, json!({"stars": 4})).await, Ok(json!(8)), "{source}");
        }
    });
}

#[test]
fn what_is_no_function_is_refused_before_anything_runs() {
    for (source, told) in [
        ("", "is empty"),
        ("function a() {", "SyntaxError"),
        (
            "function a() {} function b() {}",
            "defines several functions (a, b); call the one that is to be run main",
        ),
        ("import fs from 'fs'", "SyntaxError"),
    ] {
        let error = FunctionSource::read(source).unwrap_err();
        assert_eq!(error.code.as_str(), "SCRIPT_INVALID", "{source}");
        assert!(error.message.starts_with(told), "{source}: {error}");
    }
}

#[test]
fn every_abuse_ends_as_its_own_error_and_the_next_call_works() {
    block_on(async {
        let host = host(Duration::from_millis(300), 1);
        for (source, codes) in [
            ("function f() { while (true) {} }", vec!["SCRIPT_TIMEOUT"]),
            (
                "function f() { for (;;) { try { while (true) {} } catch {} } }",
                vec!["SCRIPT_TIMEOUT"],
            ),
            (
                "function f() { return /^(a+)+$/.test('a'.repeat(64) + '!') }",
                vec!["SCRIPT_TIMEOUT"],
            ),
            (
                "function f() { const a = []; for (;;) a.push('x'.repeat(1e6) + a.length) }",
                vec!["SCRIPT_MEMORY", "SCRIPT_TIMEOUT"],
            ),
            ("function f() { return 'x'.repeat(2 ** 29) }", vec!["SCRIPT_MEMORY"]),
            (
                "function f() { return new ArrayBuffer(2 ** 32).byteLength }",
                vec!["SCRIPT_MEMORY", "SCRIPT_ERROR"],
            ),
            ("function f() { return f() + 1 }", vec!["SCRIPT_ERROR"]),
            ("async function f() { while (true) await null }", vec!["SCRIPT_TIMEOUT"]),
            (
                "async function f() { const a = []; for (;;) a.push(new Promise(() => 0)) }",
                vec!["SCRIPT_MEMORY", "SCRIPT_TIMEOUT"],
            ),
            ("() => new Promise(() => 0)", vec!["SCRIPT_ERROR"]),
            ("() => require('fs')", vec!["SCRIPT_ERROR"]),
            ("() => import('fs')", vec!["SCRIPT_ERROR"]),
            ("() => fetch('http://127.0.0.1')", vec!["SCRIPT_ERROR"]),
            ("() => new XMLHttpRequest()", vec!["SCRIPT_ERROR"]),
            ("() => std.loadFile('/etc/passwd')", vec!["SCRIPT_ERROR"]),
            ("() => os.exec(['true'])", vec!["SCRIPT_ERROR"]),
            ("() => constructor.constructor('return process')()", vec!["SCRIPT_ERROR"]),
            ("() => eval('1')", vec!["SCRIPT_ERROR"]),
            ("() => setTimeout(() => 0, 1)", vec!["SCRIPT_ERROR"]),
            // It never asks for the time: only the end of its process stops it.
            ("() => new Array(2 ** 32 - 1).join('')", vec!["SCRIPT_TIMEOUT"]),
        ] {
            let error = call(&host, source, json!({})).await.unwrap_err();
            assert!(codes.contains(&error.code.as_str()), "{source}: {error:?}");
            assert_eq!(call(&host, "row.a", json!({"a": 1})).await, Ok(json!(1)), "after {source}");
        }
    });
}

#[test]
fn a_call_leaves_nothing_behind_for_the_next() {
    block_on(async {
        let host = host(Duration::from_secs(10), 1);
        let mark =
            "globalThis.mark = 1; Object.prototype.mark = 1; Array.prototype.map = 1; return 1";
        assert_eq!(call(&host, mark, json!({})).await, Ok(json!(1)));
        let look = "[typeof mark, typeof ({}).mark, typeof [].map]";
        assert_eq!(
            call(&host, look, json!({})).await,
            Ok(json!(["undefined", "undefined", "function"]))
        );
    });
}

#[test]
fn calls_at_once_share_the_children_there_may_be() {
    block_on(async {
        let host = host(Duration::from_secs(10), 2);
        let calls = (0..8).map(|n| {
            let host = host.clone();
            async move { call(&host, "row.n + 1", json!({"n": n})).await }
        });
        let all = futures_util::future::join_all(calls).await;
        let expected: Vec<_> = (1..9).map(|n| Ok(json!(n))).collect();
        assert_eq!(all, expected);
    });
}

#[test]
fn a_child_that_dies_is_an_error_of_its_cell() {
    block_on(async {
        for program in ["true", "cat"] {
            // `cat` answers with the call itself, which is no answer.
            let command = FunctionCommand { program: program.into(), args: Vec::new() };
            let host = FunctionHost::new(command, Clock::system(), Duration::from_millis(200), 1);
            let error = call(&host, "1", json!({})).await.unwrap_err();
            assert_eq!(error.code.as_str(), "FUNCTION_CRASHED", "{program}: {error}");
        }
        let command = FunctionCommand { program: "/no/such/program".into(), args: Vec::new() };
        let host = FunctionHost::new(command, Clock::system(), Duration::from_millis(200), 1);
        let error = call(&host, "1", json!({})).await.unwrap_err();
        assert!(error.message.contains("cannot be started"), "{error}");
    });
}

#[test]
fn a_child_that_does_not_answer_is_killed() {
    block_on(async {
        let command = FunctionCommand { program: "sleep".into(), args: vec!["600".into()] };
        let host = FunctionHost::new(command, Clock::system(), Duration::from_millis(200), 1);
        let error = call(&host, "1", json!({})).await.unwrap_err();
        assert_eq!(error.code.as_str(), "SCRIPT_TIMEOUT");
    });
}

#[test]
fn the_child_ends_with_its_input_and_refuses_what_is_no_frame() {
    let clock = Clock::system();
    let serve = |input: &[u8]| {
        let mut output = Vec::new();
        paceline_script::worker::serve(input, &mut output, &clock, |_| Ok(())).map(|()| output)
    };
    assert_eq!(serve(b"").unwrap(), Vec::<u8>::new());
    for broken in [&b"\xff\xff\xff\xff"[..], b"\x02\x00\x00\x00{}", b"\x09\x00\x00\x00{", b"\x01"] {
        // Half a head counts as the end.
        assert!(serve(broken).map_or(true, |output| output.is_empty()), "{broken:?}");
    }
}
