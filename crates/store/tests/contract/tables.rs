//! Tables, columns and settings (T1, C3).

use paceline_model::{ColumnId, ColumnType, Error, NewTable, TableId, Value, limits};
use serde_json::json;

use crate::support::{column, each, leads, smart};

#[test]
fn a_table_is_found_by_name_and_by_id() {
    each(|scene| async move {
        let made = leads(scene.store.as_ref()).await;
        assert_eq!(made.created_at, scene.clock.wall());
        assert_eq!(scene.store.table("leads").await.unwrap().as_ref(), Some(&made));
        assert_eq!(scene.store.table(&made.id.to_string()).await.unwrap().as_ref(), Some(&made));
        assert_eq!(scene.store.table("lead").await.unwrap(), None);
        let other = NewTable { name: "cities".into(), description: String::new(), columns: vec![] };
        let other = scene.store.create_table(other).await.unwrap();
        assert_eq!(scene.store.tables().await.unwrap(), [other, made], "by name");
    });
}

#[test]
fn a_name_is_given_once() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let again = NewTable { name: "leads".into(), description: String::new(), columns: vec![] };
        let error = scene.store.create_table(again).await.unwrap_err();
        assert!(matches!(&error, Error::Exists(text) if text.contains("leads")), "{error}");
        let twice = scene.store.add_column(table.id, column("email", ColumnType::Text)).await;
        assert!(matches!(twice.unwrap_err(), Error::Exists(_)));
        let columns = vec![column("a", ColumnType::Text), column("a", ColumnType::Number)];
        let table = NewTable { name: "t".into(), description: String::new(), columns };
        assert!(matches!(scene.store.create_table(table).await.unwrap_err(), Error::Exists(_)));
        assert_eq!(scene.store.table("t").await.unwrap(), None, "refused whole");
    });
}

#[test]
fn names_with_sql_in_them_are_refused() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        for name in ["x\"; DROP TABLE leads; --", "a b", "_ht_runs", "sqlite_master", "select'", ""]
        {
            let new = NewTable { name: name.into(), description: String::new(), columns: vec![] };
            let error = scene.store.create_table(new).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "table {name:?}: {error}");
            let added = scene.store.add_column(table.id, column(name, ColumnType::Text)).await;
            assert!(matches!(added.unwrap_err(), Error::Invalid(_)), "column {name:?}");
        }
        assert_eq!(scene.store.tables().await.unwrap(), [table]);
    });
}

#[test]
fn words_of_sql_are_names_like_any_other() {
    each(|scene| async move {
        // Words, columns that databases have of their own, and two names that differ in their last letter only.
        let long = |last: char| format!("{}{last}", "x".repeat(limits::NAME_BYTES_MAX - 1));
        let (one, two) = (long('a'), long('b'));
        let names = [
            "select", "rowid", "order", "table", "oid", "index", "xmin", "xmax", "ctid",
            "tableoid", &one, &two,
        ];
        let columns = names.map(|name| column(name, ColumnType::Text)).to_vec();
        let table = NewTable { name: "group".into(), description: String::new(), columns };
        let table = scene.store.create_table(table).await.unwrap();
        for name in [&one, &two] {
            let twin = NewTable { name: name.clone(), description: String::new(), columns: vec![] };
            scene.store.create_table(twin).await.unwrap();
        }
        let ids: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
        let row: Vec<Value> = names.map(|name| Value::Text(name.into())).to_vec();
        scene.store.insert_rows(table.id, &ids, vec![row.clone()]).await.unwrap();
        let query = paceline_model::RowQuery {
            columns: ids,
            after: paceline_model::RowId(0),
            limit: 10,
            ..paceline_model::RowQuery::of(table.id)
        };
        assert_eq!(scene.store.rows(query).await.unwrap()[0].values, row);
    });
}

#[test]
fn a_column_joins_a_table_that_has_rows() {
    each(|scene| async move {
        let (table, _) = scene.filled(2).await;
        let added =
            scene.store.add_column(table.id, smart("phone", ColumnType::Phone)).await.unwrap();
        assert_eq!(added.smart.as_ref().unwrap().version, 1, "the given version is ignored");
        let found = scene.store.table("leads").await.unwrap().unwrap();
        assert_eq!(found.columns.last(), Some(&added));
        let missing = scene.store.add_column(TableId(99), column("x", ColumnType::Text)).await;
        assert!(matches!(missing.unwrap_err(), Error::Missing(_)));
    });
}

#[test]
fn a_new_config_raises_the_version() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let city = table.columns[2].id;
        let (config, limit) = (json!({"url": "https://other.example"}), json!({"max_retries": 2}));
        let changed =
            scene.store.update_smart_column(city, config.clone(), limit.clone()).await.unwrap();
        let smart = changed.smart.as_ref().unwrap();
        assert_eq!((smart.version, &smart.config, &smart.rate_limit), (2, &config, &limit));
        assert_eq!(scene.store.table("leads").await.unwrap().unwrap().columns[2], changed);
        let plain =
            scene.store.update_smart_column(table.columns[0].id, json!({}), json!({})).await;
        assert!(matches!(plain.unwrap_err(), Error::Invalid(_)));
        let missing = scene.store.update_smart_column(ColumnId(99), json!({}), json!({})).await;
        assert!(matches!(missing.unwrap_err(), Error::Missing(_)));
    });
}

#[test]
fn the_widest_table_works_and_a_wider_one_is_refused() {
    each(|scene| async move {
        let wide = |count: usize| NewTable {
            name: "wide".into(),
            description: String::new(),
            columns: (0..count).map(|n| column(&format!("c{n}"), ColumnType::Text)).collect(),
        };
        let error = scene.store.create_table(wide(scene.columns_max + 1)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        let table = scene.store.create_table(wide(scene.columns_max)).await.unwrap();
        let ids: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
        let row = vec![Value::Text("x".into()); ids.len()];
        scene.store.insert_rows(table.id, &ids, vec![row]).await.unwrap();
        let added = scene.store.add_column(table.id, column("more", ColumnType::Text)).await;
        assert!(matches!(added.unwrap_err(), Error::Invalid(_)));
    });
}

#[test]
fn settings_are_kept_and_replaced() {
    each(|scene| async move {
        assert_eq!(scene.store.setting("key").await.unwrap(), None);
        scene.store.set_setting("key", "one").await.unwrap();
        scene.store.set_setting("key", "two").await.unwrap();
        assert_eq!(scene.store.setting("key").await.unwrap().as_deref(), Some("two"));
        let long = "x".repeat(limits::VALUE_BYTES_MAX + 1);
        assert!(matches!(scene.store.set_setting("key", &long).await, Err(Error::Invalid(_))));
    });
}
