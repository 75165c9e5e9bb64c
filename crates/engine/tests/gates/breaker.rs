//! Spec G9 by the class of what went wrong: what stops a run, after how many calls, and what its reason says.

use std::sync::Arc;

use paceline_clock::SimClock;
use paceline_model::{Run, RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{DEAD, Vendor, add, call, engine, rate, table};

fn run(vendor: &Arc<Vendor>, rows: usize, concurrent_max: u32) -> Run {
    run_with(vendor, rows, concurrent_max, &json!({}))
}

fn run_with(vendor: &Arc<Vendor>, rows: usize, concurrent_max: u32, more: &Json) -> Run {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor);
        let made = table(&engine, "one", rows).await;
        let config = call("a", Some("key"), more);
        let made = add(&engine, &made, "a", config, rate(&["100/s"], concurrent_max)).await;
        let run = engine.start_run(&made, "a", Scope::All).await.unwrap();
        engine.wait(run.id).await.unwrap()
    })
}

#[test]
fn a_refused_key_trips_it_by_the_third_and_fails_no_cell() {
    for status in [401, 403] {
        let vendor = Vendor::new(None, move |_, _| status);
        let ended = run(&vendor, 100, 1);
        assert_eq!((ended.status, ended.counts.failed), (RunStatus::Paused, 0));
        assert_eq!(vendor.calls(), 3);
        let reason = ended.reason.unwrap();
        assert!(reason.contains("credential") && reason.contains("resume"), "{reason}");
    }
}

#[test]
fn five_hundred_bad_rows_never_trip_it_for_the_good_ones() {
    for status in [400, 404, 409, 422] {
        let vendor = Vendor::new(None, move |_, path| {
            let row: u32 = path.rsplit('/').next().unwrap().parse().unwrap();
            if row <= 500 { status } else { 200 }
        });
        let ended = run(&vendor, 600, 6);
        assert_eq!(ended.status, RunStatus::CompletedWithErrors, "{:?}", ended.reason);
        assert_eq!((ended.counts.completed, ended.counts.failed), (100, 500));
        assert_eq!(vendor.calls(), 600);
    }
}

#[test]
fn a_vendor_that_fails_every_call_trips_it_within_twenty() {
    for status in [500, 502, 503] {
        let vendor = Vendor::new(None, move |_, _| status);
        let ended = run(&vendor, 500, 6);
        assert_eq!(ended.status, RunStatus::Paused);
        assert!(vendor.calls() <= 20, "{} calls", vendor.calls());
        let reason = ended.reason.unwrap();
        assert!(reason.contains("failed") && reason.contains(&status.to_string()), "{reason}");
        assert!(reason.contains("retry failed"), "{reason}");
    }
}

#[test]
fn a_dead_host_trips_it_within_twenty() {
    let vendor = Vendor::new(None, |_, _| DEAD);
    let ended = run(&vendor, 500, 6);
    assert_eq!(ended.status, RunStatus::Paused);
    assert!(vendor.calls() <= 20, "{} tries", vendor.calls());
    let reason = ended.reason.unwrap();
    assert!(reason.contains("connection refused") && reason.contains("resume"), "{reason}");
}

#[test]
fn an_extract_that_finds_nothing_in_good_replies_trips_it_before_the_table_is_spent() {
    let vendor = Vendor::unlimited();
    let ended = run_with(&vendor, 500, 6, &json!({"extract": "$.nothing"}));
    assert_eq!(ended.status, RunStatus::Paused);
    assert!(vendor.calls() <= 20, "{} calls", vendor.calls());
}
