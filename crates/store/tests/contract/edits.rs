//! Rows changed, deleted and upserted (T2).

use paceline_model::{
    CellState, ChangeKind, ColumnId, Error, Filter, RowId, RowQuery, Scope, Table, Upserted, Value,
    limits,
};
use serde_json::json;

use crate::filters::{found, id_of, sorted, text, types};
use crate::support::{Scene, claimed, each, finish};

async fn changes(scene: &Scene, table: &Table) -> Vec<ChangeKind> {
    let (changes, _) = scene.store.changes_after(table.id, 0, 1_000).await.unwrap();
    changes.into_iter().map(|change| change.kind).collect()
}

#[test]
fn rows_that_pass_are_updated_together() {
    each(|scene| async move {
        let (table, _) = scene.filled(5).await;
        let (email, score) = (table.columns[0].id, table.columns[1].id);
        scene.clock.sleep(std::time::Duration::from_secs(9)).await;
        let filter = Filter::parse(&table, &json!({"score": {"in": [2, 4]}})).unwrap();
        let values = vec![Value::Number(9.5), text("new\0")];
        let columns = [score, email];
        let count =
            scene.store.update_rows(table.id, filter.clone(), &columns, values.clone()).await;
        assert_eq!(count.unwrap(), 2);
        let query = RowQuery { columns: columns.to_vec(), ..RowQuery::of(table.id) };
        let rows = scene.store.rows(query).await.unwrap();
        for row in &rows {
            let new = matches!(row.id.0, 2 | 4);
            assert_eq!(row.values == values, new, "{row:?}");
            assert_eq!(row.updated_at > row.created_at, new, "{row:?}");
        }
        let told = changes(&scene, &table).await;
        let wanted = ChangeKind::RowsUpdated { rows: vec![RowId(2), RowId(4)] };
        assert_eq!(told.last(), Some(&wanted));
        // They do not pass any more.
        let none = scene.store.update_rows(table.id, filter, &columns, values).await.unwrap();
        assert_eq!((none, changes(&scene, &table).await.len()), (0, told.len()));
        let all = || Filter::All(vec![]);
        let wrong = [
            scene.store.update_rows(table.id, all(), &[], vec![]).await,
            scene.store.update_rows(table.id, all(), &[score], vec![]).await,
            scene.store.update_rows(table.id, all(), &[score], vec![text("hidden")]).await,
            scene.store.update_rows(table.id, all(), &[score, score], vec![Value::Null; 2]).await,
        ];
        for error in wrong {
            let error = error.unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if !text.contains("hidden")), "{error}");
        }
    });
}

#[test]
fn more_rows_than_a_change_tells_are_a_reload() {
    each(|scene| async move {
        let (table, _) = scene.filled(10_001).await;
        let score = table.columns[1].id;
        let all = || Filter::All(vec![]);
        let count =
            scene.store.update_rows(table.id, all(), &[score], vec![Value::Null]).await.unwrap();
        assert_eq!(count, 10_001);
        assert_eq!(changes(&scene, &table).await.last(), Some(&ChangeKind::Reload));
        let first = Filter::parse(&table, &json!({"_ht_id": {"lte": 10_000}})).unwrap();
        assert_eq!(scene.store.delete_rows(table.id, first).await.unwrap(), 10_000);
        let told = changes(&scene, &table).await;
        assert!(
            matches!(told.last(), Some(ChangeKind::RowsDeleted { rows }) if rows.len() == 10_000)
        );
        assert_eq!(scene.store.delete_rows(table.id, all()).await.unwrap(), 1);
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 0);
        scene.add_rows(&table, 1).await;
        assert_eq!(sorted(&scene, &table, &json!({})).await, [10_002], "no id comes twice");
    });
}

#[test]
fn deleted_rows_take_everything_of_theirs_along() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Failed).await;
        let filter = Filter::parse(&table, &json!({"score": {"gte": 2}})).unwrap();
        assert_eq!(scene.store.delete_rows(table.id, filter).await.unwrap(), 2);
        assert_eq!(scene.states(city.id).await, [(1, CellState::Failed)]);
        assert_eq!(scene.store.attempts(city.id, RowId(1)).await.unwrap().len(), 1);
        assert!(scene.store.attempts(city.id, RowId(2)).await.unwrap().is_empty());
        let told = changes(&scene, &table).await;
        let wanted = ChangeKind::RowsDeleted { rows: vec![RowId(2), RowId(3)] };
        assert_eq!(told.last(), Some(&wanted));
    });
}

#[test]
fn reports_of_deleted_rows_are_late_and_their_run_ends() {
    each(|scene| async move {
        let (table, city) = scene.filled(6).await;
        let run = scene.start(&city, Scope::All).await;
        assert_eq!(claimed(&scene.claim(&run, 1, 4).await), [1, 2, 3, 4]);
        scene.store.record_intents(run.id, 1, &[RowId(1), RowId(2)]).await.unwrap();
        let gone = Filter::parse(&table, &json!({"_ht_id": {"in": [2, 3, 6]}})).unwrap();
        assert_eq!(scene.store.delete_rows(table.id, gone).await.unwrap(), 3);
        let held = scene.store.record_intents(run.id, 1, &[RowId(3), RowId(4)]).await.unwrap();
        assert_eq!(held, [RowId(4)], "what is gone must not be sent");
        let now = scene.clock.wall();
        let reports = (1..=4).map(|row| finish(row, CellState::Completed, now)).collect();
        let run = scene.store.record(run.id, 1, reports).await.unwrap();
        assert_eq!(run.counts.completed, 2, "late reports do not count");
        let states = scene.states(city.id).await;
        assert_eq!(states, [(1, CellState::Completed), (4, CellState::Completed)]);
        // The call was made, and a limit remembers it.
        let since = scene.clock.wall().before(std::time::Duration::from_secs(60));
        assert_eq!(scene.store.calls_since(city.id, since, 10).await.unwrap().len(), 4);
        let run = scene.finish_all(&run, 1, CellState::Completed).await;
        assert_eq!(run.counts.completed, 3);
        let recovered = scene.store.recover_run(run.id, paceline_model::Recovery::Once).await;
        assert_eq!(recovered.unwrap(), 0);
    });
}

#[test]
fn a_run_whose_rows_are_all_gone_ends_and_recovery_finds_nothing_of_them() {
    each(|scene| async move {
        let (table, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        scene.store.record_intents(run.id, 1, &[RowId(1)]).await.unwrap();
        scene.store.delete_rows(table.id, Filter::All(vec![])).await.unwrap();
        let recovered = scene.store.recover_run(run.id, paceline_model::Recovery::Once).await;
        assert_eq!(recovered.unwrap(), 0);
        let claim = scene.claim(&run, 2, 10).await;
        assert!(claim.exhausted && claim.tasks.is_empty());
        assert!(scene.states(city.id).await.is_empty());
    });
}

#[test]
fn upserts_insert_what_is_new_and_update_what_is_there() {
    each(|scene| async move {
        let (table, _) = scene.filled(3).await;
        let (email, score) = (table.columns[0].id, table.columns[1].id);
        // Row 4 is like row 2: the least is the one that is updated.
        let twin = vec![vec![text("2@example.com"), Value::Int(0)]];
        scene.store.insert_rows(table.id, &[email, score], twin).await.unwrap();
        scene.clock.sleep(std::time::Duration::from_secs(9)).await;
        let rows = vec![
            vec![Value::Int(20), text("2@example.com")],
            vec![Value::Int(50), text("5@example.com")],
            vec![Value::Int(60), Value::Null],
            vec![Value::Int(51), text("5@example.com")],
            vec![Value::Int(61), Value::Null],
            vec![Value::Int(21), text("2@example.com")],
        ];
        let done =
            scene.store.upsert_rows(table.id, &[email], &[score, email], rows).await.unwrap();
        assert_eq!(done, Upserted { inserted: Some((RowId(5), RowId(7))), updated: 1 });
        let query = RowQuery { columns: vec![score], ..RowQuery::of(table.id) };
        let rows = scene.store.rows(query).await.unwrap();
        let scores: Vec<Value> = rows.iter().map(|row| row.values[0].clone()).collect();
        assert_eq!(scores, [1, 21, 3, 0, 51, 60, 61].map(Value::Int));
        assert!(
            rows[1].updated_at > rows[1].created_at && rows[1].updated_at == rows[4].created_at
        );
        let told = changes(&scene, &table).await;
        assert!(told.contains(&ChangeKind::RowsUpdated { rows: vec![RowId(2)] }));
        assert!(told.contains(&ChangeKind::RowsInserted { first: RowId(5), last: RowId(7) }));
    });
}

#[test]
fn keys_of_upserts_are_values_of_several_columns_and_numbers_are_numbers() {
    each(|scene| async move {
        let table = types(&scene).await;
        let names = ["number", "text", "boolean"];
        let columns: Vec<ColumnId> = names.iter().map(|name| id_of(&table, name)).collect();
        let row = |n: Value, t: &str, b: bool| vec![n, text(t), Value::Bool(b)];
        let upsert = async |key: &[ColumnId], rows| {
            scene.store.upsert_rows(table.id, key, &columns, rows).await
        };
        let rows = vec![row(Value::Int(1), "a\0", true), row(Value::Int(1), "b", true)];
        let done = upsert(&columns[..2], rows).await.unwrap();
        assert_eq!((done.updated, done.inserted.map(|(_, last)| last)), (0, Some(RowId(2))));
        let rows = vec![row(Value::Number(1.0), "a\0", false), row(Value::Number(1.5), "b", false)];
        let done = upsert(&columns[..2], rows).await.unwrap();
        assert_eq!((done.updated, done.inserted.map(|(_, last)| last)), (1, Some(RowId(3))));
        assert_eq!(found(&scene, &table, &json!({"boolean": false})).await, [1, 3]);
        assert_eq!(upsert(&columns[..1], vec![]).await.unwrap(), Upserted::default());
        let none = upsert(&columns[2..], vec![vec![Value::Null; 3]]).await.unwrap();
        assert_eq!(none.inserted, Some((RowId(4), RowId(4))));
        let good = || row(Value::Int(1), "a", true);
        let json = id_of(&table, "json");
        let wrong = [
            upsert(&[], vec![good()]).await,
            upsert(&[json], vec![good()]).await,
            upsert(&[columns[0], columns[0]], vec![good()]).await,
            upsert(&columns[..1], vec![good(), vec![text("hidden")]]).await,
            upsert(&columns[..1], vec![good(), vec![text("hidden"), text("a"), Value::Null]]).await,
            upsert(&columns[..1], vec![good(); limits::INSERT_ROWS_MAX + 1]).await,
            scene.store.upsert_rows(table.id, &[json], &[json], vec![vec![Value::Null]]).await,
        ];
        for error in wrong {
            let error = error.unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if !text.contains("hidden")), "{error}");
        }
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 4);
    });
}
