//! Columns that call webhooks: at most one effect per cell whatever dies, a signature, and a person's word on the rest.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use paceline_clock::{Random, SimClock, Tick, Timestamp};
use paceline_engine::{Engine, Settle, signed};
use paceline_model::{CellState, ColumnType, RowId, Run, Scope, SmartKind, Table, Value};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{
    COLUMN, Vendors, attempts, column, engine, life, rate, says, smart, states, table, values,
};

fn webhook() -> Json {
    json!({
        "provider": "webhook", "url": "https://hooks.example/in", "body": {"n": "{{n}}", "who": "{{name}}"},
        "secret": "whsec_0123456789"
    })
}

async fn begin(engine: &Engine, rows: usize) -> (Table, Run) {
    if let Some(table) = engine.store().table("rows").await.unwrap() {
        let run = engine.store().runs(table.id, 1).await.unwrap().into_iter().next().unwrap();
        let over = run.status.is_final();
        let run = if over { run } else { engine.resume_run(run.id).await.unwrap() };
        return (table, run);
    }
    let spec = smart(SmartKind::Integration, webhook(), rate(64), ColumnType::Boolean);
    let table = table(engine, rows, spec).await;
    let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
    (table, run)
}

async fn unknown(engine: &Engine, table: &Table, rows: usize) -> Vec<RowId> {
    let mut found = Vec::new();
    for from in (1..=rows as i64).step_by(1_000) {
        let to = RowId((from + 999).min(rows as i64));
        let cells = engine.store().cells(column(table), RowId(from), to).await.unwrap();
        let cells = cells.into_iter().filter(|cell| cell.state == CellState::Unknown);
        found.extend(cells.map(|cell| cell.row));
    }
    found
}

#[test]
fn two_thousand_cells_over_many_deaths_take_effect_at_most_once_each() {
    const ROWS: usize = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let vendors = Vendors::new(60, |_, _| says(200, "\"ok\""));
    let random = Random::seeded(41);
    let mut now = Tick::SYSTEM_START;
    for _ in 0..12 {
        let die_after = Duration::from_millis(20 + random.next_u64() % 200);
        let (ended, at) = life(dir.path(), now, die_after, &vendors, async |engine| {
            let (_, run) = begin(&engine, ROWS).await;
            engine.wait(run.id).await.unwrap();
        });
        assert!(ended.is_none(), "it is killed in the middle");
        now = at;
    }
    let (lost, now) =
        life(dir.path(), now, Duration::from_secs(10_000), &vendors, async |engine| {
            let (table, run) = begin(&engine, ROWS).await;
            engine.wait(run.id).await.unwrap();
            let states = states(&engine, &table).await;
            let lost = unknown(&engine, &table, ROWS).await;
            assert_eq!(states["completed"] + states["unknown"], ROWS as u64);
            assert_eq!(states["unknown"], lost.len() as u64);
            lost
        });
    let lost = lost.unwrap();
    assert!(!lost.is_empty(), "some calls were under way when their process died");
    {
        let seen = vendors.seen.lock().unwrap();
        let twice = seen.effects.values().filter(|times| **times > 1).count();
        assert_eq!(twice, 0, "no key took effect twice");
        assert!(seen.effects.len() <= ROWS);
    }
    resent_with_the_same_keys(dir.path(), now, &vendors, &lost);
}

/// Every unknown cell is settled as never sent; what then leaves carries the key that it left with before, if it did.
fn resent_with_the_same_keys(dir: &std::path::Path, now: Tick, vendors: &Vendors, lost: &[RowId]) {
    let before = vendors.calls().len();
    let (states, _) = life(dir, now, Duration::from_secs(10_000), vendors, async |engine| {
        let table = engine.store().table("rows").await.unwrap().unwrap();
        for row in lost {
            engine.settle(&table, COLUMN, *row, Settle::Resend).await.unwrap();
        }
        let run = engine.start_run(&table, COLUMN, Scope::Empty).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, lost.len() as u64);
        states(&engine, &table).await
    });
    assert_eq!(states.unwrap()["completed"], 2_000);
    let calls = vendors.calls();
    assert_eq!(calls.len() - before, lost.len(), "nothing but the lost ones is sent");
    let mut keys: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for call in &calls {
        keys.entry(&call.body).or_default().insert(&call.key);
    }
    assert_eq!(keys.len(), 2_000);
    assert!(
        keys.values().all(|keys| keys.len() == 1),
        "a row has one key, however often it is sent"
    );
    let all: BTreeSet<&str> = calls.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(all.len(), 2_000, "and no other row has it");
}

#[test]
fn a_call_is_signed_when_it_leaves_and_an_empty_answer_is_a_value() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |_, _| says(204, ""));
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        // One call a minute: the second one leaves a minute after it was rendered.
        let slow = json!({
            "limits": ["1/min"], "max_concurrent": 2, "retry_strategy": "fixed", "max_retries": 0,
            "retry_delay_ms": 1000, "cool_down_on_429": true
        });
        let spec = smart(SmartKind::Integration, webhook(), slow, ColumnType::Boolean);
        let table = table(&engine, 2, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 2);
        assert_eq!(values(&engine, &table).await, [Value::Bool(true), Value::Bool(true)]);
        let attempts = attempts(&engine, &table, 2).await;
        for (call, attempts) in vendors.calls().iter().zip(attempts) {
            let sent_at: Timestamp = attempts[0].sent_at.unwrap();
            let wanted = signed("whsec_0123456789", sent_at, call.body.as_bytes());
            assert_eq!(call.headers["x-paceline-signature"].to_str().unwrap(), wanted);
        }
    });
}

#[test]
fn a_broken_gateway_leaves_a_cell_to_a_person() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |_, calls| says(if calls < 3 { 502 } else { 200 }, "\"ok\""));
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Integration, webhook(), rate(1), ColumnType::Text);
        let table = table(&engine, 3, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.unknown, 3);
        let done = Settle::Done(Some(Value::Text("seen in the log".to_owned())));
        engine.settle(&table, COLUMN, RowId(1), done).await.unwrap();
        engine.settle(&table, COLUMN, RowId(2), Settle::Failed).await.unwrap();
        engine.settle(&table, COLUMN, RowId(3), Settle::Resend).await.unwrap();
        let attached = Settle::Attach("run".to_owned());
        assert!(engine.settle(&table, COLUMN, RowId(3), attached).await.is_err());
        let again = engine.settle(&table, COLUMN, RowId(1), Settle::Failed).await;
        assert_eq!(again.unwrap_err().code(), "CONFLICT", "it is not unknown any more");
        let states = states(&engine, &table).await;
        assert_eq!((states["completed"], states["failed"], states.len()), (1, 1, 2));
        let run = engine.start_run(&table, COLUMN, Scope::Empty).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 1);
        let held = values(&engine, &table).await;
        assert_eq!(held[0], Value::Text("seen in the log".to_owned()));
        assert_eq!(held[2], Value::Text("ok".to_owned()));
    });
}
