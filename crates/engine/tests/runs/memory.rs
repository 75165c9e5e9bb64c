//! Spec G11: what was learnt of a vendor outlives the run, the process, and a kill.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_engine::Engine;
use paceline_lab::VendorConfig;
use paceline_model::{RunStatus, Scope, Store};
use paceline_store::SqliteStore;
use serde_json::Value as Json;

use crate::support::{Act, COLUMN, Scripted, VendorProvider, column, engine, get, rate, table};

/// A vendor that is a token bucket of five, where 20 a minute is all that its page says.
fn small_bucket() -> VendorConfig {
    VendorConfig {
        limits: vec!["20/min".parse().unwrap()],
        policy: "bucket:5".parse().unwrap(),
        net: "1..15".parse().unwrap(),
        service: "100".parse().unwrap(),
        ..VendorConfig::default()
    }
}

async fn open(store: &Arc<SqliteStore>, clock: &Clock) -> Engine {
    let provider = VendorProvider::new(small_bucket(), clock);
    let engine = engine(store, clock, provider);
    if engine.store().table("rows").await.unwrap().is_none() {
        table(&engine, 40, get(), rate(&["20/min"], 16)).await;
    }
    engine
}

/// Fills all cells; answers how often the vendor refused.
async fn refused(engine: &Engine) -> u64 {
    let table = engine.store().table("rows").await.unwrap().unwrap();
    let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
    let run = engine.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 40));
    run.counts.throttled
}

#[test]
fn what_one_run_learnt_the_next_one_knows_whoever_makes_it() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let first = open(&store, &clock).await;
        let learning = refused(&first).await;
        assert!((1..=4).contains(&learning), "{learning} refused");

        clock.sleep(Duration::from_secs(600)).await;
        let restarted = open(&store, &clock).await;
        assert_eq!(refused(&restarted).await, 0, "{learning} before");

        // A rate that changed makes a new budget; what was learnt of the limit that stayed stays too.
        clock.sleep(Duration::from_secs(600)).await;
        let table = store.table("rows").await.unwrap().unwrap();
        let slower = Some(rate(&["20/min", "500/h"], 16));
        restarted.update_smart_column(&table, COLUMN, None, slower).await.unwrap();
        assert_eq!(refused(&restarted).await, 0, "{learning} before");
    });
}

#[test]
fn a_wait_that_the_vendor_asked_for_outlives_the_process() {
    const ASKED: (&str, &str) = ("retry-after", "3600");
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let script = |n, _: &_| if n == 0 { Act::Say(429, ASKED, "") } else { Act::Answer(200, 0) };
        let provider = Scripted::new(&clock, script);
        let first = engine(&store, &clock, provider.clone());
        let table = table(&first, 2, get(), rate(&[], 1)).await;
        let began = clock.now();
        let run = first.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(60)).await;
        first.shutdown().await;
        assert_eq!(provider.count(), 1);

        // The other row knows of no wait; its budget does.
        let second = engine(&store, &clock, provider.clone());
        second.resume_run(run.id).await.unwrap();
        clock.sleep(Duration::from_secs(3_000)).await;
        assert_eq!(provider.count(), 1);
        second.wait(run.id).await.unwrap();
        assert_eq!((provider.count(), (clock.now() - began).as_secs()), (3, 3_600));
    });
}

/// Runs for so long, then everything but the disk is gone. Answers what is on record of the budget.
fn killed_after(dir: &Path, life: Duration) -> Option<Json> {
    SimClock::starting_at(Tick::SYSTEM_START).run(|clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = open(&store, &clock).await;
        let table = engine.store().table("rows").await.unwrap().unwrap();
        engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(life).await;
        let saved = store.load_budget(&format!("column:{}", column(&table))).await.unwrap();
        saved.map(|saved| serde_json::from_str(&saved.snapshot).unwrap())
    })
}

#[test]
fn what_was_learnt_is_on_disk_before_a_kill_and_holds_no_call_twice() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(killed_after(dir.path(), Duration::from_secs(5)), None, "not with every call");
    let dir = tempfile::tempdir().unwrap();
    let saved = killed_after(dir.path(), Duration::from_secs(30)).expect("saved every 10 s");
    let limit = &saved["limits"][0];
    let depth = limit["learnt"]["depth"].as_u64().expect("the bucket is found");
    assert!((1..=5).contains(&depth), "{saved:#}");
    assert_eq!(limit["limit"], "20/min");
    assert_eq!(limit["counted_us"], Json::Array(Vec::new()), "calls are on record by themselves");
}
