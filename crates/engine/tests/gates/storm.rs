//! Spec G8, and the storm of 429s that never ends: the run pauses within its deadline, no row is lost, a resume completes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Vendor, add, call, engine, rate, rate_with, states, table};

#[test]
fn a_storm_that_never_ends_pauses_the_run_within_the_set_deadline_and_a_resume_completes_it() {
    for (deadline_s, after) in [(20, 0), (60, 30), (900, 150)] {
        let storm = Arc::new(AtomicBool::new(true));
        let (is_on, served) = (Arc::clone(&storm), std::sync::atomic::AtomicUsize::new(0));
        let vendor = Vendor::new(None, move |_, _| {
            let is_first = served.fetch_add(1, Ordering::Relaxed) < after;
            if is_on.load(Ordering::Relaxed) && !is_first { 429 } else { 200 }
        });
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, &vendor);
            let made = table(&engine, "one", 300).await;
            let rate = rate_with(&["50/s"], 6, &json!({"max_wait_ms": deadline_s * 1000}));
            let made = add(&engine, &made, "a", call("a", None, &json!({})), rate).await;
            let column = made.column("a").unwrap().id;
            let run = engine.start_run(&made, "a", Scope::All).await.unwrap();
            let paused = engine.wait(run.id).await.unwrap();
            let first = vendor.seen().iter().find(|seen| seen.status == 429).unwrap().sent;
            let waited = clock.now() - first;
            let most = Duration::from_secs(deadline_s) + Duration::from_secs(1);
            assert!(waited <= most, "{waited:?}, {deadline_s} s were set");
            assert_eq!((paused.status, paused.counts.failed), (RunStatus::Paused, 0));
            let reason = paused.reason.unwrap();
            for word in ["throttled: ", "429", "resume", &deadline_s.to_string()] {
                assert!(reason.contains(word), "{reason} says {word}");
            }
            println!("{deadline_s} s: paused after {:.1} s, {reason}", waited.as_secs_f64());
            storm.store(false, Ordering::Relaxed);
            engine.resume_run(run.id).await.unwrap();
            let ended = engine.wait(run.id).await.unwrap();
            assert_eq!(ended.status, RunStatus::Completed);
            assert_eq!(states(&engine, column).await, [("completed", 300)].into());
        });
    }
}

#[test]
fn a_storm_that_goes_on_after_a_resume_pauses_again_and_fails_nothing() {
    SimClock::new().run(|clock| async move {
        let vendor = Vendor::new(None, |_, _| 429);
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor);
        let made = table(&engine, "one", 20).await;
        let made = add(&engine, &made, "a", call("a", None, &json!({})), rate(&["5/s"], 3)).await;
        let run = engine.start_run(&made, "a", Scope::All).await.unwrap();
        for _ in 0..3 {
            let paused = engine.wait(run.id).await.unwrap();
            assert_eq!((paused.status, paused.counts.ended()), (RunStatus::Paused, 0));
            engine.resume_run(run.id).await.unwrap();
        }
        engine.cancel_run(run.id).await.unwrap();
    });
}

#[test]
fn a_cell_that_is_refused_alone_is_tried_past_its_deadline_and_fails_only_after_twenty_refusals() {
    SimClock::new().run(|clock| async move {
        let vendor = Vendor::new(None, |_, path| if path == "/a/7" { 429 } else { 200 });
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor);
        let made = table(&engine, "one", 4_000).await;
        let more = json!({"max_wait_ms": 10_000, "cool_down_on_429": false});
        let rate = rate_with(&["2/s"], 2, &more);
        let made = add(&engine, &made, "a", call("a", None, &json!({})), rate).await;
        let run = engine.start_run(&made, "a", Scope::All).await.unwrap();
        let ended = engine.wait(run.id).await.unwrap();
        assert_eq!(ended.status, RunStatus::CompletedWithErrors, "{:?}", ended.reason);
        assert_eq!((ended.counts.completed, ended.counts.failed), (3_999, 1));
        let column = made.column("a").unwrap().id;
        let row = paceline_model::RowId(7);
        let error = engine.store().cells(column, row, row).await.unwrap().remove(0).error.unwrap();
        assert_eq!(error.code, "THROTTLED_TOO_LONG");
        assert_eq!(vendor.refused(), 20);
    });
}
