//! Filters and orders from JSON: what they mean, what is refused and how it is said.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{Column, ColumnType, SmartColumn, SmartKind, Table, TableId, limits};

/// A table with a column of each type, called by it, and a smart one.
fn table() -> Table {
    let mut columns: Vec<Column> = (1..)
        .zip(ColumnType::ALL)
        .map(|(id, kind)| Column {
            id: ColumnId(id),
            table: TableId(1),
            name: kind.to_string(),
            title: None,
            kind,
            options: Vec::new(),
            smart: None,
        })
        .collect();
    let more = |id, name: &str, title: Option<&str>| Column {
        id: ColumnId(id),
        name: name.into(),
        title: title.map(str::to_owned),
        ..columns[0].clone()
    };
    let (mut smart, group) = (more(20, "city", Some("Home Town v1.0")), more(21, "or", None));
    smart.smart = Some(SmartColumn {
        kind: SmartKind::Http,
        config: json!({}),
        rate_limit: json!("gentle"),
        version: 1,
    });
    columns.extend([smart, group]);
    Table {
        id: TableId(1),
        name: "things".into(),
        description: String::new(),
        columns,
        created_at: paceline_clock::Timestamp::default(),
    }
}

fn column(kind: ColumnType) -> Subject {
    Subject::Column(table().column(kind.as_str()).unwrap().id)
}

fn test(subject: Subject, path: Vec<PathStep>, operator: Operator) -> Filter {
    Filter::Test(Test { subject, path, operator })
}

fn of(kind: ColumnType, operator: Operator) -> Filter {
    test(column(kind), Vec::new(), operator)
}

#[test]
fn filters_mean_what_they_say() {
    use ColumnType as T;
    let text = |text: &str| Value::Text(text.into());
    let key = |name: &str| PathStep::Key(name.into());
    let city = ColumnId(20);
    let cases = [
        (json!({}), Filter::All(vec![])),
        (json!({"text": "a"}), of(T::Text, Operator::Eq(text("a")))),
        (json!({"text": null}), of(T::Text, Operator::IsNull(true))),
        (json!({"text": {"neq": null}}), of(T::Text, Operator::IsNull(false))),
        (json!({"text": {"is_not_null": false}}), of(T::Text, Operator::IsNull(true))),
        (json!({"number": {"in": []}}), of(T::Number, Operator::In(vec![]))),
        (
            json!({"number": {"gte": 1, "lt": 2.5}}),
            Filter::All(vec![
                of(T::Number, Operator::Gte(Value::Int(1))),
                of(T::Number, Operator::Lt(Value::Number(2.5))),
            ]),
        ),
        (
            json!({"or": [{"boolean": true}, {"and": [{"relation": 7}, {"multi_select": {"contains": "x"}}]}]}),
            Filter::Any(vec![
                of(T::Boolean, Operator::Eq(Value::Bool(true))),
                Filter::All(vec![
                    of(T::Relation, Operator::Eq(Value::Int(7))),
                    of(T::MultiSelect, Operator::Contains("x".into())),
                ]),
            ]),
        ),
        (
            json!({"or": {"eq": "gold"}}),
            test(Subject::Column(ColumnId(21)), vec![], Operator::Eq(text("gold"))),
        ),
        (
            json!({"json.a[0].b": {"gt": 3}}),
            test(
                column(T::Json),
                vec![key("a"), PathStep::Index(0), key("b")],
                Operator::Gt(Value::Int(3)),
            ),
        ),
        (
            json!({"json[\"a.b\"]": {"between": ["x", "y"]}}),
            test(column(T::Json), vec![key("a.b")], Operator::Between(text("x"), text("y"))),
        ),
        (
            json!({"multi_select": ["a", "b"]}),
            of(T::MultiSelect, Operator::Eq(Value::Json(json!(["a", "b"])))),
        ),
        (
            json!({"_ht_created_at": {"lte": "1970-01-01T00:00:02Z"}}),
            test(Subject::CreatedAt, vec![], Operator::Lte(Value::Int(2_000_000))),
        ),
        (
            json!({"city": {"state": "failed"}}),
            Filter::Cell { column: city, states: vec![Some(CellState::Failed)] },
        ),
        (
            json!({"Home Town v1.0": {"state": ["idle", "unknown", "idle"]}}),
            Filter::Cell { column: city, states: vec![None, Some(CellState::Unknown)] },
        ),
    ];
    for (json, wanted) in cases {
        let filter = Filter::parse(&table(), &json).unwrap();
        assert_eq!(filter, wanted, "{json}");
        let shown = filter.to_json(&table());
        assert_eq!(Filter::parse(&table(), &shown), Ok(filter), "{json} shown as {shown}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_way_out() {
    let wide: Vec<Json> = (0..=limits::FILTER_TESTS_MAX).map(|n| json!({"number": n})).collect();
    let mut deep = json!({"text": "a"});
    for _ in 0..=limits::FILTER_DEPTH_MAX {
        deep = json!({"or": [deep, {"text": "b"}]});
    }
    let cases = [
        (json!([]), "", "object", None),
        (json!(null), "", "object", None),
        (json!({"txt": 1}), "txt", "no column", Some("text")),
        (json!({"_ht_status": 1}), "_ht_status", "\"state\"", None),
        (json!({"text": {"equals": 1}}), "text.equals", "eq, neq, gt", None),
        (json!({"text": {"contain": "hidden"}}), "text.contain", "contains", Some("contains")),
        (json!({"text": {}}), "text", "starts_with", None),
        (json!({"text": ["a"]}), "text", "use `in`", None),
        (json!({"text": 1}), "text", "takes text", None),
        (json!({"number": "hidden"}), "number", "takes a number", None),
        (json!({"relation": 1.5}), "relation", "number of a row", None),
        (json!({"boolean": {"gt": true}}), "boolean.gt", "eq, neq, in, is_null", None),
        (json!({"json": {"lt": 3}}), "json.lt", "path", None),
        (json!({"json": {"city": "hidden"}}), "json.city", "column.city", None),
        (json!({"number": {"contains": "1"}}), "number.contains", "between", None),
        (
            json!({"multi_select": {"starts_with": "1"}}),
            "multi_select.starts_with",
            "contains",
            None,
        ),
        (json!({"json.a": {"gt": true}}), "json.a.gt", "eq", None),
        (json!({"json.a": {"between": [1, "2"]}}), "json.a.between", "two numbers", None),
        (json!({"json.a": {"eq": [1]}}), "json.a.eq", "list", None),
        (json!({"text.a": 1}), "text.a", "json column", None),
        (json!({"json.a.": 1}), "json.a.", "no column", None),
        (json!({"number": {"in": [1, "x"]}}), "number.in[1]", "takes a number", None),
        (json!({"number": {"in": [null]}}), "number.in[0]", "is_null", None),
        (json!({"number": {"in": 3}}), "number.in", "list", None),
        (json!({"number": {"between": [1]}}), "number.between", "two values", None),
        (json!({"text": {"is_null": "yes"}}), "text.is_null", "true or false", None),
        (json!({"_ht_created_at": {"gt": "soon"}}), "_ht_created_at.gt", "ISO 8601", None),
        (json!({"text": {"state": "failed"}}), "text.state", "smart", None),
        (json!({"city": {"state": "faild"}}), "city.state", "completed", Some("failed")),
        (json!({"city": {"state": []}}), "city.state", "no state", None),
        (json!({"or": []}), "or", "at least one", None),
        (json!({"and": {"text": 1}}), "and", "list of filters", None),
        (json!({"or": [{"text": "a"}, 5]}), "or[1]", "object", None),
        (json!({"or": [{"and": [{"prize": 1}]}]}), "or[0].and[0].prize", "no column", None),
    ];
    for (json, field, problem, meant) in cases {
        let error = Filter::parse(&table(), &json).unwrap_err();
        assert_eq!(error.field, field, "{json}: {error}");
        assert!(error.problem.contains(problem), "{json}: {error}");
        assert_eq!(error.did_you_mean.as_deref(), meant, "{json}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for json in [json!({"or": wide}), deep] {
        assert!(Filter::parse(&table(), &json).is_err());
    }
    let long: Vec<usize> = (0..=limits::FILTER_VALUES_MAX).collect();
    let error = Filter::parse(&table(), &json!({"number": {"in": long}})).unwrap_err();
    assert!(error.problem.contains("10000"), "{error}");
}

#[test]
fn orders_mean_what_they_say() {
    let asc = |subject| Sort { subject, descending: false };
    let desc = |subject| Sort { subject, descending: true };
    let (text, number) = (column(ColumnType::Text), column(ColumnType::Number));
    let cases = [
        (json!(null), vec![]),
        (json!({}), vec![]),
        (json!({"number": "desc", "text": "ASC"}), vec![desc(number), asc(text)]),
        (json!(["-number", "text"]), vec![desc(number), asc(text)]),
        (json!("-_ht_id"), vec![desc(Subject::Id)]),
        (
            json!([{"text": "asc"}, {"_ht_updated_at": "desc"}]),
            vec![asc(text), desc(Subject::UpdatedAt)],
        ),
    ];
    for (json, wanted) in cases {
        let sort = Sort::parse(&table(), &json).unwrap();
        assert_eq!(sort, wanted, "{json}");
        assert_eq!(Sort::parse(&table(), &Sort::to_json(&table(), &sort)), Ok(sort), "{json}");
    }
    let refused = [
        (json!({"txt": "asc"}), "txt", "no column"),
        (json!({"text": "up"}), "text", "desc"),
        (json!(["text", {"text": "asc"}]), "[1].text", "twice"),
        (json!(["json"]), "[0]", "no order"),
        (json!(["json.a"]), "[0]", "no order"),
        (json!([["text"]]), "[0]", "object"),
        (json!(5), "", "object"),
    ];
    for (json, field, problem) in refused {
        let error = Sort::parse(&table(), &json).unwrap_err();
        assert_eq!(error.field, field, "{json}: {error}");
        assert!(error.problem.contains(problem), "{json}: {error}");
    }
}

/// JSON that comes near a filter: names and operators of the table among all else.
fn near() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|x| json!(x)),
        "[a-z%_\u{0}]{0,3}|failed|idle|2026-01-01|-?number|text".prop_map(|text| json!(text)),
    ];
    let key = "or|and|text|number|boolean|json|multi_select|city|relation|_ht_id|_ht_created_at|eq|neq|gt|in\
        |between|contains|starts_with|is_null|is_not_null|state|json\\.a|json\\[0\\]|json\\[\"\\.\"\\]\\.b|[a-z.\\[\\]\"]{0,4}";
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_json_is_survived_and_what_is_a_filter_is_shown_back(json in near()) {
        if let Ok(filter) = Filter::parse(&table(), &json) {
            let shown = filter.to_json(&table());
            prop_assert_eq!(Filter::parse(&table(), &shown), Ok(filter), "{}", shown);
        }
        if let Ok(sort) = Sort::parse(&table(), &json) {
            prop_assert_eq!(Sort::parse(&table(), &Sort::to_json(&table(), &sort)), Ok(sort));
        }
    }
}
