//! Spec R3: pause, resume, cancel, shut down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_engine::{Engine, Error};
use paceline_model::{RowId, RunStatus, Scope, Table};
use paceline_store::SqliteStore;

use crate::support::{Act, COLUMN, Scripted, column, engine, get, rate, states, table};

async fn begun(clock: &Clock, store: &Arc<SqliteStore>) -> (Engine, Table, Arc<Scripted>) {
    let provider = Scripted::new(clock, |_, _| Act::Answer(200, 100));
    let engine = engine(store, clock, provider.clone());
    let table = table(&engine, 100, get(), rate(&["10/s"], 4)).await;
    (engine, table, provider)
}

/// No row was called twice.
fn assert_each_once(provider: &Scripted) {
    let calls = provider.calls.lock().unwrap();
    assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), calls.len());
}

#[test]
fn a_paused_run_starts_nothing_loses_nothing_and_goes_on() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let (engine, table, provider) = begun(&clock, &store).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(2_550)).await;
        engine.pause_run(run.id).await.unwrap();
        let paused = engine.wait(run.id).await.unwrap();
        assert_eq!(paused.status, RunStatus::Paused);
        let called = provider.count();
        assert_eq!(paused.counts.completed as usize, called, "what was in flight was recorded");
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(provider.count(), called);

        engine.resume_run(run.id).await.unwrap();
        let ended = engine.wait(run.id).await.unwrap();
        assert_eq!(ended.status, RunStatus::Completed);
        assert_eq!(provider.count(), 100);
        assert_each_once(&provider);
    });
}

#[test]
fn after_a_cancel_no_call_leaves_and_a_late_reply_is_kept_but_not_applied() {
    for at_ms in [0, 1, 50, 99, 100, 101, 550, 1_230, 5_000] {
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let (engine, table, provider) = begun(&clock, &store).await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            clock.sleep(Duration::from_millis(at_ms)).await;
            let cancelled = engine.cancel_run(run.id).await.unwrap();
            assert_eq!(cancelled.status, RunStatus::Cancelled);
            let (called, applied) = (provider.count(), cancelled.counts.completed);
            engine.wait(run.id).await.unwrap();
            clock.sleep(Duration::from_secs(10)).await;
            assert_eq!(provider.count(), called, "cancelled at {at_ms} ms");
            let states = states(&engine, &table).await;
            assert_eq!(
                states.get("completed").copied().unwrap_or(0),
                applied,
                "cancelled at {at_ms} ms"
            );
            let mut attempts = 0;
            for row in 1..=100 {
                attempts +=
                    engine.store().attempts(column(&table), RowId(row)).await.unwrap().len();
            }
            assert_eq!(attempts, called, "every call is on record");
            assert!(matches!(engine.resume_run(run.id).await, Err(Error::Conflict(_))));
            // The rest can be filled by another run.
            let rest = engine.start_run(&table, COLUMN, Scope::Empty).await.unwrap();
            assert_eq!(engine.wait(rest.id).await.unwrap().status, RunStatus::Completed);
        });
    }
}

#[test]
fn a_shut_down_run_goes_on_at_the_next_start() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let (engine, table, provider) = begun(&clock, &store).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(3_333)).await;
        engine.shutdown().await;
        assert_eq!(engine.store().run(run.id).await.unwrap().unwrap().status, RunStatus::Running);

        let next = crate::support::engine(&store, &clock, provider.clone());
        assert_eq!(next.resume_left_behind().await.unwrap().len(), 1);
        assert_eq!(next.wait(run.id).await.unwrap().status, RunStatus::Completed);
        assert_each_once(&provider);
        assert_eq!(provider.count(), 100);
    });
}

#[test]
fn one_run_of_a_column_at_a_time() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let (engine, table, _) = begun(&clock, &store).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let second = engine.start_run(&table, COLUMN, Scope::All).await.unwrap_err();
        assert_eq!(second.code(), "CONFLICT");
        let changed =
            engine.update_smart_column(&table, COLUMN, None, Some(rate(&["5/s"], 1))).await;
        assert!(matches!(changed, Err(Error::Conflict(_))));
        engine.wait(run.id).await.unwrap();
        engine.update_smart_column(&table, COLUMN, None, Some(rate(&["5/s"], 1))).await.unwrap();
    });
}
