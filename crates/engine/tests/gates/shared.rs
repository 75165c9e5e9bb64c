//! Spec G2: columns of several tables that send one secret to one host share a budget, take turns, and know after a
//! restart of each other's calls.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_engine::Engine;
use paceline_model::{RunId, RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Seen, Vendor, add, call, engine, rate, rate_with, table};

const TABLES: [(&str, &[&str]); 3] =
    [("one", &["a", "b", "c"]), ("two", &["d", "e", "f"]), ("three", &["g", "h"])];

/// Eight columns over three tables on one key, each with 10/s of its own.
async fn make(engine: &Engine, rows: usize, limits: &[&str]) {
    for (name, columns) in TABLES {
        let mut made = table(engine, name, rows).await;
        for column in columns {
            let config = call(column, Some("one key"), &json!({}));
            made = add(engine, &made, column, config, rate(limits, 5)).await;
        }
    }
}

async fn start_all(engine: &Engine) -> Vec<RunId> {
    let mut runs = Vec::new();
    for (name, columns) in TABLES {
        let table = engine.store().table(name).await.unwrap().unwrap();
        for column in columns {
            runs.push(engine.start_run(&table, column, Scope::All).await.unwrap().id);
        }
    }
    runs
}

/// What a vendor saw of eight columns with so many rows each on one key, and the calls of each column until the first was
/// through: until then all eight had work.
fn eight_columns(vendor: &Arc<Vendor>, rows: usize) -> (Vec<Seen>, BTreeMap<String, usize>) {
    let seen = Arc::clone(vendor);
    let by_first_end = SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        make(&engine, rows, &["10/s"]).await;
        let runs = start_all(&engine).await;
        let followed = engine.clone();
        let ends = runs.iter().map(|run| {
            let (engine, run) = (followed.clone(), *run);
            tokio::spawn(async move { engine.wait(run).await.unwrap() })
        });
        let mut by_first_end = None;
        for end in ends.collect::<Vec<_>>() {
            assert_eq!(end.await.unwrap().status, RunStatus::Completed);
            by_first_end.get_or_insert_with(|| seen.by_column());
        }
        let shared = engine.shared_budgets();
        assert_eq!((shared.len(), shared[0].columns.len()), (1, 8));
        assert!(shared[0].name.contains("vendor.example"), "{}", shared[0].name);
        by_first_end.unwrap()
    });
    (vendor.seen(), by_first_end)
}

#[test]
fn eight_columns_on_one_key_use_the_rate_that_any_vendor_allows_and_share_it_fairly() {
    const ROWS: usize = 60;
    // Of every kind: which share of 10/s it lets pass at the best, and by which call it is known how it counts. Kept in
    // whole seconds, a log of one second forgets after two. At the even pace that a counter of two windows asks for, each
    // call gives away what the network scatters.
    for (policy, allowed, settled_by) in [
        ("log", 1.0, 0),
        ("log_counting", 1.0, 0),
        ("fixed:370", 1.0, 0),
        ("first_call", 1.0, 0),
        ("bucket", 1.0, 0),
        ("bucket:5", 1.0, 10),
        ("counter", 0.8, 60),
        ("log:seconds", 0.5, 60),
        ("log_counting:seconds", 0.5, 60),
    ] {
        let vendor = Vendor::enforcing("10/s", &policy.parse().unwrap());
        let (seen, by_first_end) = eight_columns(&vendor, ROWS);
        let refused: Vec<usize> =
            (0..seen.len()).filter(|number| seen[*number].status == 429).collect();
        // Measured from when on it is known; before, a burst of ten leaves at once.
        let from = settled_by.max(10);
        let took = (seen[seen.len() - 1].sent - seen[from].sent).as_secs_f64();
        let used = (seen.len() - 1 - from) as f64 / took / 10.0 / allowed;
        let total: usize = by_first_end.values().sum();
        let least = *by_first_end.values().min().unwrap() as f64 / (total as f64 / 8.0);
        println!(
            "{policy}: {} refused, {:.1} % of the allowed rate, least share {:.1} %",
            refused.len(),
            used * 100.0,
            least * 100.0
        );
        assert!(refused.iter().all(|number| *number < settled_by), "{policy}: {refused:?}");
        assert!(refused.len() <= settled_by / 6, "{policy}: {refused:?}");
        assert_eq!(seen.len() - refused.len(), 8 * ROWS, "{policy}");
        assert!(used >= 0.95, "{policy}: {used}");
        assert!(by_first_end.len() == 8 && least >= 0.8, "{policy}: {by_first_end:?}");
    }
}

/// One life of a process that dies after so long. Answers when, and whether all ended.
fn life(
    dir: &Path,
    at: Tick,
    die_after: Duration,
    limits: &[&str],
    rows: usize,
    vendor: &Arc<Vendor>,
) -> (Tick, bool) {
    SimClock::starting_at(at).run(|clock: Clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor);
        let runs = if engine.store().tables().await.unwrap().is_empty() {
            make(&engine, rows, limits).await;
            start_all(&engine).await
        } else {
            let left = engine.resume_left_behind().await.unwrap();
            left.iter().map(|run| run.id).collect()
        };
        let all = async {
            for run in runs {
                assert_eq!(engine.wait(run).await.unwrap().status, RunStatus::Completed);
            }
        };
        let ended = tokio::select! {
            () = all => true,
            () = clock.sleep(die_after) => false,
        };
        (clock.now(), ended)
    })
}

#[test]
fn restarts_in_the_middle_refuse_nothing() {
    for (limits, window, rows, lives_ms) in [
        (["10/s"], Duration::from_secs(1), 40, [7_312, 1_041, 530, 9_777]),
        (["60/min"], Duration::from_secs(60), 20, [35_312, 600, 50_530, 12_777]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let most = if window.as_secs() == 1 { 10 } else { 60 };
        let vendor = Vendor::new(Some((most, window)), |_, _| 200);
        let mut now = Tick::SYSTEM_START;
        for ms in lives_ms {
            now = life(dir.path(), now, Duration::from_millis(ms), &limits, rows, &vendor).0;
        }
        let end = life(dir.path(), now, Duration::from_secs(100_000), &limits, rows, &vendor);
        assert!(end.1, "the last life ends every run");
        assert_eq!(vendor.refused(), 0, "{limits:?}");
        let took = (end.0 - Tick::SYSTEM_START).as_secs_f64();
        println!(
            "{limits:?}: {} calls of 8 x {rows} cells in {took:.0} s, 4 restarts",
            vendor.calls()
        );
    }
}

#[test]
fn a_column_that_joins_a_run_at_work_shares_from_then_on() {
    let vendor = Vendor::per_second(10);
    let seen = Arc::clone(&vendor);
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        let config = |name| call(name, Some("key"), &json!({}));
        let one = table(&engine, "one", 200).await;
        let one = add(&engine, &one, "a", config("a"), rate(&["10/s"], 5)).await;
        let first = engine.start_run(&one, "a", Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(3_333)).await;
        assert!(engine.shared_budgets().is_empty(), "alone it shares nothing");
        let two = table(&engine, "two", 50).await;
        let two = add(&engine, &two, "b", config("b"), rate(&["10/s"], 5)).await;
        let second = engine.start_run(&two, "b", Scope::All).await.unwrap();
        for run in [first, second] {
            assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
        }
    });
    assert_eq!((vendor.refused(), vendor.calls()), (0, 250));
}

#[test]
fn another_key_another_host_and_a_key_of_the_rows_share_nothing() {
    let vendor = Vendor::unlimited();
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor);
        let mut made = table(&engine, "one", 3).await;
        let elsewhere = json!({"url": "http://other.example/{{n}}"});
        let columns = [
            ("a", call("a", Some("key"), &json!({}))),
            ("b", call("b", Some("another"), &json!({}))),
            ("c", call("c", Some("key"), &elsewhere)),
            ("d", call("d", None, &json!({}))),
            ("e", call("e", None, &json!({}))),
            ("f", call("f", Some("{{n}}"), &json!({}))),
            ("g", call("g", Some("{{n}}"), &json!({}))),
        ];
        for (name, config) in &columns {
            made = add(&engine, &made, name, config.clone(), rate(&["10/s"], 5)).await;
        }
        for (name, _) in &columns {
            let run = engine.start_run(&made, name, Scope::All).await.unwrap();
            assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
        }
        assert_eq!(engine.shared_budgets(), []);
    });
}

#[test]
fn a_key_that_is_refused_stops_every_column_that_uses_it_after_three_calls() {
    let vendor = Vendor::new(None, |_, _| 401);
    let seen = Arc::clone(&vendor);
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        let mut made = table(&engine, "one", 50).await;
        for name in ["a", "b", "c"] {
            let config = call(name, Some("key"), &json!({}));
            made = add(&engine, &made, name, config, rate(&["1000/s"], 1)).await;
        }
        let mut runs = Vec::new();
        for name in ["a", "b", "c"] {
            runs.push(engine.start_run(&made, name, Scope::All).await.unwrap());
        }
        for run in runs {
            let run = engine.wait(run.id).await.unwrap();
            assert_eq!((run.status, run.counts.failed), (RunStatus::Paused, 0));
            let reason = run.reason.unwrap();
            assert!(reason.contains("credential was refused"), "{reason}");
        }
    });
    // Three in a row; each of three columns had at most one more under way.
    assert!(vendor.calls() <= 5, "{}", vendor.calls());
}

#[test]
fn what_is_shared_allows_the_most_that_any_names_and_each_keeps_to_its_own() {
    let vendor = Vendor::per_second(10);
    let seen = Arc::clone(&vendor);
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        let mut made = table(&engine, "one", 60).await;
        let slow = rate_with(&["2/s"], 5, &json!({}));
        for (name, rate) in [("slow", slow), ("fast", rate(&["10/s"], 5))] {
            made = add(&engine, &made, name, call(name, Some("key"), &json!({})), rate).await;
        }
        let began = clock.now();
        for name in ["slow", "fast"] {
            engine.start_run(&made, name, Scope::All).await.unwrap();
        }
        clock.sleep(Duration::from_secs(5)).await;
        let [shared] = &engine.shared_budgets()[..] else { panic!("one budget") };
        assert_eq!(shared.status.limits[0].limit.to_string(), "10/s");
        let counts = seen.by_column();
        assert!((8..=11).contains(&counts["slow"]), "{counts:?}");
        assert!((36..=42).contains(&counts["fast"]), "{counts:?}");
        assert_eq!((clock.now() - began).as_secs(), 5);
    });
    assert_eq!(vendor.refused(), 0);
}
