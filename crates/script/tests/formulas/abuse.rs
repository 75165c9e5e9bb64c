//! Acceptance 9: whatever a row does, it ends as that row's error within its limit, and the next row works.

use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{Value, limits};
use paceline_script::Formula;
use proptest::prelude::*;

use crate::support::{code, eval, one};

/// The formula misbehaves for 1 and gives `"fine"` for 0.
fn misbehaves(what: &str, codes: &[&str]) {
    let source =
        format!("const it = x; if (it === 0) return 'fine';\n{what}\n;return 'got through'");
    let clock = Clock::system();
    let began = clock.now();
    let outcomes = eval(&source, [0, 1, 0, 1, 0].map(Value::Int));
    let took = clock.now() - began;
    for at in [0, 2, 4] {
        assert_eq!(outcomes[at], Ok("fine".into()), "{what}");
    }
    for at in [1, 3] {
        assert!(codes.contains(&code(&outcomes[at])), "{what}: {:?}", outcomes[at]);
    }
    // Two bad rows, each with its time, and the air that a busy machine needs.
    assert!(took < 2 * limits::FORMULA_TIMEOUT + Duration::from_secs(5), "{what}: {took:?}");
}

#[test]
fn a_chain_of_promises_without_an_end_is_stopped() {
    // On a fast machine it meets the cap of memory before that of time, and then nothing is left that would keep the promise.
    let what =
        "return new Promise(() => { const again = () => Promise.resolve().then(again); again() })";
    misbehaves(what, &["SCRIPT_TIMEOUT", "SCRIPT_MEMORY", "SCRIPT_ERROR"]);
}

#[test]
fn what_never_ends_is_stopped() {
    for what in [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch {} finally { continue } }",
        "const f = () => { try { f() } catch { f() } }; f(); f(); f(); while (true) {}",
        "/^(a+)+$/.test('a'.repeat(64) + '!')",
        "'a'.repeat(99999).replace(/(a|aa)+$/g, '') + /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(99))",
        "Promise.resolve().then(function again() { return Promise.resolve().then(again) }); while (true) {}",
        "return (async () => { while (true) await null })()",
        "return (async () => { while (true) { try { await null; while (true) {} } catch {} } })()",
        "[1, 2, 3].sort(() => { while (true) {} })",
        "Array.prototype.indexOf.call({length: 2 ** 53}, 1)",
        "new Array(2 ** 32 - 1).forEach(() => 0)",
        "return { toJSON() { while (true) {} } }",
        "throw { toString() { while (true) {} } }",
        // Built-ins that are quick each, but called between two moments at which the engine asks for the time.
        "const a = []; a[1e6] = 1; for (;;) a.join('')",
        "const a = []; a[1e6] = 1; for (;;) String(a)",
        "const a = []; a[1e6] = 1; for (;;) a.copyWithin(1, 0)",
        "const a = 'a'.repeat(1e4), b = 'a'.repeat(3e3) + 'b'; for (;;) a.indexOf(b)",
        "String.raw({ raw: { length: 2 ** 53 - 1 } })",
        "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { while (true) {} } }); throw e",
    ] {
        misbehaves(what, &["SCRIPT_TIMEOUT"]);
    }
}

#[test]
fn what_takes_all_memory_is_stopped() {
    for what in [
        "const all = []; for (;;) all.push(new Array(1000).fill(x))",
        "let s = 'x'; for (;;) s += s",
        "'x'.repeat(2 ** 29) + 'y'",
        "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length)",
        "const all = {}; for (let i = 0; ; i++) all['k' + i] = [i]",
        "new Map(Array.from({ length: 1e7 }, (_, i) => [i, {}]))",
        "let n = 2n; for (;;) n = n * n",
        "return Array.from({ length: 2 ** 32 - 1 })",
        "return new Array(2 ** 32 - 1).join('xx')",
    ] {
        misbehaves(what, &["SCRIPT_MEMORY", "SCRIPT_ERROR", "SCRIPT_TIMEOUT"]);
    }
}

#[test]
fn blocks_of_bytes_are_not_there() {
    misbehaves("new ArrayBuffer(2 ** 33)", &["SCRIPT_ERROR"]);
    misbehaves("new Uint8Array(2 ** 33)", &["SCRIPT_ERROR"]);
}

#[test]
fn built_ins_that_never_ask_for_the_time_are_bounded() {
    for what in [
        "new Array(2 ** 32 - 1).join('')",
        "new Array(2 ** 32 - 1).reverse()",
        "new Array(2 ** 32 - 1).sort()",
        "[].concat(new Array(2 ** 32 - 1), new Array(2 ** 32 - 1))",
        "[new Array(2 ** 32 - 1)].flat()",
        "new Array(2 ** 32 - 1).values().drop(4e9).next()",
        "Array.prototype.join.call({ length: 2 ** 53 - 1 }, '')",
        "Array.prototype.slice.call({ length: 2 ** 53 - 1 })",
        "'a'.repeat(2e7).indexOf('a'.repeat(1e7) + 'b')",
        "'a'.repeat(2e7).split('a'.repeat(1e7) + 'b')",
        "'a'.repeat(2e7).replaceAll('a'.repeat(1e7) + 'b', '')",
        "'\\u0301\\u0323'.repeat(1e4).normalize('NFD')",
        "'a'.repeat(2e6).normalize()",
        "[].concat({ length: 2 ** 53 - 1, [Symbol.isConcatSpreadable]: true }, new Array(2 ** 32 - 1))",
        "Array.prototype.flatMap.call({ length: 2 ** 53 - 1 }, Boolean)",
        "JSON.stringify({}, new Array(2 ** 32 - 1))",
        "new RegExp('[' + 'a-z'.repeat(1e5) + ']', 'iv')",
        "RegExp('a|'.repeat(1e6))",
        "'a'.match('a|'.repeat(1e6))",
        "'a'.matchAll('a|'.repeat(1e6))",
        "'a'.search('a|'.repeat(1e6))",
        "new (/a/.constructor)('a|'.repeat(1e6))",
    ] {
        // An error of its own, unless a slow machine needs all the time to make the texts.
        misbehaves(what, &["SCRIPT_ERROR", "SCRIPT_TIMEOUT"]);
    }
}

#[test]
fn recursion_and_floods_of_promises_end_as_errors() {
    misbehaves("const f = () => f() + 1; f()", &["SCRIPT_ERROR"]);
    misbehaves(
        "const f = (a) => f([a]); JSON.stringify(f([]))",
        &["SCRIPT_ERROR", "SCRIPT_MEMORY"],
    );
    misbehaves("let a = []; for (;;) a = [a]", &["SCRIPT_MEMORY", "SCRIPT_TIMEOUT"]);
    misbehaves(
        "const all = []; for (;;) all.push(new Promise(() => 0).then(() => 0))",
        &["SCRIPT_MEMORY", "SCRIPT_TIMEOUT"],
    );
    misbehaves(
        "/(?:a|b)*(?:a|b)*(?:a|b)*c/.test('ab'.repeat(1e5))",
        &["SCRIPT_TIMEOUT", "SCRIPT_ERROR"],
    );
}

#[test]
fn nothing_of_the_world_is_there() {
    for what in [
        "fetch('http://127.0.0.1/')",
        "new XMLHttpRequest()",
        "require('fs')",
        "std.loadFile('/etc/passwd')",
        "os.exec(['true'])",
        "process.exit(1)",
        "console.log(x)",
        "setTimeout(() => 0, 1)",
        "performance.now()",
        "eval('1')",
        "Function('return 1')()",
        "new Function('return 1')()",
        "constructor.constructor('return process')()",
        "[].constructor.constructor('return globalThis')()",
        "(async () => 0).constructor('return 1')()",
        "(function* () {}).constructor('return 1')()",
        "(async function* () {}).constructor('return 1')()",
        "Atomics.wait()",
        "new WebAssembly.Module()",
        "Deno.readTextFile('/etc/passwd')",
    ] {
        misbehaves(what, &["SCRIPT_ERROR"]);
    }
    misbehaves("return import('fs')", &["SCRIPT_ERROR"]);
    let error = Formula::compile("import fs from 'fs'; return 1", &[]).unwrap_err();
    assert_eq!(error.code.as_str(), "SCRIPT_INVALID");
}

#[test]
fn what_one_row_changes_no_other_row_sees() {
    for what in [
        "Object.prototype.polluted = 1",
        "Array.prototype.toString = () => 'mine'",
        "({}).__proto__.polluted = 1",
        "Object.setPrototypeOf(Object.prototype, { polluted: 1 })",
        "JSON.parse = () => 1",
        "Math.round = () => 1",
        "String.prototype.at = () => 1",
        "globalThis.polluted = 1",
        "globalThis.Math = 1",
        "polluted = 1",
        "delete Array.prototype.map",
        "Object.defineProperty(Date.prototype, 'polluted', { value: 1 })",
        "Object.getPrototypeOf([].values()).next = () => 1",
        "Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}.prototype)).next = 1",
        "Symbol.prototype.polluted = 1",
        "RegExp.prototype.exec = () => null",
        "Promise.prototype.then = 1",
        "''.matchAll(/a/g).__proto__.next = 1",
    ] {
        misbehaves(what, &["SCRIPT_ERROR"]);
    }
}

#[test]
fn a_field_called_proto_is_a_field() {
    let row =
        Value::Json(serde_json::from_str(r#"{"__proto__": {"a": 1}, "constructor": 2}"#).unwrap());
    let source = "[x.a ?? null, Object.keys(x), ({}).a ?? null]";
    assert_eq!(one(source, row).unwrap().to_string(), r#"[null,["__proto__","constructor"],null]"#);
}

#[test]
fn a_script_cannot_end_its_own_function() {
    for source in ["1); let n = 0; (x) => (n++", "} let n = 0; (x) => { return n++", "x])([0"] {
        let error = Formula::compile(source, &["x"]).unwrap_err();
        assert_eq!(error.code.as_str(), "SCRIPT_INVALID", "{source}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_text_as_a_formula_is_evaluated_or_refused(source in "\\PC{0,40}") {
        if Formula::compile(&source, &["x"]).is_ok() {
            let _ = eval(&source, [Value::Int(1), Value::Null]);
        }
    }

    #[test]
    fn any_words_of_javascript_as_a_formula_are_evaluated_or_refused(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..14),
    ) {
        let source = words.join(" ");
        let _ = Formula::renamed(&source, &|name| Some(format!("{name}2")));
        if Formula::compile(&source, &["x"]).is_ok() {
            let _ = eval(&source, [Value::Int(1), Value::Null]);
        }
    }
}

const WORDS: [&str; 46] = [
    "x",
    "y",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=>",
    "=",
    "+",
    "/",
    "/a/g",
    "`",
    "${",
    "'a'",
    "1",
    ".5",
    ",",
    ";",
    ":",
    "?",
    "?.",
    "...",
    "return",
    "throw",
    "new",
    "await",
    "async",
    "function",
    "class",
    "let",
    "yield",
    "this",
    "super",
    "import",
    "with",
    "Object",
    "Symbol",
    "Promise",
    "prototype",
    ".",
    "__proto__",
    "\n",
    "//",
    "1n",
];
