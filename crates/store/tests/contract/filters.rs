//! Rows found and sorted (T3).

use paceline_model::{
    CellState, ColumnId, ColumnType, Error, Filter, NewTable, Operator, RowId, RowQuery, Scope,
    Sort, Subject, Table, Test, Value, limits,
};
use serde_json::{Value as Json, json};

use crate::support::{Scene, column, each, finish, leads, numbers};

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A table with a column of each type, called by it.
pub(crate) async fn types(scene: &Scene) -> Table {
    let columns = ColumnType::ALL.iter().map(|kind| column(kind.as_str(), *kind)).collect();
    let table = NewTable { name: "things".into(), description: String::new(), columns };
    scene.store.create_table(table).await.unwrap()
}

pub(crate) fn id_of(table: &Table, name: &str) -> ColumnId {
    table.column(name).unwrap().id
}

/// Rows of one column.
async fn fill(scene: &Scene, table: &Table, name: &str, values: Vec<Value>) {
    let rows = values.into_iter().map(|value| vec![value]).collect();
    scene.store.insert_rows(table.id, &[id_of(table, name)], rows).await.unwrap();
}

pub(crate) async fn found(scene: &Scene, table: &Table, filter: &Json) -> Vec<i64> {
    let parsed = Filter::parse(table, filter).unwrap();
    let query = RowQuery { filter: Some(parsed.clone()), limit: 100, ..RowQuery::of(table.id) };
    let rows = scene.store.rows(query).await.unwrap();
    let count = scene.store.count_rows(table.id, Some(parsed)).await.unwrap();
    assert_eq!(count, rows.len() as u64, "{filter}");
    numbers(rows.into_iter().map(|row| row.id))
}

pub(crate) async fn sorted(scene: &Scene, table: &Table, sort: &Json) -> Vec<i64> {
    let sort = Sort::parse(table, sort).unwrap();
    let query = RowQuery { sort, limit: 100, ..RowQuery::of(table.id) };
    numbers(scene.store.rows(query).await.unwrap().into_iter().map(|row| row.id))
}

#[test]
fn every_operator_finds_what_it_says_and_empty_values_only_where_it_says() {
    each(|scene| async move {
        let table = types(&scene).await;
        let texts =
            ["Bern", "bern", "BERN 2", "Zürich", "a\0b", "a\u{1}b", "a\u{FDD0}b", "", "a0b"];
        let mut rows: Vec<Value> = texts.iter().map(|value| text(value)).collect();
        rows.push(Value::Null);
        fill(&scene, &table, "text", rows).await;
        let cases = [
            (json!({}), vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (json!({"text": "bern"}), vec![2]),
            (json!({"text": {"neq": "bern"}}), vec![1, 3, 4, 5, 6, 7, 8, 9, 10]),
            (json!({"text": {"contains": "ER"}}), vec![1, 2, 3]),
            (json!({"text": {"contains": "ÜR"}}), vec![]),
            (json!({"text": {"contains": "üR"}}), vec![4]),
            (json!({"text": {"contains": ""}}), vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (json!({"text": {"contains": "\0"}}), vec![5]),
            (json!({"text": {"contains": "0"}}), vec![9]),
            (json!({"text": {"contains": "0b"}}), vec![9]),
            (json!({"text": {"contains": "1"}}), vec![]),
            (json!({"text": {"contains": "%"}}), vec![]),
            (json!({"text": {"starts_with": "BERN"}}), vec![3]),
            (json!({"text": {"starts_with": "a\0"}}), vec![5]),
            (json!({"text": {"starts_with": "a\u{FDD0}"}}), vec![7]),
            (json!({"text": {"gt": "a"}}), vec![2, 5, 6, 7, 9]),
            (json!({"text": {"lt": "a\u{1}"}}), vec![1, 3, 4, 5, 8]),
            (json!({"text": {"between": ["Bern", "bern"]}}), vec![1, 2, 4, 5, 6, 7, 9]),
            (json!({"text": {"in": ["Bern", "", "a\0b", "none"]}}), vec![1, 5, 8]),
            (json!({"text": {"in": []}}), vec![]),
            (json!({"text": {"is_null": true}}), vec![10]),
            (json!({"text": {"is_null": false}}), vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (json!({"or": [{"text": "Bern"}, {"text": null}]}), vec![1, 10]),
            (json!({"_ht_id": {"in": [2, 9, 77]}}), vec![2, 9]),
            (json!({"_ht_id": {"gt": 8}, "text": {"is_null": false}}), vec![9]),
        ];
        for (filter, wanted) in cases {
            assert_eq!(found(&scene, &table, &filter).await, wanted, "{filter}");
        }
        let ascending = vec![8, 3, 1, 4, 5, 6, 9, 7, 2, 10];
        assert_eq!(sorted(&scene, &table, &json!({"text": "asc"})).await, ascending);
        let descending = vec![2, 7, 9, 6, 5, 4, 1, 3, 8, 10];
        assert_eq!(sorted(&scene, &table, &json!({"text": "desc"})).await, descending);
    });
}

#[test]
fn numbers_compare_as_numbers_whole_or_not() {
    each(|scene| async move {
        let table = types(&scene).await;
        let big = 1_i64 << 62;
        #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
        let rows = vec![
            Value::Int(3),
            Value::Number(3.0),
            Value::Int(big),
            Value::Number(big as f64),
            Value::Int(big + 1),
            Value::Int(i64::MIN),
            Value::Number(1e300),
            Value::Number(-0.5),
            Value::Null,
        ];
        fill(&scene, &table, "number", rows).await;
        let cases = [
            (json!({"number": 3}), vec![1, 2]),
            (json!({"number": 3.0}), vec![1, 2]),
            (json!({"number": big}), vec![3, 4]),
            (json!({"number": 4.611_686_018_427_388e18}), vec![3, 4]),
            (json!({"number": {"gt": big}}), vec![5, 7]),
            (json!({"number": {"lte": -0.5}}), vec![6, 8]),
            (json!({"number": {"neq": 3}}), vec![3, 4, 5, 6, 7, 8, 9]),
            (json!({"number": {"between": [-1, 3]}}), vec![1, 2, 8]),
            (json!({"number": {"in": [3, 1e300]}}), vec![1, 2, 7]),
        ];
        for (filter, wanted) in cases {
            assert_eq!(found(&scene, &table, &filter).await, wanted, "{filter}");
        }
        assert_eq!(sorted(&scene, &table, &json!(["-number"])).await, [7, 5, 3, 4, 1, 2, 8, 6, 9]);
    });
}

#[test]
fn inside_json_only_the_same_kind_is_compared() {
    each(|scene| async move {
        let table = types(&scene).await;
        let docs = [
            json!({"a": 1, "b.c": ["x", "1"], "0": "key"}),
            json!({"a": "1"}),
            json!({"a": true}),
            json!({"a": null}),
            json!({"a": [1]}),
            json!({"a": 1.5, "n": "\0nul\\u0000"}),
            json!([{"a": "item"}]),
            json!("only text"),
            json!({"a": 9_007_199_254_740_993_i64}),
            json!({"a": u64::MAX}),
        ];
        let mut rows: Vec<Value> = docs.into_iter().map(Value::Json).collect();
        rows.push(Value::Null);
        fill(&scene, &table, "json", rows).await;
        let cases = [
            (json!({"json.a": 1}), vec![1]),
            (json!({"json.a": 1.0}), vec![1]),
            (json!({"json.a": "1"}), vec![2]),
            (json!({"json.a": true}), vec![3]),
            (json!({"json.a": {"neq": 1}}), vec![2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            (json!({"json.a": {"gt": 1}}), vec![6, 9, 10]),
            (json!({"json.a": {"gte": "0"}}), vec![2]),
            (json!({"json.a": {"in": [1, "1", false, 1.5]}}), vec![1, 2, 6]),
            (json!({"json.a": {"is_null": true}}), vec![4, 7, 8, 11]),
            (json!({"json.a": {"is_null": false}}), vec![1, 2, 3, 5, 6, 9, 10]),
            (json!({"json.a": 9_007_199_254_740_993_i64}), vec![9]),
            (json!({"json.a": 9_007_199_254_740_992_i64}), vec![]),
            (json!({"json.a": u64::MAX}), vec![10]),
            (json!({"json[\"b.c\"][0]": {"contains": "X"}}), vec![1]),
            (json!({"json[\"0\"]": "key"}), vec![1]),
            (json!({"json[0]": "key"}), vec![]),
            (json!({"json[0].a": {"starts_with": "it"}}), vec![7]),
            (json!({"json[4294967296].a": "item"}), vec![]),
            (json!({"json.n": {"starts_with": "\0n"}}), vec![6]),
            (json!({"json.n": {"contains": "L\\U0000"}}), vec![6]),
            (json!({"json": {"eq": {"a": "1"}}}), vec![2]),
            (json!({"json": {"in": [[{"a": "item"}], "only text"]}}), vec![7, 8]),
            (json!({"json": {"neq": "only text"}}), vec![1, 2, 3, 4, 5, 6, 7, 9, 10, 11]),
            (json!({"json": null}), vec![11]),
        ];
        for (filter, wanted) in cases {
            assert_eq!(found(&scene, &table, &filter).await, wanted, "{filter}");
        }
    });
}

#[test]
fn other_types_compare_as_what_they_are() {
    each(|scene| async move {
        let table = types(&scene).await;
        let names = ["boolean", "multi_select", "datetime", "relation"];
        let columns: Vec<ColumnId> = names.iter().map(|name| id_of(&table, name)).collect();
        let row = |flag, list: Json, day: &str, id| {
            vec![Value::Bool(flag), Value::Json(list), text(day), Value::Int(id)]
        };
        let rows = vec![
            row(true, json!(["red", "blu\0e"]), "2026-01-02T00:00:00Z", 7),
            row(false, json!(["re"]), "2026-01-10T00:00:00Z", -7),
            row(true, json!([]), "2025-12-31T00:00:00Z", 8),
            // What was meant as a list may be anything.
            row(false, json!("red"), "", 9),
            vec![Value::Null; 4],
        ];
        scene.store.insert_rows(table.id, &columns, rows).await.unwrap();
        let cases = [
            (json!({"boolean": true}), vec![1, 3]),
            (json!({"boolean": {"neq": true}}), vec![2, 4, 5]),
            (json!({"boolean": {"in": [true, false]}}), vec![1, 2, 3, 4]),
            (json!({"multi_select": {"contains": "red"}}), vec![1]),
            (json!({"multi_select": {"contains": "RED"}}), vec![]),
            (json!({"multi_select": {"contains": "blu\0e"}}), vec![1]),
            (json!({"multi_select": ["re"]}), vec![2]),
            (json!({"multi_select": {"neq": []}}), vec![1, 2, 4, 5]),
            (json!({"datetime": {"gte": "2026-01-02"}}), vec![1, 2]),
            (json!({"relation": {"lt": 8}}), vec![1, 2]),
            (json!({"relation": {"in": [8, -7]}}), vec![2, 3]),
            (json!({"_ht_created_at": {"is_null": true}}), vec![]),
            (json!({"_ht_created_at": {"gt": "1971-01-01"}, "boolean": true}), vec![1, 3]),
            (json!({"_ht_updated_at": {"lt": "1971-01-01"}}), vec![]),
        ];
        for (filter, wanted) in cases {
            assert_eq!(found(&scene, &table, &filter).await, wanted, "{filter}");
        }
        assert_eq!(sorted(&scene, &table, &json!(["-boolean"])).await, [1, 3, 2, 4, 5]);
        assert_eq!(sorted(&scene, &table, &json!(["-_ht_id"])).await, [5, 4, 3, 2, 1]);
        assert_eq!(sorted(&scene, &table, &json!(["boolean", "-relation"])).await, [4, 2, 3, 1, 5]);
    });
}

#[test]
fn cells_are_found_by_their_state() {
    each(|scene| async move {
        let (table, city) = scene.filled(5).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 4).await;
        let states =
            [CellState::Completed, CellState::Failed, CellState::Skipped, CellState::Unknown];
        let now = scene.clock.wall();
        let reports = (1..).zip(states).map(|(row, state)| finish(row, state, now)).collect();
        scene.store.record(run.id, 1, reports).await.unwrap();
        let cases = [
            (json!({"city": {"state": "failed"}}), vec![2]),
            (json!({"city": {"state": "idle"}}), vec![5]),
            (json!({"city": {"state": ["idle", "unknown", "completed"]}}), vec![1, 4, 5]),
            (json!({"city": {"state": "skipped"}, "score": {"lt": 3}}), vec![]),
            (json!({"or": [{"city": {"state": "skipped"}}, {"score": {"lt": 2}}]}), vec![1, 3]),
        ];
        for (filter, wanted) in cases {
            assert_eq!(found(&scene, &table, &filter).await, wanted, "{filter}");
        }
        let none = Filter::Cell { column: city.id, states: vec![] };
        assert_eq!(scene.store.count_rows(table.id, Some(none)).await.unwrap(), 0);
    });
}

#[test]
fn long_filters_pass_and_longer_ones_are_refused() {
    each(|scene| async move {
        let (table, _) = scene.filled(5).await;
        let list: Vec<i64> = (3..3 + 10_000).collect();
        assert_eq!(found(&scene, &table, &json!({"score": {"in": list}})).await, [3, 4, 5]);
        let many: Vec<Json> = (0..limits::FILTER_TESTS_MAX - 1)
            .map(|n| json!({"email": {"contains": format!("{}@", n % 3)}}))
            .collect();
        assert_eq!(found(&scene, &table, &json!({"or": many})).await, [1, 2]);
        let mut deep = json!({"score": 4});
        for _ in 0..limits::FILTER_DEPTH_MAX {
            deep = json!({"or": [{"and": [{"score": 1}, {"score": 2}]}, {"score": 1, "and": [deep]}, {"score": 5}]});
            deep = json!({"or": [{"score": 5}, {"score": deep["or"][2]["score"]}]});
        }
        assert_eq!(found(&scene, &table, &deep).await, [5]);
        let mut endless = Filter::All(vec![]);
        for _ in 0..200 {
            endless = Filter::Any(vec![endless]);
        }
        let error = scene.store.count_rows(table.id, Some(endless)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    });
}

#[test]
fn what_does_not_fit_is_invalid_and_foreign_columns_are_missing() {
    each(|scene| async move {
        let table = types(&scene).await;
        let other = leads(scene.store.as_ref()).await;
        let test = |subject, operator| Filter::Test(Test { subject, path: Vec::new(), operator });
        let of = |name: &str| Subject::Column(id_of(&table, name));
        let wrong = [
            test(of("number"), Operator::Eq(text("secret"))),
            test(of("number"), Operator::Eq(Value::Number(f64::NAN))),
            test(of("text"), Operator::Gt(Value::Null)),
            test(of("text"), Operator::In(vec![Value::Null])),
            test(of("boolean"), Operator::Lt(Value::Bool(true))),
            test(of("json"), Operator::StartsWith("a".into())),
            test(of("number"), Operator::Contains("1".into())),
            test(Subject::CreatedAt, Operator::Gt(text("secret"))),
        ];
        for filter in wrong {
            let error = scene.store.count_rows(table.id, Some(filter.clone())).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{filter:?}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let foreign = test(Subject::Column(other.columns[0].id), Operator::IsNull(true));
        let error = scene.store.delete_rows(table.id, foreign).await.unwrap_err();
        assert!(matches!(error, Error::Missing(_)), "{error}");
        let query = |sort, after_keys| RowQuery {
            sort,
            after: RowId(1),
            after_keys,
            ..RowQuery::of(table.id)
        };
        let key = |subject| vec![Sort { subject, descending: false }];
        for query in [
            query(key(of("json")), vec![Value::Null]),
            query(key(of("text")), vec![]),
            query(key(of("text")), vec![Value::Int(1)]),
        ] {
            let error = scene.store.rows(query).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
    });
}

#[test]
fn pages_go_on_after_a_row_and_offsets_leave_out() {
    each(|scene| async move {
        let table = types(&scene).await;
        let rows = [Some(2), None, Some(1), Some(2), None, Some(3)]
            .map(|n| n.map_or(Value::Null, Value::Int));
        fill(&scene, &table, "number", rows.to_vec()).await;
        let key = Subject::Column(id_of(&table, "number"));
        let query = |descending| RowQuery {
            sort: vec![Sort { subject: key, descending }],
            limit: 2,
            ..RowQuery::of(table.id)
        };
        let ids = async |query: RowQuery| {
            numbers(scene.store.rows(query).await.unwrap().into_iter().map(|row| row.id))
        };
        assert_eq!(ids(query(false)).await, [3, 1]);
        let after =
            |row, key, query| RowQuery { after: RowId(row), after_keys: vec![key], ..query };
        assert_eq!(ids(after(1, Value::Int(2), query(false))).await, [4, 6]);
        assert_eq!(ids(after(6, Value::Int(3), query(false))).await, [2, 5]);
        assert_eq!(ids(after(2, Value::Null, query(false))).await, [5]);
        assert_eq!(ids(after(4, Value::Int(2), query(true))).await, [3, 2]);
        assert_eq!(ids(RowQuery { offset: 3, ..query(true) }).await, [3, 2]);
        assert_eq!(ids(RowQuery { offset: 9, ..query(true) }).await, [0; 0]);
        assert_eq!(ids(RowQuery { offset: 4, limit: 9, ..RowQuery::of(table.id) }).await, [5, 6]);
    });
}
