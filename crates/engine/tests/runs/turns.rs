//! What people ask of a run while it is just changing: resumed while it is being paused, cancelled while it is being set to
//! work, taken up again when it cannot go on (spec R3, R4).

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_engine::Error;
use paceline_model::{ColumnChange, RunId, RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Act, COLUMN, Scripted, column, engine, get, rate, table};

#[test]
fn a_run_that_is_resumed_while_it_is_being_paused_goes_on() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = Scripted::new(&clock, |_, _| Act::Answer(200, 9_000));
        let engine = engine(&store, &clock, provider.clone());
        let table = table(&engine, 10, get(), rate(&["10/s"], 4)).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(5)).await;
        engine.pause_run(run.id).await.unwrap();
        let resumed = engine.resume_run(run.id).await.unwrap();
        assert_eq!(resumed.status, RunStatus::Running);
        assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
        assert_eq!(provider.count(), 10, "nothing was called twice");
    });
}

#[test]
fn whoever_resumes_a_run_is_not_kept_waiting_for_ever_for_its_pause() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = Scripted::new(&clock, |_, _| Act::Answer(200, 300_000));
        let engine = engine(&store, &clock, provider);
        let mut patient = rate(&["10/s"], 4);
        patient["timeout_ms"] = json!(400_000);
        let table = table(&engine, 4, get(), patient).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(5)).await;
        engine.pause_run(run.id).await.unwrap();
        let refused = engine.resume_run(run.id).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
        assert!(refused.to_string().contains("4 of its calls are in flight"), "{refused}");
        engine.wait(run.id).await.unwrap();
        engine.resume_run(run.id).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
    });
}

/// At every moment of its start: what a person says of a run holds.
#[test]
fn a_run_that_is_cancelled_or_paused_while_it_is_set_to_work_makes_no_further_call() {
    for (yields, cancels) in (0..40).flat_map(|yields| [(yields, true), (yields, false)]) {
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let provider = Scripted::new(&clock, |_, _| Act::Answer(200, 100));
            let engine = engine(&store, &clock, provider.clone());
            let table = table(&engine, 100, get(), rate(&["100/s"], 4)).await;
            let starting = {
                let (engine, table) = (engine.clone(), table.clone());
                tokio::spawn(async move { engine.start_run(&table, COLUMN, Scope::All).await })
            };
            // The first run of the store. It is there from the moment on when it is no longer missing.
            while engine.store().run(RunId(1)).await.unwrap().is_none() {}
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            let wanted = if cancels {
                engine.cancel_run(RunId(1)).await.unwrap();
                RunStatus::Cancelled
            } else {
                engine.pause_run(RunId(1)).await.unwrap();
                RunStatus::Paused
            };
            let called = provider.count();
            let _ = starting.await.unwrap();
            let run = engine.wait(RunId(1)).await.unwrap();
            clock.sleep(Duration::from_secs(60)).await;
            assert_eq!(run.status, wanted, "after {yields} yields");
            assert_eq!(provider.count(), called, "after {yields} yields");
        });
    }
}

#[test]
fn a_run_that_cannot_go_on_is_paused_with_the_reason_and_the_others_go_on() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = Scripted::new(&clock, |_, _| Act::Answer(200, 100));
        let first = engine(&store, &clock, provider.clone());
        let broken = table(&first, 50, get(), rate(&["10/s"], 4)).await;
        let sound =
            crate::support::table_called(&first, "other", 50, get(), rate(&["10/s"], 4)).await;
        let stuck = first.start_run(&broken, COLUMN, Scope::All).await.unwrap();
        let goes_on = first.start_run(&sound, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(1)).await;
        first.shutdown().await;
        // A configuration that nobody can read any more.
        let damage = ColumnChange {
            references: vec![(column(&broken), json!({"url": 5}))],
            ..ColumnChange::default()
        };
        let n = broken.column("n").unwrap().id;
        first.store().update_column(n, damage).await.unwrap();

        let next = engine(&store, &clock, provider.clone());
        let resumed = next.resume_left_behind().await.unwrap();
        assert_eq!(resumed.iter().map(|run| run.id).collect::<Vec<_>>(), [goes_on.id]);
        let paused = next.store().run(stuck.id).await.unwrap().unwrap();
        assert_eq!(paused.status, RunStatus::Paused);
        let reason = paused.reason.unwrap();
        assert!(reason.starts_with("it could not go on: ") && reason.contains("url"), "{reason}");
        assert_eq!(next.wait(goes_on.id).await.unwrap().status, RunStatus::Completed);

        let mended =
            ColumnChange { references: vec![(column(&broken), get())], ..ColumnChange::default() };
        next.store().update_column(n, mended).await.unwrap();
        next.resume_run(stuck.id).await.unwrap();
        assert_eq!(next.wait(stuck.id).await.unwrap().status, RunStatus::Completed);
        assert_eq!(provider.count(), 100, "nothing was called twice");
    });
}

#[test]
fn a_part_that_panics_pauses_the_run_and_loses_nothing() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = Scripted::new(&clock, |number, _| {
            assert!(number != 20, "the panic that this test is about");
            Act::Answer(200, 100)
        });
        let engine = engine(&store, &clock, Arc::clone(&provider) as _);
        let table = table(&engine, 50, get(), rate(&["10/s"], 4)).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let paused = engine.wait(run.id).await.unwrap();
        assert_eq!(paused.status, RunStatus::Paused);
        let reason = paused.reason.unwrap();
        assert!(reason.starts_with("fault: "), "{reason}");
        engine.resume_run(run.id).await.unwrap();
        let ended = engine.wait(run.id).await.unwrap();
        assert_eq!((ended.status, ended.counts.completed), (RunStatus::Completed, 50));
        assert_eq!(provider.count(), 51, "the call that broke, and each row once");
    });
}
