//! Values in and out, errors with their lines, and what a formula may look like.

use paceline_clock::Clock;
use paceline_model::Value;
use paceline_script::{Formula, Pool};
use serde_json::json;

use crate::support::{block_on, code, eval, one};

#[test]
fn values_come_in_as_what_they_are() {
    for (value, expected) in [
        (Value::Null, "object null"),
        (Value::Bool(true), "boolean true"),
        (Value::Int(7), "number 7"),
        (Value::Int(1 << 40), "number 1099511627776"),
        (Value::Number(0.5), "number 0.5"),
        (Value::Text("añ😀\u{0}b".into()), "string añ😀\u{0}b"),
        (Value::Json(json!([1, "a"])), "object 1,a"),
        (Value::Json(json!("text")), "string text"),
    ] {
        assert_eq!(one("typeof x + ' ' + x", value.clone()), Ok(expected.into()), "{value:?}");
    }
    assert_eq!(one("x.a[1].b", Value::Json(json!({"a": [0, {"b": 2}]}))), Ok(json!(2)));
}

#[test]
fn what_comes_out_is_json_or_an_error_that_says_why() {
    for (source, expected) in [
        ("undefined", json!(null)),
        ("null", json!(null)),
        ("1 + 1", json!(2)),
        ("0.1", json!(0.1)),
        ("2 ** 53", json!(9007199254740992.0)),
        ("-0", json!(0)),
        ("({a: [1, undefined], b: undefined})", json!({"a": [1, null]})),
        ("new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("10n", json!(10)),
        ("Promise.resolve(3)", json!(3)),
        ("(async () => { await null; return 4 })()", json!(4)),
        ("await Promise.all([1, Promise.resolve(2)])", json!([1, 2])),
        ("const two = 2\nreturn two // comment", json!(2)),
        ("1 // comment", json!(1)),
        ("({ valueOf() { return 1 } })", json!({})),
    ] {
        assert_eq!(one(source, Value::Null), Ok(expected), "{source}");
    }
    for (source, message) in [
        (
            "NaN",
            "the result is NaN, which is no value of a cell; look for an input that is empty or no number",
        ),
        ("1 / 0", "the result is inf, which is no value of a cell; look for a division by zero"),
        ("() => 1", "the result is a function"),
        ("Symbol('a')", "the result is a symbol"),
        ("2n ** 64n", "the result is a BigInt beyond 64 bits"),
        ("'\\ud800'", "the result is text with half of a character"),
        ("'x'.repeat(2e6)", "the result is 2000000 bytes long"),
        (
            "let a = []; for (let i = 0; i < 200; i++) a = [a]; return a",
            "the result is JSON that cannot be kept",
        ),
    ] {
        let outcome = one(source, Value::Null);
        assert_eq!(code(&outcome), "SCRIPT_RESULT", "{source}: {outcome:?}");
        let told = outcome.unwrap_err().message;
        assert!(told.starts_with(message), "{source}: {told}");
    }
}

#[test]
fn what_is_thrown_is_told_with_its_line() {
    for (source, expected) in [
        ("x.a.b", "TypeError: cannot read property 'a' of null (line 1)"),
        ("const a = 1;\nthrow new RangeError('too far')", "RangeError: too far (line 2)"),
        ("throw 'text'", "threw text"),
        ("throw {a: 1}", "threw [object Object]"),
        ("throw null", "took more than"),
        ("const y = 1; return xx", "ReferenceError: xx is not defined"),
        ("await Promise.reject(new Error('no'))", "Error: no"),
        ("new Promise(() => 0)", "waits for a promise that nothing will keep"),
        ("throw new Error('x'.repeat(1e6))", "Error: xxxx"),
    ] {
        let source = if source.starts_with("throw") {
            format!("{source}; return 1")
        } else {
            source.to_owned()
        };
        let told = one(&source, Value::Null).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{source}: {told}");
        assert!(told.len() < 400, "{source}");
    }
}

#[test]
fn a_misspelt_column_is_told_when_the_column_is_made_or_at_its_row() {
    let compiled = |source: &str| Formula::compile(source, &["revenue", "cost"]);
    let told = compiled("revenue - costt").unwrap_err().to_string();
    assert_eq!(told, "there is no column \"costt\"; did you mean \"cost\"?");
    let formula = compiled("[1].map((n) => n * revenu)[0]").unwrap();
    let outcomes = block_on(Pool::new(Clock::system(), 1).eval(&formula, vec![Vec::new()]));
    let told = outcomes[0].clone().unwrap_err().message;
    assert!(told.ends_with("; did you mean \"revenue\"?"), "{told}");
}

#[test]
fn what_is_no_javascript_is_refused_with_its_line() {
    for (source, line) in [
        ("1 +", Some(2)),
        ("a b", Some(1)),
        ("const a = ;\nreturn a", Some(1)),
        ("", None),
        ("a = 1; a + 1", None),
    ] {
        let error = Formula::compile(source, &["a", "b"]).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.line),
            ("SCRIPT_INVALID", line),
            "{source}: {error}"
        );
    }
}

#[test]
fn only_the_columns_that_are_used_are_taken() {
    let labels = ["iata", "city", "class", "Date", "City name", "city"];
    for (source, inputs) in [
        ("city", vec![1]),
        ("'city' + `iata` /* city */", vec![]),
        ("`${iata}`", vec![0]),
        ("x => x.city", vec![]),
        ("({city: 1})", vec![]),
        ("({city})", vec![1]),
        ("({city: iata}).city", vec![0]),
        ("new Date(city)", vec![1]),
        ("iata ? city : null", vec![0, 1]),
        ("iata?.city", vec![0]),
        ("[...iata]", vec![0]),
    ] {
        let formula =
            Formula::compile(source, &labels).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(formula.inputs(), inputs, "{source}");
    }
}

#[test]
fn many_rows_keep_their_order_over_the_threads() {
    let rows: Vec<_> = (0..5_000).map(|n| vec![Value::Int(n)]).collect();
    let formula =
        Formula::compile("if (x % 1000 === 7) throw new Error('seven'); return x * 2", &["x"])
            .unwrap();
    let outcomes = block_on(Pool::new(Clock::system(), 2).eval(&formula, rows));
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value, &json!(n * 2)),
            Err(error) => assert!(n % 1000 == 7 && error.message == "Error: seven"),
        }
    }
    assert_eq!(outcomes.len(), 5_000);
    assert_eq!(eval("x", []), []);
}
