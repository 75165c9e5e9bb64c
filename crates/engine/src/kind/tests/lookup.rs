//! Cells that are taken from another table.

use super::*;

async fn codes_table(store: &dyn Store, rows: Vec<Vec<Value>>) {
    let columns = vec![
        column("code", ColumnType::Text),
        column("size", ColumnType::Number),
        column("label", ColumnType::Text),
    ];
    let new = NewTable { name: "codes".into(), description: String::new(), columns };
    let table = store.create_table(new).await.unwrap();
    let ids: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
    store.insert_rows(table.id, &ids, rows).await.unwrap();
}

#[test]
fn a_lookup_takes_the_row_that_matches() {
    SimClock::new().run(|clock| async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        let line = |code: &str, size: i64, label: &str| {
            vec![Value::Text(code.into()), Value::Int(size), Value::Text(label.into())]
        };
        codes_table(
            store.as_ref(),
            vec![line("a", 1, "one"), line("b", 2, "two"), line("a", 2, "again")],
        )
        .await;
        let tools = tools(store, &clock);
        let rows = [
            row("a", 2.0, json!(1)),
            row("b", 2.0, json!("2")),
            row("x", 0.5, json!(null)),
            [Value::Null, Value::Null, Value::Null],
        ];
        let by = |matching: Json, more: Json| {
            let mut config = json!({"table": "codes", "match": matching, "value": "label"});
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let text = |text: &str| Ok(Value::Text(text.into()));
        for (config, into, expected) in [
            (
                by(json!({"code": "{{name}}"}), json!({})),
                ColumnType::Text,
                vec![text("one"), text("two"), Ok(Value::Null), Ok(Value::Null)],
            ),
            (
                by(json!({"code": "{{name}}", "size": "{{n}}"}), json!({})),
                ColumnType::Text,
                vec![text("again"), text("two"), Ok(Value::Null), Ok(Value::Null)],
            ),
            // Numbers that stand as text are numbers.
            (
                by(json!({"size": "{{data}}"}), json!({})),
                ColumnType::Text,
                vec![text("one"), text("two"), Ok(Value::Null), Ok(Value::Null)],
            ),
            (
                by(json!({"_ht_id": "{{n}}"}), json!({})),
                ColumnType::Text,
                vec![text("two"), text("two"), Ok(Value::Null), Ok(Value::Null)],
            ),
            (
                by(json!({"code": "{{name}}"}), json!({"value": "_ht_id"})),
                ColumnType::Number,
                vec![Ok(Value::Int(1)), Ok(Value::Int(2)), Ok(Value::Null), Ok(Value::Null)],
            ),
            (
                by(json!({"code": "{{name}}"}), json!({"many": "count"})),
                ColumnType::Number,
                vec![Ok(Value::Int(2)), Ok(Value::Int(1)), Ok(Value::Int(0)), Ok(Value::Int(0))],
            ),
        ] {
            let filled =
                fill(&tools, SmartKind::Lookup, config.clone(), &table, into, &rows).await.unwrap();
            assert_eq!(filled, expected, "{config}");
        }
        let config = by(json!({"code": "{{name}}"}), json!({"many": "error", "required": true}));
        let filled =
            fill(&tools, SmartKind::Lookup, config, &table, ColumnType::Text, &rows).await.unwrap();
        assert_eq!(codes(&filled), ["LOOKUP_MANY", "", "LOOKUP_MISSING", "LOOKUP_MISSING"]);
        for (config, told) in [
            (
                json!({"table": "kodes", "match": {"code": "{{name}}"}, "value": "label"}),
                "config.table: there is no table \"kodes\"",
            ),
            (
                by(json!({"kode": "{{name}}"}), json!({})),
                "config.match.kode: table codes has no column \"kode\"",
            ),
        ] {
            let error = fill(&tools, SmartKind::Lookup, config, &table, ColumnType::Text, &rows)
                .await
                .unwrap_err();
            assert!(error.to_string().starts_with(told), "{error}");
        }
    });
}

#[test]
fn a_lookup_over_more_keys_than_a_filter_takes_and_more_rows_than_a_page() {
    SimClock::new().run(|clock| async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        let line = |n: i64| {
            vec![Value::Text(format!("k{n}")), Value::Int(n), Value::Text(format!("l{n}"))]
        };
        codes_table(store.as_ref(), (0..9_999).map(line).collect()).await;
        let tools = tools(store, &clock);
        let wanted: Vec<[Value; 3]> =
            (0..12_000).map(|n| row(&format!("k{n}"), 0.0, json!(null))).collect();
        let config = json!({"table": "codes", "match": {"code": "{{name}}"}, "value": "label"});
        let filled = fill(&tools, SmartKind::Lookup, config, &table, ColumnType::Text, &wanted)
            .await
            .unwrap();
        for (n, cell) in filled.iter().enumerate() {
            let expected = if n < 9_999 { Value::Text(format!("l{n}")) } else { Value::Null };
            assert_eq!(cell, &Ok(expected), "{n}");
        }
    });
}

#[test]
fn rows_that_match_by_two_columns_are_counted_once_however_many_are_asked_for_together() {
    SimClock::new().run(|clock| async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        // Each pair of 100 codes and 60 numbers once: every number stands beside every code that is asked for.
        let pair = |n: i64| (format!("k{}", n % 100), n / 100);
        let line = |n| {
            let (code, number) = pair(n);
            vec![Value::Text(code), Value::Int(number), Value::Null]
        };
        codes_table(store.as_ref(), (0..6_000).map(line).collect()).await;
        let tools = tools(store, &clock);
        // Every pair is asked for, some of them twice.
        let wanted: Vec<[Value; 3]> = (0..6_500)
            .map(|n| pair(n % 6_000))
            .map(|(code, number)| row(&code, number as f64, json!(null)))
            .collect();
        let config = json!({
            "table": "codes", "match": {"code": "{{name}}", "size": "{{n}}"}, "many": "count"
        });
        let filled = fill(&tools, SmartKind::Lookup, config, &table, ColumnType::Number, &wanted)
            .await
            .unwrap();
        assert_eq!(filled.len(), 6_500);
        assert!(filled.iter().all(|cell| *cell == Ok(Value::Int(1))), "{:?}", &filled[..5]);
    });
}
