//! Rows in and out (T2, T3).

use paceline_model::{
    ChangeKind, ColumnId, ColumnType, Error, NewTable, RowId, RowQuery, TableId, Value, limits,
};
use serde_json::json;

use crate::support::{Scene, column, each, leads, numbers};

async fn page(
    scene: &Scene,
    table: TableId,
    columns: &[ColumnId],
    after: i64,
) -> Vec<(i64, Vec<Value>)> {
    let query = RowQuery {
        columns: columns.to_vec(),
        after: RowId(after),
        limit: 3,
        ..RowQuery::of(table)
    };
    let rows = scene.store.rows(query).await.unwrap();
    rows.into_iter().map(|row| (row.id.0, row.values)).collect()
}

#[test]
fn every_type_comes_back_as_it_went_in() {
    each(|scene| async move {
        let columns =
            ColumnType::ALL.iter().map(|kind| column(&format!("c_{kind}"), *kind)).collect();
        let table = NewTable { name: "types".into(), description: String::new(), columns };
        let table = scene.store.create_table(table).await.unwrap();
        let ids: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
        let full = ColumnType::ALL
            .iter()
            .map(|kind| match kind {
                // 3.0 must not come back as 3: the two print differently.
                ColumnType::Number => Value::Number(3.0),
                ColumnType::Currency => Value::Int(i64::MIN),
                ColumnType::Boolean => Value::Bool(true),
                ColumnType::Relation => Value::Int(7),
                ColumnType::Json => Value::Json(json!({"b": [1, null], "a": "\u{1F980}"})),
                ColumnType::MultiSelect => Value::Json(json!(["x", "y"])),
                _ => Value::Text("it's \"quoted\"; DROP TABLE types; --\u{0}é".into()),
            })
            .collect::<Vec<_>>();
        let empty = vec![Value::Null; full.len()];
        let rows = vec![full.clone(), empty.clone()];
        let range = scene.store.insert_rows(table.id, &ids, rows).await.unwrap();
        assert_eq!(range, Some((RowId(1), RowId(2))));
        assert_eq!(page(&scene, table.id, &ids, 0).await, [(1, full), (2, empty)]);
    });
}

#[test]
fn ids_are_consecutive_and_pages_go_on_after_the_last() {
    each(|scene| async move {
        let (table, _) = scene.filled(4).await;
        scene.add_rows(&table, 3).await;
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 7);
        // In the order asked for, not in the table's.
        let columns = [table.columns[1].id, table.columns[0].id];
        let first = page(&scene, table.id, &columns, 0).await;
        assert_eq!(first[2], (3, vec![Value::Int(3), Value::Text("3@example.com".into())]));
        let last = page(&scene, table.id, &[], 5).await;
        assert_eq!(last, [(6, vec![]), (7, vec![])]);
    });
}

#[test]
fn ten_thousand_rows_go_in_and_one_more_is_refused_whole() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let rows = |count: usize| vec![vec![Value::Int(1)]; count];
        let columns = [table.columns[1].id];
        let error = scene
            .store
            .insert_rows(table.id, &columns, rows(limits::INSERT_ROWS_MAX + 1))
            .await
            .unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("10000")), "{error}");
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 0);
        let range = scene
            .store
            .insert_rows(table.id, &columns, rows(limits::INSERT_ROWS_MAX))
            .await
            .unwrap();
        assert_eq!(range, Some((RowId(1), RowId(10_000))));
    });
}

#[test]
fn a_row_that_does_not_fit_refuses_the_call() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let (email, score) = (table.columns[0].id, table.columns[1].id);
        let good = || vec![Value::Text("a@b.example".into()), Value::Int(1)];
        let cases = [
            (vec![email, score], vec![good(), vec![Value::Text("hidden".into())]], "row 2"),
            (vec![email, score], vec![good(), vec![Value::Int(1), Value::Int(1)]], "\"email\""),
            (vec![email, email], vec![good()], "twice"),
        ];
        for (columns, rows, wanted) in cases {
            let error = scene.store.insert_rows(table.id, &columns, rows).await.unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Invalid(_)) && text.contains(wanted), "{text}");
            assert!(!text.contains("hidden") && !text.contains("a@b"), "{text}");
        }
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 0);
        let after = scene.store.insert_rows(table.id, &[email, score], vec![good()]).await.unwrap();
        assert_eq!(after, Some((RowId(1), RowId(1))), "refused calls use up no ids");
    });
}

#[test]
fn no_rows_are_no_change() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let none = scene.store.insert_rows(table.id, &[table.columns[0].id], vec![]).await.unwrap();
        assert_eq!(none, None);
        let (changes, _) = scene.store.changes_after(table.id, 0, 10).await.unwrap();
        assert!(changes.iter().all(|change| change.kind == ChangeKind::Schema));
    });
}

#[test]
fn what_is_not_there_is_missing() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let other = NewTable {
            name: "other".into(),
            description: String::new(),
            columns: vec![column("x", ColumnType::Text)],
        };
        let foreign = scene.store.create_table(other).await.unwrap().columns[0].id;
        let row = || vec![vec![Value::Null]];
        let missing = [
            scene.store.insert_rows(table.id, &[foreign], row()).await.unwrap_err(),
            scene.store.insert_rows(TableId(99), &[foreign], row()).await.unwrap_err(),
            scene.store.count_rows(TableId(99), None).await.unwrap_err(),
        ];
        for error in missing {
            assert!(matches!(error, Error::Missing(_)), "{error}");
        }
    });
}

#[test]
fn a_page_is_bounded() {
    each(|scene| async move {
        let (table, _) = scene.filled(2).await;
        let query =
            |limit| RowQuery { columns: vec![], after: RowId(0), limit, ..RowQuery::of(table.id) };
        let error = scene.store.rows(query(limits::PAGE_ROWS_MAX + 1)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        let rows = scene.store.rows(query(1)).await.unwrap();
        assert_eq!(numbers(rows.into_iter().map(|row| row.id)), [1]);
        assert!(scene.store.rows(query(0)).await.unwrap().is_empty());
    });
}
