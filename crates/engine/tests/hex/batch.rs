//! Acceptance 1 of the issue: a batch of 200 jobs inside every limit, at the best rate that the limits allow.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_lab::{HexConfig, HexLimits, HexStats, HexVendor, Policy};
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{COLUMN, TokenFile, config, engine, states, table, values};

const JOBS: usize = 200;
/// 60 an hour: number 200 starts when the third hour is over.
const LAST_TRIGGER: Duration = Duration::from_secs(3 * 3600);

/// Runs 200 jobs against a Hex with the documented limits under a policy; answers what it saw.
fn batch(policy: &Policy, seed: u64) -> HexStats {
    SimClock::new().run(|clock| async move {
        let hex = HexConfig {
            limits: HexLimits::documented(policy),
            kernels: Some(25),
            net: "20..2000".parse().unwrap(),
            seed,
            ..HexConfig::default()
        };
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let table = table(&engine, JOBS, config(json!({})), json!(null)).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();

        assert_eq!(run.status, RunStatus::Completed, "{:?}", run.reason);
        assert_eq!((run.counts.completed, run.counts.calls), (JOBS as u64, JOBS as u64));
        assert_eq!(states(&engine, &table).await["completed"], JOBS as u64);
        for value in values(&engine, &table).await {
            assert_eq!(value["status"], "COMPLETED", "{value}");
            assert!(value["runId"].is_string() && value["elapsed_ms"].is_u64(), "{value}");
        }
        vendor.stats()
    })
}

#[test]
fn two_hundred_jobs_take_three_hours_and_not_one_call_is_refused() {
    for (name, policy) in [
        ("fixed", Policy::FIXED),
        ("first-call", Policy::FirstCall),
        ("log", "log".parse().unwrap()),
    ] {
        let stats = batch(&policy, 7);
        for (group, seen) in
            [("runs", &stats.runs), ("reads", &stats.reads), ("overall", &stats.overall)]
        {
            assert_eq!(seen.refused, 0, "{name}, {group}: {seen:?}");
        }
        assert_eq!((stats.started, stats.double_started), (JOBS as u64, 0), "{name}");
        assert!(stats.run_list.iter().all(|run| run.end_told), "{name}: every end was seen");
        let last = Duration::from_millis(stats.last_start_ms.unwrap());
        let off = last.as_secs_f64() / LAST_TRIGGER.as_secs_f64();
        assert!((0.99..=1.01).contains(&off), "{name}: the last trigger came at {last:?}");
    }
}
