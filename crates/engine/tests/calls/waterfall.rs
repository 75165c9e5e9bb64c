//! Columns of several sources: who is asked, how often, and what a crash in between repeats.

use std::time::Duration;

use paceline_clock::{Random, SimClock, Tick};
use paceline_model::{ColumnType, RunStatus, Scope, SmartKind, Value};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{
    COLUMN, Call, Says, Vendors, attempts, engine, life, rate, says, smart, states, table, values,
};

fn source(name: &str) -> Json {
    json!({"name": name, "url": format!("https://{name}.example/{{{{n}}}}"), "extract": "$.mail"})
}

fn three() -> Json {
    json!({"sources": [source("first"), source("second"), source("third")]})
}

/// `first` knows every third row, `second` two of three, `third` all; they say no in three ways.
fn thirds(call: &Call, _: usize) -> Says {
    let n: usize = call.path[1..].parse().unwrap();
    let found = || says(200, json!({"mail": format!("{n}@{}", call.host)}).to_string());
    match (call.host.as_str(), n % 3) {
        ("first.example", 0) | ("second.example", 1) | ("third.example", _) => found(),
        ("first.example", 1) => says(404, "{}"),
        ("first.example", _) => says(200, r#"{"mail": ""}"#),
        _ => says(200, "{}"),
    }
}

#[test]
fn each_row_is_answered_by_the_first_source_that_knows_it() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, thirds);
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Waterfall, three(), rate(4), ColumnType::Text);
        let table = table(&engine, 30, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 30));
        let hosts = vendors.per_host();
        let asked = ["first.example", "second.example", "third.example"].map(|host| hosts[host]);
        assert_eq!(asked, [30, 20, 10]);
        let held = values(&engine, &table).await;
        for (n, value) in (1..).zip(&held) {
            let host = ["first", "second", "third"][n % 3];
            assert_eq!(*value, Value::Text(format!("{n}@{host}.example")));
        }
        for (n, attempts) in (1..).zip(attempts(&engine, &table, 30).await) {
            let asked: Vec<&str> =
                attempts.iter().filter_map(|one| one.source.as_deref()).collect();
            assert_eq!(asked, &["first", "second", "third"][..=n % 3], "row {n}");
        }
    });
}

#[test]
fn a_crash_asks_no_source_again_that_has_answered_but_what_was_in_flight() {
    const ROWS: usize = 900;
    const AT_ONCE: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    let vendors = Vendors::new(40, thirds);
    let random = Random::seeded(5);
    let mut now = Tick::SYSTEM_START;
    let mut deaths = 0;
    loop {
        let die_after = Duration::from_millis(100 + random.next_u64() % 900);
        let (ended, at) = life(dir.path(), now, die_after, &vendors, async |engine| {
            let table = match engine.store().table("rows").await.unwrap() {
                Some(table) => table,
                None => {
                    let spec = smart(
                        SmartKind::Waterfall,
                        three(),
                        rate(AT_ONCE as u32),
                        ColumnType::Text,
                    );
                    table(&engine, ROWS, spec).await
                }
            };
            let run = match engine.store().runs(table.id, 1).await.unwrap().into_iter().next() {
                None => engine.start_run(&table, COLUMN, Scope::All).await.unwrap(),
                Some(run) => engine.resume_run(run.id).await.unwrap(),
            };
            engine.wait(run.id).await.unwrap();
            states(&engine, &table).await
        });
        now = at;
        let Some(states) = ended else {
            deaths += 1;
            continue;
        };
        assert_eq!(states["completed"], ROWS as u64);
        break;
    }
    assert!(deaths >= 5, "{deaths}");
    let calls: usize = vendors.per_host().values().sum();
    // All sources together have three times as many places; a place's call may be lost in every death.
    let most = 2 * ROWS + deaths * 2 * 3 * AT_ONCE;
    assert!((2 * ROWS..=most).contains(&calls), "{calls} calls, {deaths} deaths");
}

#[test]
fn with_nothing_found_a_cell_is_empty_and_with_a_failure_it_has_failed() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |call, _| match (call.host.as_str(), call.path.as_str()) {
            ("first.example", "/2") => says(422, r#"{"error": "no"}"#),
            _ => says(404, "{}"),
        });
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Waterfall, three(), rate(1), ColumnType::Text);
        let table = table(&engine, 2, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!((run.counts.completed, run.counts.failed), (1, 1));
        assert_eq!(values(&engine, &table).await, [Value::Null, Value::Null]);
        let cell = engine.store().cells(
            crate::support::column(&table),
            paceline_model::RowId(2),
            paceline_model::RowId(2),
        );
        let error = cell.await.unwrap().remove(0).error.unwrap();
        assert_eq!(error.code, "NO_SOURCE");
        assert!(error.message.contains("first: "), "{}", error.message);
        assert_eq!(vendors.calls().len(), 6, "every source is asked once for each");
    });
}

#[test]
fn a_source_without_a_key_stops_the_run_unless_it_is_optional() {
    for optional in [false, true] {
        SimClock::new().run(|clock| async move {
            let vendors = Vendors::new(5, |call, _| match call.host.as_str() {
                "first.example" => says(401, "{}"),
                _ => says(200, r#"{"mail": "x@y.z"}"#),
            });
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, &vendors);
            let mut config = three();
            config["sources"][0]["optional"] = optional.into();
            let spec = smart(SmartKind::Waterfall, config, rate(1), ColumnType::Text);
            let table = table(&engine, 20, spec).await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            let run = engine.wait(run.id).await.unwrap();
            if optional {
                assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 20));
                assert_eq!(vendors.per_host()["first.example"], 3, "then its breaker is open");
            } else {
                assert_eq!(run.status, RunStatus::Paused);
                assert!(states(&engine, &table).await.is_empty(), "no cell has failed for it");
            }
        });
    }
}
