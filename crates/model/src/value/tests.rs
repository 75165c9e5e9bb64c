//! What each type takes and refuses.

use super::*;
use serde_json::json;

#[test]
fn types_take_what_they_say() {
    let cases = [
        (ColumnType::Text, json!("x"), Some(Value::Text("x".into()))),
        (ColumnType::Text, json!(1), None),
        (ColumnType::Number, json!(1), Some(Value::Int(1))),
        (ColumnType::Number, json!(1.5), Some(Value::Number(1.5))),
        (ColumnType::Number, json!("1"), None),
        (ColumnType::Boolean, json!(true), Some(Value::Bool(true))),
        (ColumnType::Boolean, json!("true"), None),
        (ColumnType::Json, json!({"a": 1}), Some(Value::Json(json!({"a": 1})))),
        (ColumnType::Json, json!(null), Some(Value::Null)),
        (ColumnType::Email, json!(["a"]), None),
        (ColumnType::Currency, json!(9.99), Some(Value::Number(9.99))),
        (ColumnType::Relation, json!(7), Some(Value::Int(7))),
        (ColumnType::Relation, json!(0), None),
        (ColumnType::Relation, json!(1.5), None),
        (ColumnType::MultiSelect, json!(["a"]), Some(Value::Json(json!(["a"])))),
        (ColumnType::MultiSelect, json!(["a", 1]), None),
        (ColumnType::MultiSelect, json!("a"), None),
        (ColumnType::Select, json!("a"), Some(Value::Text("a".into()))),
    ];
    for (kind, given, wanted) in cases {
        assert_eq!(Value::from_json(kind, given.clone()).ok(), wanted, "{kind} {given}");
    }
}

#[test]
fn wrong_values_come_with_advice_and_are_not_repeated() {
    let cases = [
        (ColumnType::Number, json!("3.5"), "takes a number, not text; send it without quotes"),
        (ColumnType::Number, json!("secret"), "takes a number, not text"),
        (ColumnType::Boolean, json!("true"), "send it without quotes"),
        (ColumnType::Text, json!(5), "takes text, not a number; send it in quotes"),
        (ColumnType::Relation, json!(-5), "takes the number of a row (from 1), not a number"),
        (ColumnType::MultiSelect, json!("secret"), "put it into a list"),
        (ColumnType::Email, json!("secret"), "one @"),
        (ColumnType::Url, json!("secret"), "http or https"),
        (ColumnType::Phone, json!("secret"), "at least 3 digits"),
        (ColumnType::Datetime, json!("secret"), "ISO 8601"),
    ];
    for (kind, given, wanted) in cases {
        let told = Value::from_json(kind, given).unwrap_err().to_string();
        assert!(told.contains(wanted) && !told.contains("secret"), "{told}");
    }
}

#[test]
fn options_are_the_only_values_of_a_select() {
    let column = |kind, options: &[&str]| Column {
        id: crate::ColumnId(1),
        table: crate::TableId(1),
        name: "stage".into(),
        title: None,
        kind,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        smart: None,
    };
    let (one, many) = (ColumnType::Select, ColumnType::MultiSelect);
    let stages = ["lead", "customer"];
    for (kind, given, wanted) in [
        (one, json!("lead"), None),
        (one, json!(null), None),
        (one, json!("custmer"), Some("did you mean \"customer\"?")),
        (one, json!("Lead"), Some("did you mean \"lead\"?")),
        (one, json!(""), Some("(lead, customer)")),
        (many, json!(["lead", "customer"]), None),
        (many, json!([]), None),
        (many, json!(["lead", "lead"]), Some("twice")),
        (many, json!(["zzz"]), Some("not one of")),
    ] {
        let told = Value::of(&column(kind, &stages), given.clone()).err();
        match (wanted, told) {
            (None, told) => assert!(told.is_none(), "{given}: {told:?}"),
            (Some(words), Some(told)) => assert!(told.to_string().contains(words), "{told}"),
            (Some(_), None) => panic!("{given} was taken"),
        }
    }
    assert!(Value::of(&column(one, &[]), json!("anything")).is_ok(), "made before options");
}

#[test]
fn depth_and_size_are_bounded() {
    let mut deep = json!(1);
    for _ in 0..limits::JSON_DEPTH_MAX + 1 {
        deep = json!([deep]);
    }
    assert!(Value::from_json(ColumnType::Json, deep).is_err());
    let long = "x".repeat(limits::VALUE_BYTES_MAX + 1);
    assert!(Value::from_json(ColumnType::Text, json!(long)).is_err());
}
