//! Spec G3 through the whole engine: the vendor refuses nothing, and the run ends when the limits allow.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_governor::{PlanRequest, plan};
use paceline_lab::VendorConfig;
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;

use crate::support::{COLUMN, VendorProvider, engine, get, rate, states, table};

/// Refused calls, and optimum over actual time of the last start.
fn hex_batch(policy: &str, seed: u64) -> (u64, f64) {
    const LIMITS: [&str; 2] = ["20/min", "60/h"];
    let config = VendorConfig {
        limits: LIMITS.iter().map(|text| text.parse().unwrap()).collect(),
        policy: policy.parse().unwrap(),
        net: "1..15".parse().unwrap(),
        service: "100..2000".parse().unwrap(),
        seed,
        ..VendorConfig::default()
    };
    let (refused, elapsed, states) = SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = VendorProvider::new(config, &clock);
        let engine = engine(&store, &clock, provider.clone());
        let table = table(&engine, 200, get(), rate(&LIMITS, 1024)).await;
        let began = clock.now();
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let ended = engine.wait(run.id).await.unwrap();
        assert_eq!(ended.status, RunStatus::Completed);
        (provider.vendor.stats().refused, clock.now() - began, states(&engine, &table).await)
    });
    assert_eq!(states["completed"], 200);
    let request = PlanRequest {
        calls: 200,
        limits: LIMITS.iter().map(|text| text.parse().unwrap()).collect(),
        concurrency: None,
        service: Duration::ZERO,
    };
    (refused, plan(&request).unwrap().last_start_ms / (elapsed.as_secs_f64() * 1e3))
}

/// `cargo test -p paceline-engine hex_limits -- --nocapture` prints the table of the README.
#[test]
fn hex_limits_with_the_default_guard_in_virtual_time() {
    for policy in ["fixed", "fixed:17000", "first_call", "log", "log_counting", "bucket"] {
        for seed in 0..3 {
            let (refused, utilisation) = hex_batch(policy, seed);
            println!("{policy:12} seed {seed}: refused {refused}, utilisation {utilisation:.4}");
            assert_eq!(refused, 0, "{policy}, seed {seed}");
            assert!(utilisation >= 0.99, "{policy}, seed {seed}: {utilisation}");
        }
    }
}
