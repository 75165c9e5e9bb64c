//! Templates by tables, and one property: nothing panics.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const COLUMNS: [&str; 4] = ["city", "n", "data", "odd.name"];

fn row() -> Vec<Value> {
    vec![
        Value::Text("São \"Paulo\" & co".into()),
        Value::Number(-1.5),
        Value::Json(json!({"a": {"b": [10, {"c": "x y"}]}, "null": null, "with space": true})),
        Value::Text("{\"inner\": [7]}".into()),
    ]
}

fn render(text: &str, place: Place) -> Result<String, String> {
    let template = Template::parse(text, place).map_err(|error| error.to_string())?;
    let bound = template.bind(&COLUMNS).map_err(|error| error.to_string())?;
    bound.render(&row()).map_err(|error| error.to_string())
}

#[test]
fn values_are_escaped_for_where_they_stand() {
    let cases = [
        ("no references", Place::Text, "no references"),
        ("{{ n }}", Place::Text, "-1.5"),
        ("{{city}}", Place::Text, "São \"Paulo\" & co"),
        ("https://x/?q={{city}}", Place::Url, "https://x/?q=S%C3%A3o%20%22Paulo%22%20%26%20co"),
        ("{{city}}/x", Place::Url, "São \"Paulo\" & co/x"),
        ("q={{city}}", Place::FormBody, "q=S%C3%A3o%20%22Paulo%22%20%26%20co"),
        (
            r#"{"q": "in {{city}}!", "n": {{n}}}"#,
            Place::JsonBody,
            r#"{"q": "in São \"Paulo\" & co!", "n": -1.5}"#,
        ),
        (
            r#"{"q": {{city}}, "d": {{data.a.b}}}"#,
            Place::JsonBody,
            r#"{"q": "São \"Paulo\" & co", "d": [10,{"c":"x y"}]}"#,
        ),
        ("{{data.a.b[0]}}", Place::Text, "10"),
        ("{{data.a.b[1].c}}", Place::Text, "x y"),
        (r#"{{data["with space"]}}"#, Place::Text, "true"),
        ("{{odd.name}}", Place::Text, "{\"inner\": [7]}"),
        (r#"{{["odd.name"].inner[0]}}"#, Place::Text, "7"),
        (r#"{{data.null ?? "none"}}"#, Place::Text, "none"),
        ("{{data.nowhere ?? 0}}", Place::JsonBody, "0"),
        (r#"{{data.nowhere ?? "}} ok"}}"#, Place::Text, "}} ok"),
    ];
    for (text, place, wanted) in cases {
        assert_eq!(render(text, place).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("{{city", "never closed"),
        ("{{}}", "no column's name"),
        ("{{citi}}", "did you mean \"city\"?"),
        ("{{data.a.}}", "missing after `.`"),
        ("{{data[x]}}", "a number from 0"),
        ("{{data[0}}", "never closed"),
        ("{{[0]}}", "not with a number"),
        ("{{city ?? none}}", "must be JSON"),
        ("{{data.nowhere}}", "has no value in this row"),
        ("{{data.null}}", "has no value in this row"),
    ];
    for (text, wanted) in cases {
        let error = render(text, Place::Text).expect_err(text);
        assert!(error.contains(wanted), "{text}: {error}");
    }
    let bound = Template::parse("x{{city}}", Place::Header).unwrap().bind(&COLUMNS).unwrap();
    let error = bound.render(&[Value::Text("a\r\nEvil: 1".into())]).unwrap_err();
    assert!(error.to_string().contains("no line break"), "{error}");
}

#[test]
fn columns_and_prefix_are_known_before_any_row() {
    let template = Template::parse("https://h/{{city}}/{{n}}/{{city.x}}", Place::Url).unwrap();
    assert_eq!(template.columns(), ["city", "n"]);
    assert_eq!(template.literal_prefix(), "https://h/");
    assert!(!template.is_literal());
    assert_eq!(template.bind(&COLUMNS).unwrap().inputs(), [0, 1]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\"\\\\.?a-c0-9 é]{0,40}") {
        for place in [Place::Url, Place::Header, Place::JsonBody, Place::FormBody, Place::Text] {
            let _ = render(&text, place);
        }
    }

    #[test]
    fn a_json_body_stays_json_whatever_the_value(value in "\\PC*") {
        prop_assume!(!value.is_empty());
        let bound = Template::parse(r#"{"a": "x{{city}}", "b": {{city}}}"#, Place::JsonBody).unwrap()
            .bind(&["city"]).unwrap();
        let body = bound.render(&[Value::Text(value.clone())]).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(parsed, json!({"a": format!("x{value}"), "b": value}));
    }
}
