//! Tables that are renamed, deleted, restored and purged (T1, T6).

use std::time::Duration;

use paceline_model::{
    CellState, ChangeKind, DeletedTable, Error, NewItem, NewTable, RowId, RowQuery, RunStatus,
    Scope, Table, TableChange, TableId, Value, limits,
};
use serde_json::json;

use crate::support::{Scene, column, each, finish, leads, lease};

fn named(name: &str) -> TableChange {
    TableChange { name: Some(name.into()), ..TableChange::default() }
}

impl Scene {
    async fn values(&self, table: &Table, limit: usize) -> Vec<Vec<Value>> {
        let columns = table.columns.iter().map(|column| column.id).collect();
        let query = RowQuery { columns, limit, ..RowQuery::of(table.id) };
        let rows = self.store.rows(query).await.unwrap();
        rows.into_iter().map(|row| row.values).collect()
    }

    async fn empty(&self, name: &str) -> Table {
        let columns = vec![column("only", paceline_model::ColumnType::Text)];
        let table = NewTable { name: name.into(), description: String::new(), columns };
        self.store.create_table(table).await.unwrap()
    }

    /// `leads` with rows, and a run over them that has ended.
    async fn worked(&self, rows: i64) -> (Table, paceline_model::Run) {
        let (table, city) = self.filled(rows).await;
        let run = self.start(&city, Scope::All).await;
        self.finish_all(&run, 1, CellState::Completed).await;
        let run = self.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        (table, run)
    }
}

#[test]
fn a_table_goes_by_its_new_name_with_everything_it_has() {
    each(|scene| async move {
        let store = &scene.store;
        let (table, _) = scene.worked(3).await;
        let before = scene.values(&table, 9).await;
        let change = TableChange { description: Some("buyers".into()), ..named("customers") };
        let changed = store.update_table(table.id, change).await.unwrap();
        let wanted =
            Table { name: "customers".into(), description: "buyers".into(), ..table.clone() };
        assert_eq!(changed, wanted);
        assert_eq!(store.table("customers").await.unwrap().as_ref(), Some(&wanted));
        assert_eq!(store.table("leads").await.unwrap(), None);
        assert_eq!(scene.values(&table, 9).await, before);
        // The old name is another's now, and each keeps to itself.
        let other = scene.empty("leads").await;
        scene.add_rows(&wanted, 2).await;
        assert_eq!(store.count_rows(table.id, None).await.unwrap(), 5);
        assert_eq!(store.count_rows(other.id, None).await.unwrap(), 0);
        let described = TableChange { description: Some("all".into()), ..TableChange::default() };
        let described = store.update_table(table.id, described).await.unwrap();
        assert_eq!((described.name.as_str(), described.description.as_str()), ("customers", "all"));
        let same = store.update_table(table.id, named("customers")).await.unwrap();
        assert_eq!(same, described);
    });
}

#[test]
fn names_that_are_taken_or_are_none_are_refused() {
    each(|scene| async move {
        let store = &scene.store;
        let table = leads(store.as_ref()).await;
        scene.empty("other").await;
        let taken = store.update_table(table.id, named("other")).await.unwrap_err();
        assert!(matches!(&taken, Error::Exists(text) if text.contains("other")), "{taken}");
        for bad in ["", "_ht_runs", "a b", "x\"; DROP TABLE other; --"] {
            let refused = store.update_table(table.id, named(bad)).await.unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{bad}: {refused}");
        }
        let missing = store.update_table(TableId(99), named("x")).await.unwrap_err();
        assert!(matches!(missing, Error::Missing(_)), "{missing}");
        let (sequence, _) = store.changes_after(table.id, 0, 9).await.unwrap();
        assert_eq!(sequence.len(), 1, "refused whole");
        assert_eq!(store.table("leads").await.unwrap(), Some(table));
    });
}

#[test]
fn a_run_goes_on_while_its_table_is_renamed() {
    each(|scene| async move {
        let (table, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        let claim = scene.claim(&run, 1, 2).await;
        assert_eq!(claim.tasks.len(), 2);
        scene.store.update_table(table.id, named("customers")).await.unwrap();
        let run = scene.finish_all(&run, 1, CellState::Completed).await;
        assert_eq!(run.counts.completed, 2, "those that were claimed before are in hand still");
        let now = scene.clock.wall();
        let reports = [1, 2].map(|row| finish(row, CellState::Completed, now)).to_vec();
        let run = scene.store.record(run.id, 1, reports).await.unwrap();
        assert_eq!(run.counts.completed, 4);
        let cities: Vec<Value> =
            scene.values(&table, 9).await.into_iter().map(|mut row| row.remove(2)).collect();
        assert_eq!(cities, vec![Value::Text("made".into()); 4]);
    });
}

#[test]
fn a_deleted_table_is_nowhere_and_its_name_is_free() {
    each(|scene| async move {
        let store = &scene.store;
        let (table, run) = scene.worked(2).await;
        let item =
            NewItem { kind: "webhook", table: Some(table.id), name: "crm".into(), body: json!(1) };
        let item = store.create_item(item).await.unwrap();
        scene.clock.sleep(Duration::from_secs(1)).await;
        let deleted = store.delete_table(table.id).await.unwrap();
        let at = scene.clock.wall();
        assert_eq!(deleted, DeletedTable { id: table.id, name: "leads".into(), deleted_at: at });
        assert_eq!(store.tables().await.unwrap(), []);
        assert_eq!(store.table("leads").await.unwrap(), None);
        assert_eq!(store.table(&table.id.to_string()).await.unwrap(), None);
        assert_eq!(store.table(&format!("_ht_deleted_{}", table.id)).await.unwrap(), None);
        assert_eq!(store.run(run.id).await.unwrap(), None);
        assert_eq!(store.runs(table.id, 9).await.unwrap(), []);
        assert_eq!(store.newest_run(run.column).await.unwrap(), None);
        assert_eq!(store.item("webhook", item.id).await.unwrap(), None);
        assert_eq!(store.items("webhook", None).await.unwrap(), []);
        assert_eq!(store.items("webhook", Some(table.id)).await.unwrap(), []);
        assert!(!store.delete_item("webhook", item.id).await.unwrap());
        assert_eq!(store.deleted_tables().await.unwrap(), [deleted]);
        let (changes, _) = store.changes_after(table.id, 0, 99).await.unwrap();
        assert_eq!(changes.last().unwrap().kind, ChangeKind::Schema, "a follower hears of it");
        refuses_everything(&scene, &table, &run).await;
        let other = scene.empty("leads").await;
        assert!(other.id > table.id);
        assert_eq!(store.tables().await.unwrap(), [other]);
    });
}

/// Every verb that is told a table, a column or an item of a table that is gone.
async fn refuses_everything(scene: &Scene, table: &Table, run: &paceline_model::Run) {
    let (store, city) = (&scene.store, table.columns[2].id);
    let text = paceline_model::ColumnType::Text;
    let new = paceline_model::NewRun::new(table.id, city, Scope::All);
    let item = NewItem { kind: "job", table: Some(table.id), name: "a".into(), body: json!(1) };
    let refused = [
        store.insert_rows(table.id, &[], vec![vec![]]).await.map(|_| ()),
        store.rows(RowQuery::of(table.id)).await.map(|_| ()),
        store.count_rows(table.id, None).await.map(|_| ()),
        store.add_column(table.id, column("x", text)).await.map(|_| ()),
        store.update_column(city, paceline_model::ColumnChange::default()).await.map(|_| ()),
        store.delete_column(city).await,
        store.update_smart_column(city, json!({}), json!({})).await.map(|_| ()),
        store.create_run(new).await.map(|_| ()),
        store.update_table(table.id, named("back")).await.map(|_| ()),
        store.delete_table(table.id).await.map(|_| ()),
        store.put_note(city, RowId(1), None).await,
        store.create_item(item).await.map(|_| ()),
    ];
    for (index, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Err(Error::Missing(_))), "verb {index}: {refused:?}");
    }
    // What is reported late is kept, and moves nothing.
    let late = vec![finish(1, CellState::Failed, scene.clock.wall())];
    let counts = store.record(run.id, 1, late).await.unwrap().counts;
    assert_eq!(counts, run.counts);
    assert_eq!(store.renew_leases(lease(1)).await.unwrap(), 0);
    assert!(scene.claim(run, 1, 9).await.exhausted);
}

#[test]
fn a_restored_table_is_as_it_was() {
    each(|scene| async move {
        let store = &scene.store;
        let (table, run) = scene.worked(3).await;
        let item =
            NewItem { kind: "webhook", table: Some(table.id), name: "crm".into(), body: json!(1) };
        let item = store.create_item(item).await.unwrap();
        let rows = scene.values(&table, 9).await;
        store.delete_table(table.id).await.unwrap();
        let taken = scene.empty("leads").await;
        let refused = store.restore_table(table.id, None).await.unwrap_err();
        assert!(matches!(&refused, Error::Exists(text) if text.contains("leads")), "{refused}");
        let bad = store.restore_table(table.id, Some("A b".into())).await.unwrap_err();
        assert!(matches!(bad, Error::Invalid(_)), "{bad}");
        let restored = store.restore_table(table.id, Some("old".into())).await.unwrap();
        assert_eq!(restored, Table { name: "old".into(), ..table.clone() });
        assert_eq!(scene.values(&table, 9).await, rows);
        assert_eq!(store.run(run.id).await.unwrap(), Some(run));
        assert_eq!(store.items("webhook", Some(table.id)).await.unwrap(), [item]);
        assert_eq!(scene.states(table.columns[2].id).await.len(), 3);
        assert_eq!(store.deleted_tables().await.unwrap(), []);
        let (changes, _) = store.changes_after(table.id, 0, 99).await.unwrap();
        assert_eq!(changes.last().unwrap().kind, ChangeKind::Schema);
        scene.add_rows(&table, 1).await;
        assert_eq!(store.count_rows(table.id, None).await.unwrap(), 4);
        store.delete_table(taken.id).await.unwrap();
        let again = store.restore_table(taken.id, None).await.unwrap();
        assert_eq!(again, taken);
        for id in [taken.id, TableId(99)] {
            let refused = store.restore_table(id, None).await.unwrap_err();
            assert!(matches!(refused, Error::Missing(_)), "{refused}");
        }
    });
}

#[test]
fn a_table_with_a_run_at_work_is_not_deleted() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        for status in [RunStatus::Running, RunStatus::Paused] {
            scene.store.set_run_status(run.id, status, None).await.unwrap();
            let refused = scene.store.delete_table(table.id).await.unwrap_err();
            assert!(
                matches!(&refused, Error::Conflict(text) if text.contains("city")),
                "{refused}"
            );
        }
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        scene.store.delete_table(table.id).await.unwrap();
    });
}

#[test]
fn names_as_long_as_may_be_are_deleted_restored_and_renamed() {
    each(|scene| async move {
        let long = |last: char| format!("{}{last}", "x".repeat(limits::NAME_BYTES_MAX - 1));
        let table = scene.empty(&long('a')).await;
        scene.store.update_table(table.id, named(&long('b'))).await.unwrap();
        let other = scene.empty(&long('a')).await;
        scene.store.delete_table(other.id).await.unwrap();
        scene.store.delete_table(table.id).await.unwrap();
        assert_eq!(scene.store.restore_table(table.id, None).await.unwrap().name, long('b'));
        assert_eq!(scene.store.restore_table(other.id, None).await.unwrap().name, long('a'));
        let renamed = paceline_model::ColumnChange { name: Some(long('c')), ..Default::default() };
        scene.store.update_column(other.columns[0].id, renamed).await.unwrap();
        let row = vec![vec![Value::Text("v".into())]];
        scene.store.insert_rows(other.id, &[other.columns[0].id], row.clone()).await.unwrap();
        assert_eq!(scene.values(&other, 1).await, row);
    });
}

#[test]
fn what_is_purged_is_gone_and_its_id_is_never_anothers() {
    each(|scene| async move {
        let store = &scene.store;
        let (old, run) = scene.worked(2).await;
        let city = old.columns[2].id;
        let item = NewItem { kind: "job", table: Some(old.id), name: "a".into(), body: json!(1) };
        store.create_item(item).await.unwrap();
        store.save_budget(&format!("column:{city}"), "{}", scene.clock.wall()).await.unwrap();
        store.delete_table(old.id).await.unwrap();
        scene.clock.sleep(Duration::from_secs(10)).await;
        let cut = scene.clock.wall();
        let young = scene.empty("young").await;
        store.delete_table(young.id).await.unwrap();
        let kept = scene.empty("kept").await;
        assert_eq!(store.purge_tables(cut).await.unwrap(), 1);
        assert_eq!(store.purge_tables(cut).await.unwrap(), 0);
        let left: Vec<TableId> =
            store.deleted_tables().await.unwrap().iter().map(|table| table.id).collect();
        assert_eq!(left, [young.id]);
        assert!(matches!(store.restore_table(old.id, None).await, Err(Error::Missing(_))));
        let late = vec![finish(1, CellState::Completed, scene.clock.wall())];
        assert!(matches!(store.record(run.id, 1, late).await, Err(Error::Missing(_))));
        assert_eq!(scene.states(city).await, []);
        assert_eq!(store.attempts(city, RowId(1)).await.unwrap(), []);
        let calls = store.calls_since(city, paceline_clock::Timestamp::default(), 9).await.unwrap();
        assert_eq!(calls, []);
        assert_eq!(store.load_budget(&format!("column:{city}")).await.unwrap(), None);
        assert_eq!(store.changes_after(old.id, 0, 9).await.unwrap().0, []);
        assert_eq!(
            store.purge_tables(scene.clock.wall() + Duration::from_secs(1)).await.unwrap(),
            1
        );
        let next = scene.empty("leads").await;
        assert!(next.id > young.id.max(kept.id) && next.columns[0].id > kept.columns[0].id);
        store.delete_table(next.id).await.unwrap();
        store.purge_tables(scene.clock.wall() + Duration::from_secs(1)).await.unwrap();
        let last = scene.empty("leads").await;
        assert!(last.id > next.id && last.columns[0].id > next.columns[0].id);
        assert_eq!(store.tables().await.unwrap(), [kept, last]);
    });
}
