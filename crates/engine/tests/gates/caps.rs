//! Spec R5: caps of a run, of a column's day and of a named budget's day. Nothing is reserved beyond one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock, Tick};
use paceline_engine::{BudgetSpec, Engine};
use paceline_model::{Caps, Run, RunStatus, Scope, Table};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Vendor, add, call, engine, rate, rate_with, table};

fn calls(calls: u64) -> Caps {
    Caps { calls: Some(calls), ..Caps::default() }
}

/// A run that has not called yet, with caps.
async fn capped(engine: &Engine, table: &Table, caps: Caps) -> Run {
    let run = engine.start_run(table, "a", Scope::All).await.unwrap();
    engine.pause_run(run.id).await.unwrap();
    engine.wait(run.id).await.unwrap();
    engine.resume_run_within(run.id, caps).await.unwrap()
}

#[test]
fn a_run_pauses_at_its_cap_to_the_call_and_goes_on_with_a_higher_one() {
    for concurrent_max in [6, 64, 256] {
        let vendor = Vendor::unlimited();
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, &vendor);
            let made = table(&engine, "one", 1_500).await;
            let config = call("a", None, &json!({"price": 0.002}));
            let made = add(&engine, &made, "a", config, rate(&[], concurrent_max)).await;
            let run = capped(&engine, &made, calls(777)).await;
            let paused = engine.wait(run.id).await.unwrap();
            assert_eq!(paused.status, RunStatus::Paused);
            assert_eq!(vendor.calls(), 777, "{concurrent_max} at once: no overshoot");
            let reason = paused.reason.unwrap();
            assert!(reason.starts_with("cap: ") && reason.contains("777 of 777"), "{reason}");
            assert!(reason.contains("higher caps"), "{reason}");
            let caps = Caps { calls: None, cost_micros: Some(2_000_000) };
            engine.resume_run_within(run.id, caps).await.unwrap();
            let paused = engine.wait(run.id).await.unwrap();
            println!("{concurrent_max} at once: {}", paused.reason.clone().unwrap_or_default());
            assert_eq!(paused.status, RunStatus::Paused);
            // 0.002 each.
            assert_eq!(vendor.calls(), 1_000, "{:?}", paused.reason);
            engine.resume_run_within(run.id, Caps::default()).await.unwrap();
            let ended = engine.wait(run.id).await.unwrap();
            assert_eq!((ended.status, vendor.calls()), (RunStatus::Completed, 1_500));
            assert_eq!(ended.counts.cost_micros, 3_000_000);
        });
    }
}

/// A life of a process that dies after so long.
fn life(
    dir: &Path,
    at: Tick,
    die_after: Duration,
    (concurrent_max, posts, caps): (u32, bool, Caps),
    vendor: &Arc<Vendor>,
) -> (Tick, Option<Run>) {
    SimClock::starting_at(at).run(|clock: Clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor);
        let run = match engine.store().table("one").await.unwrap() {
            None => {
                let made = table(&engine, "one", 900).await;
                let mut more = if posts { json!({"method": "POST"}) } else { json!({}) };
                more["price"] = json!(0.002);
                let config = call("a", None, &more);
                let made = add(&engine, &made, "a", config, rate(&[], concurrent_max)).await;
                capped(&engine, &made, caps).await
            }
            Some(made) => {
                let run = engine.store().runs(made.id, 1).await.unwrap().remove(0);
                engine.resume_run(run.id).await.unwrap()
            }
        };
        let ended = tokio::select! {
            run = engine.wait(run.id) => Some(run.unwrap()),
            () = clock.sleep(die_after) => None,
        };
        (clock.now(), ended)
    })
}

#[test]
fn restarts_at_random_moments_overshoot_a_cap_by_nothing() {
    let random = Random::seeded(11);
    for concurrent_max in [6, 64, 256] {
        for posts in [false, true] {
            let mut most = 0;
            let money = Caps { calls: None, cost_micros: Some(500 * 2_000) };
            for caps in [calls(500), money, calls(500), money] {
                let dir = tempfile::tempdir().unwrap();
                let vendor = Vendor::unlimited();
                let mut now = Tick::SYSTEM_START;
                let mut ended = None;
                let mut deaths = 0;
                let longest_ms = u64::from(40_000 / concurrent_max);
                while ended.is_none() {
                    let die_after = match deaths {
                        0..3 => Duration::from_millis(1 + random.next_u64() % longest_ms),
                        _ => Duration::from_secs(10_000),
                    };
                    deaths += 1;
                    let kind = (concurrent_max, posts, caps);
                    (now, ended) = life(dir.path(), now, die_after, kind, &vendor);
                }
                assert_eq!(ended.unwrap().status, RunStatus::Paused);
                most = most.max(vendor.calls());
                assert!(vendor.calls() <= 500, "{} of 500 calls", vendor.calls());
                assert!(
                    vendor.calls() + 3 * concurrent_max as usize >= 500,
                    "and little is wasted"
                );
            }
            println!("{concurrent_max} at once, posts {posts}: at most {most} of 500 calls");
        }
    }
}

#[test]
fn a_day_of_a_column_is_spent_by_all_its_runs_and_begins_anew_at_midnight() {
    let vendor = Vendor::unlimited();
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine_ = engine(&store, &clock, &vendor);
        let made = table(&engine_, "one", 120).await;
        let config = call("a", None, &json!({"daily_caps": {"calls": 100}}));
        let made = add(&engine_, &made, "a", config, rate(&["100/s"], 6)).await;
        let first = engine_.start_run(&made, "a", Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(500)).await;
        engine_.cancel_run(first.id).await.unwrap();
        let second = engine_.start_run(&made, "a", Scope::Empty).await.unwrap();
        let paused = engine_.wait(second.id).await.unwrap();
        assert_eq!((paused.status, vendor.calls()), (RunStatus::Paused, 100));
        let reason = paused.reason.unwrap();
        assert!(reason.contains("column a today") && reason.contains("midnight"), "{reason}");
        // Another process knows of it from the store.
        let other = engine(&store, &clock, &vendor);
        other.resume_run(second.id).await.unwrap();
        assert_eq!(other.wait(second.id).await.unwrap().status, RunStatus::Paused);
        assert_eq!(vendor.calls(), 100);
        clock.sleep(Duration::from_secs(24 * 3600)).await;
        other.resume_run(second.id).await.unwrap();
        assert_eq!(other.wait(second.id).await.unwrap().status, RunStatus::Completed);
    });
}

#[test]
fn a_day_of_a_named_budget_is_spent_by_all_its_columns() {
    let vendor = Vendor::unlimited();
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor);
        let mut spec =
            BudgetSpec { rate: json!({"limits": ["100/s"]}), host: None, daily_caps: calls(150) };
        engine.create_budget("money", &spec).await.unwrap();
        let mut made = table(&engine, "one", 100).await;
        let named = rate_with(&[], 6, &json!({"budget": "money"}));
        for name in ["a", "b"] {
            made = add(&engine, &made, name, call(name, None, &json!({})), named.clone()).await;
        }
        let mut runs = Vec::new();
        for name in ["a", "b"] {
            runs.push(engine.start_run(&made, name, Scope::All).await.unwrap().id);
        }
        for run in &runs {
            let paused = engine.wait(*run).await.unwrap();
            assert_eq!(paused.status, RunStatus::Paused, "{:?}", paused.reason);
            assert!(paused.reason.unwrap().contains("the budget money today"));
        }
        assert_eq!(vendor.calls(), 150);
        spec.daily_caps = Caps::default();
        engine.update_budget("money", &spec).await.unwrap();
        for run in &runs {
            engine.resume_run(*run).await.unwrap();
            assert_eq!(engine.wait(*run).await.unwrap().status, RunStatus::Completed);
        }
    });
}
