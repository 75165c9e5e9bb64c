//! A person's word on cells that make effects: what was settled is not sent again because something moved, and what a person
//! writes keeps the call from going out (spec C7, R4).

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_engine::Settle;
use paceline_model::{
    CellState, ColumnChange, ColumnType, Filter, Operator, RowId, Scope, SmartKind, Subject, Test,
    Value,
};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{COLUMN, Vendors, column, engine, rate, says, smart, states, table};

fn hook() -> serde_json::Value {
    json!({"provider": "webhook", "url": "https://hooks.example/in", "body": {"n": "{{n}}", "who": "{{name}}"}})
}

fn row(id: i64) -> Filter {
    let operator = Operator::Eq(Value::Int(id));
    Filter::Test(Test { subject: Subject::Id, path: vec![], operator })
}

#[test]
fn a_cell_that_a_person_settled_as_done_is_not_sent_again_by_a_stale_run() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        // 504: whether it took effect nobody knows.
        let vendors = Vendors::new(60, |call, _| match call.body.contains("\"n\":\"2\"") {
            true => says(504, "gateway"),
            false => says(200, "\"ok\""),
        });
        let engine = engine(&store, &clock, &vendors);
        let table =
            table(&engine, 3, smart(SmartKind::Integration, hook(), rate(2), ColumnType::Boolean))
                .await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        engine.wait(run.id).await.unwrap();
        let found = states(&engine, &table).await;
        assert_eq!(found.get("unknown"), Some(&1), "{found:?} {:?}", vendors.calls()[1].body);
        engine.settle(&table, COLUMN, RowId(2), Settle::Done(None)).await.unwrap();
        let called = vendors.calls().len();

        let stale = engine.start_run(&table, COLUMN, Scope::Stale).await.unwrap();
        let stale = engine.wait(stale.id).await.unwrap();
        assert_eq!((stale.counts.total, vendors.calls().len()), (0, called), "nothing moved");

        // What its call was made from is still known: when that moves, it is stale like any other.
        let name = table.column("name").unwrap().id;
        let other = vec![Value::Text("another".to_owned())];
        engine.store().update_rows(table.id, row(2), &[name], other).await.unwrap();
        let stale = engine.start_run(&table, COLUMN, Scope::Stale).await.unwrap();
        assert_eq!(engine.wait(stale.id).await.unwrap().counts.calls, 1);
    });
}

#[test]
fn what_a_person_writes_keeps_a_claimed_call_from_going_out() {
    for pauses in [true, false] {
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let vendors = Vendors::new(60, |_, _| says(200, "\"ok\""));
            let engine = engine(&store, &clock, &vendors);
            let mut slow = rate(1);
            slow["limits"] = json!(["1/s"]);
            let table = table(
                &engine,
                20,
                smart(SmartKind::Integration, hook(), slow, ColumnType::Boolean),
            )
            .await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            clock.sleep(Duration::from_millis(3_500)).await;
            if pauses {
                engine.pause_run(run.id).await.unwrap();
                engine.wait(run.id).await.unwrap();
            }
            // All twenty were claimed at the beginning.
            engine
                .store()
                .update_rows(table.id, row(15), &[column(&table)], vec![Value::Bool(false)])
                .await
                .unwrap();
            if pauses {
                engine.resume_run(run.id).await.unwrap();
            }
            let ended = engine.wait(run.id).await.unwrap();
            assert_eq!(ended.reason, None);
            assert_eq!(
                (ended.counts.total, ended.counts.completed, ended.counts.calls),
                (19, 19, 19)
            );
            assert!(vendors.calls().iter().all(|call| !call.body.contains("\"n\":\"15\"")));
            let cell = engine.store().cells(column(&table), RowId(15), RowId(15)).await.unwrap();
            assert!(cell[0].locked && cell[0].state == CellState::Completed);
        });
    }
}

#[test]
fn a_column_that_gets_a_new_name_between_two_tries_changes_no_key() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        // 500: the vendor says that it failed, so it is tried again.
        let vendors = Vendors::new(0, |_, before| match before {
            0 => says(500, "later"),
            _ => says(200, "\"ok\""),
        });
        let engine = engine(&store, &clock, &vendors);
        let mut patient = rate(1);
        patient["retry_delay_ms"] = json!(60_000);
        let spec = smart(SmartKind::Integration, hook(), patient, ColumnType::Boolean);
        let table = table(&engine, 1, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(5)).await;
        engine.pause_run(run.id).await.unwrap();
        engine.wait(run.id).await.unwrap();
        let change = ColumnChange { name: Some("number".to_owned()), ..ColumnChange::default() };
        let n = table.column("n").unwrap().id;
        engine.update_column(table.id, n, change).await.unwrap();
        engine.resume_run(run.id).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 1);
        let keys: Vec<String> = vendors.calls().into_iter().map(|call| call.key).collect();
        assert!(keys.len() == 2 && !keys[0].is_empty() && keys[0] == keys[1], "{keys:?}");
    });
}
