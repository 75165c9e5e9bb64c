//! Spec R4, G11: a process that dies. The store stays, everything else is gone; the vendor remembers.

use std::time::Duration;

use paceline_clock::{SimClock, Tick};
use paceline_lab::VendorConfig;
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{COLUMN, VendorProvider, engine, get, rate, states, table};

/// Runs until `die_after_ms`, then drops the runtime in the middle of whatever it does: a kill, but for the store.
/// The vendor lives on in the test. Answers whether the run had ended.
fn life(
    dir: &std::path::Path,
    at: Tick,
    die_after: Duration,
    config: &VendorConfig,
    post: bool,
    seen: &mut Seen,
) -> Tick {
    let sim = SimClock::starting_at(at);
    let config = config.clone();
    let (ended, now, stats, states) = sim.run(|clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let provider = VendorProvider::new(config, &clock);
        let engine = engine(&store, &clock, provider.clone());
        let known = engine.store().table("rows").await.unwrap();
        let table = match known {
            Some(table) => table,
            None => {
                let call = if post {
                    json!({"url": "http://vendor.example/{{n}}", "method": "POST"})
                } else {
                    get()
                };
                table(&engine, 60, call, rate(&["20/min", "40/h"], 8)).await
            }
        };
        let run = match engine.store().runs(table.id, 1).await.unwrap().into_iter().next() {
            None => engine.start_run(&table, COLUMN, Scope::All).await.unwrap(),
            Some(run) if run.status.is_final() => run,
            Some(run) => engine.resume_run(run.id).await.unwrap(),
        };
        let ended = tokio::select! {
            run = engine.wait(run.id) => Some(run.unwrap().status),
            () = clock.sleep(die_after) => None,
        };
        (ended, clock.now(), provider.vendor.stats(), states(&engine, &table).await)
    });
    seen.calls += stats.accepted + stats.refused;
    seen.ended = ended;
    seen.states = states;
    now
}

#[derive(Default)]
struct Seen {
    calls: u64,
    ended: Option<RunStatus>,
    states: std::collections::BTreeMap<&'static str, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the moments of death: every cell ends, the calls over all lives are at most one per cell and one more per
    /// call that was in flight, and the hour's window is not begun anew (40/h and 60 cells: it takes an hour).
    #[test]
    fn lives_cut_short_lose_nothing_and_do_not_get_a_fresh_hour(
        deaths in prop::collection::vec(1_u64..90_000, 1..5),
        post in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = VendorConfig {
            net: "1..200".parse().unwrap(),
            service: "0..3000".parse().unwrap(),
            ..VendorConfig::default()
        };
        let mut seen = Seen::default();
        // A clock with a past, as the system's has.
        let began = Tick::SYSTEM_START;
        let mut now = began;
        for death_ms in &deaths {
            now = life(dir.path(), now, Duration::from_millis(*death_ms), &config, post, &mut seen);
        }
        let end = life(dir.path(), now, Duration::from_secs(100_000), &config, post, &mut seen);
        prop_assert!(seen.ended.is_some(), "the last life ends the run");
        let ended: u64 = seen.states.values().sum();
        prop_assert_eq!(ended, 60);
        let in_flight_most = 8 * deaths.len() as u64;
        prop_assert!(seen.calls <= 60 + in_flight_most, "{} calls", seen.calls);
        if post {
            prop_assert!(seen.calls <= 60, "{} calls of 60 that may not be repeated", seen.calls);
        } else {
            prop_assert_eq!(seen.states.get("completed"), Some(&60));
        }
        // 60 cells need the 41st slot of an hour, however often the process died.
        prop_assert!(end - began >= Duration::from_secs(3_600), "{:?}", end - began);
    }
}

#[test]
fn a_dead_process_holds_no_lease() {
    let dir = tempfile::tempdir().unwrap();
    let config = VendorConfig { service: "50".parse().unwrap(), ..VendorConfig::default() };
    let mut seen = Seen::default();
    let now =
        life(dir.path(), Tick::SYSTEM_START, Duration::from_millis(20), &config, false, &mut seen);
    assert_eq!(seen.ended, None);
    life(dir.path(), now, Duration::from_secs(7_200), &config, false, &mut seen);
    assert_eq!(seen.ended, Some(RunStatus::Completed));
}
