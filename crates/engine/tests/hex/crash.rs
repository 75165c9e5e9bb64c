//! Spec H10, G11: a process that dies. The store and the vendor stay, everything else is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{HexConfig, HexLimits, HexVendor, Policy};
use paceline_model::{Cell, CellState, RunStatus, Scope};
use paceline_store::SqliteStore;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::support::{COLUMN, TokenFile, cells, code, config, engine, table, values};

const JOBS: usize = 30;
/// Hex's limits for triggers, smaller: so that they bind, and a forgotten hour shows.
const TRIGGERS: [&str; 2] = ["6/min", "20/h"];

/// What is there when a life is over.
struct Seen {
    ended: Option<RunStatus>,
    cells: Vec<Cell>,
    values: Vec<Json>,
    /// Triggers on record.
    calls: u64,
}

/// Runs until the end or until `die_after`, then drops the runtime in the middle of whatever it does: a kill, but for the
/// store.
fn life(sim: &SimClock, dir: &Path, vendor: &Arc<HexVendor>, die_after: Duration) -> Seen {
    sim.run(|clock: Clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor, TokenFile::of("token"));
        let jobs = match engine.store().table("jobs").await.unwrap() {
            Some(jobs) => jobs,
            None => {
                let rate = json!({"limits": TRIGGERS, "max_concurrent": 8});
                table(&engine, JOBS, config(json!({})), rate).await
            }
        };
        let run = match engine.store().runs(jobs.id, 1).await.unwrap().into_iter().next() {
            None => engine.start_run(&jobs, COLUMN, Scope::All).await.unwrap(),
            Some(run) if run.status.is_final() => run,
            Some(run) => engine.resume_run(run.id).await.unwrap(),
        };
        let ended = tokio::select! {
            run = engine.wait(run.id) => Some(run.unwrap().status),
            () = clock.sleep(die_after) => None,
        };
        let (cells, values) = (cells(&engine, &jobs).await, values(&engine, &jobs).await);
        let calls = engine.store().run(run.id).await.unwrap().unwrap().counts.calls;
        Seen { ended, cells, values, calls }
    })
}

/// Dies at these moments of its lives, in ms, and then lives to the end.
fn lives(deaths: &[u64], faults: &str, seed: u64) -> (Seen, Arc<HexVendor>) {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimClock::new();
    let mut hex = HexConfig {
        limits: HexLimits::documented(&Policy::LOG),
        kernels: Some(25),
        net: "20..2000".parse().unwrap(),
        faults: faults.parse().unwrap(),
        seed,
        ..HexConfig::default()
    };
    hex.limits.runs.limits = TRIGGERS.iter().map(|limit| limit.parse().unwrap()).collect();
    for project in &mut hex.projects {
        project.run = "1000..90000".parse().unwrap();
    }
    let vendor = Arc::new(HexVendor::new(hex, sim.clock()).unwrap());
    for death in deaths {
        life(&sim, dir.path(), &vendor, Duration::from_millis(*death));
    }
    let seen = life(&sim, dir.path(), &vendor, Duration::from_secs(100_000));
    (seen, vendor)
}

/// What must hold however often the process died: nothing was started twice, no limit was overrun, and every cell is
/// completed with a run of its own, or unknown and says so.
fn check(seen: &Seen, vendor: &HexVendor) {
    let stats = vendor.stats();
    assert!(seen.ended.is_some(), "the last life ends the run");
    assert_eq!(stats.double_started, 0);
    for (group, seen) in
        [("runs", &stats.runs), ("reads", &stats.reads), ("overall", &stats.overall)]
    {
        assert_eq!(seen.refused, 0, "{group}: {seen:?}");
    }
    assert_eq!(seen.cells.len(), JOBS);
    let params: BTreeMap<&str, &Json> = stats
        .run_list
        .iter()
        .filter_map(|run| Some((run.run_id.as_str(), run.input_params.as_ref()?)))
        .collect();
    for (cell, value) in seen.cells.iter().zip(&seen.values) {
        match cell.state {
            CellState::Completed => {
                let run = value["runId"].as_str().unwrap();
                assert_eq!(params[run]["n"], cell.row.0, "the row's own run");
            }
            CellState::Unknown => {
                let error = cell.error.as_ref().unwrap();
                assert_eq!(error.code, "OUTCOME_UNKNOWN");
                assert!(error.message.contains("attach"), "{}", error.message);
            }
            // Reads that fail four times in a row: the job gives up, and has started nothing.
            CellState::Failed => {
                assert!(["HTTP_STATUS", "NO_CONNECTION"].contains(&code(cell)), "{cell:?}");
                assert!(params.values().all(|params| params["n"] != cell.row.0), "{cell:?}");
            }
            CellState::Skipped => panic!("{cell:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn lives_cut_short_start_nothing_twice_and_overrun_no_limit(
        deaths in prop::collection::vec(1_u64..90_000, 1..6),
        seed in any::<u64>(),
    ) {
        let (seen, vendor) = lives(&deaths, "none", seed);
        check(&seen, &vendor);
        prop_assert!(seen.cells.iter().all(|cell| cell.state != CellState::Failed));
        prop_assert_eq!(seen.calls, JOBS as u64, "each job asked for once, and each call counted once");
    }

    #[test]
    fn faults_and_deaths_together_start_nothing_twice(
        deaths in prop::collection::vec(1_u64..90_000, 0..4),
        seed in any::<u64>(),
    ) {
        let faults = "drop-after-start:0.1,502-after-start:0.1,hang-after-start:0.05,drop-before-start:0.05,\
                      late-in-list=5000:0.2,500-on-read:0.2,drop-on-read:0.05";
        let (seen, vendor) = lives(&deaths, faults, seed);
        check(&seen, &vendor);
    }
}

#[test]
fn a_run_that_was_started_is_watched_on() {
    // In the middle of the first jobs: started, on record, and far from their end.
    let (seen, vendor) = lives(&[8_000], "none", 3);
    check(&seen, &vendor);
    assert!(seen.cells.iter().all(|cell| cell.state == CellState::Completed), "{:?}", seen.cells);
    assert_eq!(vendor.stats().started, JOBS as u64);
}
