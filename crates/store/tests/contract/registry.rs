//! Items and logs: what the platform keeps besides tables and runs (P3).

use std::time::Duration;

use paceline_model::{
    Entry, EntryQuery, Error, Item, NewItem, Note, RowId, TableId, Upserted, Value, limits,
};
use serde_json::{Value as Json, json};

use crate::backends::Home;
use crate::support::{Scene, each, leads};

fn new(kind: &'static str, table: Option<TableId>, name: &str) -> NewItem {
    NewItem { kind, table, name: name.into(), body: json!({"z": 1, "a": [2.5, null, "\u{0}"]}) }
}

impl Scene {
    async fn item(&self, kind: &'static str, table: Option<TableId>, name: &str) -> Item {
        self.store.create_item(new(kind, table, name)).await.unwrap()
    }

    async fn log(&self, log: &str, subject: Option<i64>, before: Option<i64>) -> Vec<Entry> {
        let query = EntryQuery { subject, before, max: 100 };
        self.store.entries(log, query).await.unwrap()
    }
}

fn lines(count: i64) -> Vec<(i64, Json)> {
    (1..=count).map(|n| (n % 2, json!({"n": n}))).collect()
}

fn numbers(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.body["n"].as_i64().unwrap()).collect()
}

#[test]
fn an_item_is_kept_to_the_byte_and_grows_by_versions() {
    each(|scene| async move {
        let made = scene.item("webhook", None, "crm").await;
        assert_eq!((made.version, made.table, made.created_at), (1, None, scene.clock.wall()));
        assert_eq!(scene.store.item("webhook", made.id).await.unwrap().as_ref(), Some(&made));
        let text = made.body.to_string();
        assert_eq!(text, r#"{"z":1,"a":[2.5,null,"\u0000"]}"#, "the order of keys is kept");
        scene.clock.sleep(Duration::from_secs(5)).await;
        let body = json!({"off": true});
        let changed = scene.store.update_item("webhook", made.id, 1, body.clone()).await.unwrap();
        let wanted = Item { body, version: 2, updated_at: scene.clock.wall(), ..made.clone() };
        assert_eq!(changed, wanted);
        assert_eq!(scene.store.item("webhook", made.id).await.unwrap(), Some(wanted.clone()));
        let late = scene.store.update_item("webhook", made.id, 1, json!({})).await.unwrap_err();
        assert!(matches!(&late, Error::Conflict(text) if text.contains("version 2")), "{late}");
        assert_eq!(scene.store.items("webhook", None).await.unwrap(), [wanted]);
    });
}

#[test]
fn an_item_is_found_by_its_own_kind_only() {
    each(|scene| async move {
        let made = scene.item("webhook", None, "crm").await;
        assert_eq!(scene.store.item("source", made.id).await.unwrap(), None);
        assert!(!scene.store.delete_item("source", made.id).await.unwrap());
        let changed = scene.store.update_item("source", made.id, 1, json!({})).await;
        assert!(matches!(changed.unwrap_err(), Error::Missing(_)));
        assert!(scene.store.delete_item("webhook", made.id).await.unwrap());
        assert!(!scene.store.delete_item("webhook", made.id).await.unwrap());
        let changed = scene.store.update_item("webhook", made.id, 1, json!({})).await;
        assert!(matches!(changed.unwrap_err(), Error::Missing(_)));
    });
}

#[test]
fn a_name_is_taken_once_per_kind_and_table() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await.id;
        for (kind, of) in [("webhook", None), ("source", None), ("webhook", Some(table))] {
            scene.item(kind, of, "crm").await;
            let again = scene.store.create_item(new(kind, of, "crm")).await.unwrap_err();
            assert!(matches!(&again, Error::Exists(text) if text.contains("crm")), "{again}");
        }
        let missing = scene.store.create_item(new("webhook", Some(TableId(99)), "crm")).await;
        assert!(matches!(missing.unwrap_err(), Error::Missing(_)));
        let of_table = scene.store.items("webhook", Some(table)).await.unwrap();
        assert_eq!(of_table.len(), 1);
        let all = scene.store.items("webhook", None).await.unwrap();
        assert!(all.len() == 2 && all[0].id < all[1].id, "{all:?}");
    });
}

#[test]
fn an_id_never_comes_twice() {
    for home in Home::lasting() {
        let mut ids = Vec::new();
        for _ in 0..3 {
            let sim = paceline_clock::SimClock::new();
            ids.push(sim.run(async |clock| {
                let scene = Scene::open(&home, &sim, clock);
                let made = scene.item("api_key", None, "laptop").await;
                assert!(scene.store.delete_item("api_key", made.id).await.unwrap());
                made.id
            }));
        }
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    each(|scene| async move {
        let long = "x".repeat(limits::ITEM_NAME_BYTES_MAX + 1);
        let refused = scene.store.create_item(new("job", None, &long)).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        let body = Json::String("x".repeat(limits::VALUE_BYTES_MAX));
        let large = NewItem { body: body.clone(), ..new("job", None, "a") };
        assert!(matches!(scene.store.create_item(large).await, Err(Error::Invalid(_))));
        let made = scene.item("job", None, "a").await;
        let large = scene.store.update_item("job", made.id, 1, body.clone()).await;
        assert!(matches!(large, Err(Error::Invalid(_))));
        let line = scene.store.append_entries("audit", vec![(0, body)], 9).await;
        assert!(matches!(line, Err(Error::Invalid(_))));
        let many = vec![(0, Json::Null); limits::LOG_APPEND_MAX + 1];
        assert!(matches!(
            scene.store.append_entries("audit", many, 9).await,
            Err(Error::Invalid(_))
        ));
        let log = scene.store.append_entries(&long, vec![], 9).await;
        assert!(matches!(log, Err(Error::Invalid(_))));
        assert_eq!(scene.log("audit", None, None).await, []);
    });
}

#[test]
fn a_kind_has_room_for_so_many() {
    for home in Home::lasting() {
        let sim = paceline_clock::SimClock::new();
        sim.run(async |clock| {
            let scene = Scene::open(&home, &sim, clock);
            home.shell(&format!(
                "INSERT INTO {{}}_ht_items (kind, name, body, created_at, updated_at) \
                 WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
                 SELECT 'job', 'job ' || n, 'null', 0, 0 FROM n",
                limits::ITEMS_PER_KIND_MAX
            ));
            scene.item("job", None, "the last").await;
            let one_more = scene.store.create_item(new("job", None, "one more")).await;
            assert!(matches!(one_more.unwrap_err(), Error::Conflict(_)));
            scene.item("source", None, "of another kind").await;
        });
    }
}

#[test]
fn a_log_is_read_from_its_newest_line_back() {
    each(|scene| async move {
        let last = scene.store.append_entries("audit", lines(3), 100).await.unwrap();
        scene.store.append_entries("delivery", lines(1), 100).await.unwrap();
        scene.clock.sleep(Duration::from_secs(1)).await;
        scene.store.append_entries("audit", vec![(7, json!({"n": 4}))], 100).await.unwrap();
        let all = scene.log("audit", None, None).await;
        assert_eq!(numbers(&all), [4, 3, 2, 1]);
        assert!(all.is_sorted_by(|a, b| a.sequence > b.sequence));
        assert_eq!((all[0].at, all[1].sequence), (scene.clock.wall(), last));
        assert!(all[1].at < all[0].at);
        assert_eq!(numbers(&scene.log("audit", Some(1), None).await), [3, 1]);
        assert_eq!(numbers(&scene.log("audit", Some(1), Some(last)).await), [1]);
        assert_eq!(numbers(&scene.log("audit", None, Some(last)).await), [2, 1]);
        let query = EntryQuery { subject: None, before: None, max: 2 };
        assert_eq!(numbers(&scene.store.entries("audit", query).await.unwrap()), [4, 3]);
        assert_eq!(scene.log("import_errors:1", None, None).await, []);
    });
}

#[test]
fn a_log_keeps_its_newest_lines_and_no_other_logs_are_touched() {
    each(|scene| async move {
        let store = &scene.store;
        store.append_entries("delivery", lines(5), 100).await.unwrap();
        store.append_entries("audit", lines(4), 3).await.unwrap();
        assert_eq!(numbers(&scene.log("audit", None, None).await), [4, 3, 2]);
        let last = store.append_entries("audit", lines(2), 3).await.unwrap();
        assert_eq!(numbers(&scene.log("audit", None, None).await), [2, 1, 4]);
        assert_eq!(store.append_entries("audit", vec![], 2).await.unwrap(), last);
        assert_eq!(numbers(&scene.log("audit", None, None).await), [2, 1]);
        store.append_entries("audit", lines(1), 100).await.unwrap();
        assert_eq!(numbers(&scene.log("audit", None, None).await), [1, 2, 1], "it may grow again");
        store.append_entries("audit", vec![], 0).await.unwrap();
        assert_eq!(scene.log("audit", None, None).await, [], "emptied");
        let next = store.append_entries("audit", lines(1), 1).await.unwrap();
        assert!(next > last, "no number comes twice");
        assert_eq!(numbers(&scene.log("audit", None, None).await), [1]);
        assert_eq!(numbers(&scene.log("delivery", None, None).await), [5, 4, 3, 2, 1]);
    });
}

#[test]
fn rows_and_how_far_their_source_has_come_are_written_together_or_not_at_all() {
    each(|scene| async move {
        let leads = leads(&*scene.store).await;
        let (table, column) = (leads.id, leads.columns[0].id);
        let state = scene.item("source", Some(table), "crm").await;
        let row = |text: &str| vec![vec![Value::Text(text.into())]];
        let note = |version| {
            let item = Note::Item { kind: "source", id: state.id, version, body: json!({"at": 7}) };
            vec![Note::Entries { log: "hooks".into(), entries: lines(1), keep: 10 }, item]
        };
        let fed =
            scene.store.feed_rows(table, &[], &[column], row("a@b.c"), note(1)).await.unwrap();
        assert_eq!(fed, Upserted { inserted: Some((RowId(1), RowId(1))), updated: 0 });
        assert_eq!(scene.store.item("source", state.id).await.unwrap().unwrap().version, 2);
        assert_eq!(numbers(&scene.log("hooks", None, None).await), [1]);

        let late = scene.store.feed_rows(table, &[], &[column], row("b@b.c"), note(1)).await;
        assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
        let late = scene.store.keep(note(1)).await;
        assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
        assert_eq!(scene.store.count_rows(table, None).await.unwrap(), 1, "not without its word");
        assert_eq!(numbers(&scene.log("hooks", None, None).await), [1]);
    });
}
