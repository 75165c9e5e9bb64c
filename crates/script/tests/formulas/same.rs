//! A formula gives the same for the same inputs, on every machine.

use paceline_model::Value;
use serde_json::json;

use crate::support::{code, one};

#[test]
fn there_is_no_clock_and_no_chance() {
    for source in ["Date.now()", "new Date()", "Date()", "Math.random()", "new Date().getTime()"] {
        let outcome = one(source, Value::Null);
        assert_eq!(code(&outcome), "SCRIPT_ERROR", "{source}");
        assert!(outcome.unwrap_err().message.contains("is not available in a formula"), "{source}");
    }
}

#[test]
fn dates_are_read_and_told_in_utc() {
    for (source, expected) in [
        ("new Date('2026-01-31T10:20:30Z')", json!("2026-01-31T10:20:30.000Z")),
        ("new Date('2026-01-31T10:20:30+02:00')", json!("2026-01-31T08:20:30.000Z")),
        ("new Date('2026-01-31T10:20:30')", json!("2026-01-31T10:20:30.000Z")),
        ("new Date('2026-01-31')", json!("2026-01-31T00:00:00.000Z")),
        ("new Date(2026, 0, 31, 10)", json!("2026-01-31T10:00:00.000Z")),
        ("new Date('Jan 31, 2026 10:20')", json!("2026-01-31T10:20:00.000Z")),
        ("new Date('2026-07-01T12:00:00Z').getHours()", json!(12)),
        ("new Date('2026-07-01T12:00:00Z').getTimezoneOffset()", json!(0)),
        ("new Date('2026-07-01T12:00:00Z').toDateString()", json!("2026-07-01")),
        ("Date.parse('1970-01-01T00:00:01')", json!(1000)),
        ("Date.UTC(1970, 0, 1, 0, 0, 1)", json!(1000)),
        ("new Date(0) instanceof Date && new Date(0).constructor === Date", json!(true)),
        ("class D extends Date {}; return new D(5).getTime()", json!(5)),
        ("new Date('nonsense').getTime() + ''", json!("NaN")),
    ] {
        assert_eq!(one(source, Value::Null), Ok(expected), "{source}");
    }
}

#[test]
fn lists_and_texts_work_as_they_do_everywhere() {
    for (source, expected) in [
        ("[3, 1, 10].sort()", json!([1, 10, 3])),
        ("[3, 1, 10].sort((a, b) => a - b)", json!([1, 3, 10])),
        ("[3, undefined, 1].sort()[2] ?? 'none'", json!("none")),
        ("[1, [2, [3, [4]]]].flat(2)", json!([1, 2, 3, [4]])),
        ("[1, 2].concat([3], 4).join('-')", json!("1-2-3-4")),
        ("[...'añb'].reverse().join('')", json!("bña")),
        ("'a,b,c'.split(',', 2)", json!(["a", "b"])),
        ("'a.b.c'.split(/[.]/)", json!(["a", "b", "c"])),
        ("'aXbX'.replaceAll('X', '-')", json!("a-b-")),
        ("[].concat(1, [2, [3]], 'ab')", json!([1, 2, [3], "ab"])),
        ("[1, 2].flatMap((n) => [n, n])", json!([1, 1, 2, 2])),
        ("String.raw`a\\n${1 + 1}b${'c'}`", json!("a\\n2bc")),
        ("'a1b22'.match(/\\d+/g)", json!(["1", "22"])),
        ("'a1b22'.match('[0-9]+')[0]", json!("1")),
        ("'a1b22'.search('b')", json!(2)),
        ("[...'a1b22'.matchAll('[0-9]+')].length", json!(2)),
        ("[...'a1b22'.matchAll(/[0-9]+/g)][1][0]", json!("22")),
        ("new RegExp('a+', 'g').flags + RegExp('b').source", json!("gb")),
        ("new RegExp(/a/gi, 'm').flags + RegExp(/a/g).flags", json!("mg")),
        ("/a/ instanceof RegExp && /a/.constructor === RegExp", json!(true)),
        ("class R extends RegExp {}; return new R('a').test('a')", json!(true)),
        ("'a, b'.split(/,\\s*/)", json!(["a", "b"])),
        ("JSON.stringify({ a: 1, b: 2 }, ['b'])", json!(r#"{"b":2}"#)),
        ("'aXbX'.replace(/X/g, (m) => m + m)", json!("aXXbXX")),
        ("'abc'.includes('bc') && 'abc'.indexOf('c') === 2", json!(true)),
        ("'undefined'.indexOf()", json!(0)),
        ("'é'.normalize('NFD').length", json!(2)),
        ("'a'.localeCompare('b') < 0", json!(true)),
        ("String([1, [2, 3]])", json!("1,2,3")),
        ("Object.entries({ a: 1 }).map(([k, v]) => k + v)", json!(["a1"])),
        ("Object.fromEntries(new Map([['a', 1]]))", json!({"a": 1})),
        ("[..._()]; function* _() { yield 1; yield 2 } return [..._()]", json!([1, 2])),
        ("const [a, ...b] = [1, 2, 3]; return b", json!([2, 3])),
        ("[5, 6].slice(-1)[0] + [1, 2, 3].splice(1, 1)[0]", json!(8)),
    ] {
        assert_eq!(one(source, Value::Null), Ok(expected), "{source}");
    }
}
