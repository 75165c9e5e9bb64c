//! `--plan`: figures without a call.

use crate::support::{Bench, hex};

const HEX: [&str; 4] = ["--limit", "20/min", "--limit", "60/h"];

async fn plan(bench: &Bench, flags: &[&str]) -> serde_json::Value {
    let args: Vec<&str> =
        ["batch", "jobs.csv", "--plan", "--json"].iter().chain(flags).copied().collect();
    bench.run(&args).await.exits(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_jobs_start_within_three_hours_and_nothing_is_called() {
    let bench = Bench::with_jobs(hex("50"), 200).await;
    let told = plan(&bench, &["--concurrency", "25"]).await;
    assert_eq!((&told["last_start_ms"], &told["end_ms"]), (&10_800_000.into(), &10_830_000.into()));
    assert_eq!((&told["binding_limit"], &told["jobs"]), (&"60/h".into(), &200.into()));
    // Hex's limits are the default, and five at once make it a little later.
    let told = plan(&bench, &HEX).await;
    assert_eq!(
        (&told["last_start_ms"], &told["binding_limit"]),
        (&10_890_000.into(), &"60/h".into())
    );
    let slow = plan(&bench, &["--run-seconds", "600"]).await;
    assert_eq!(slow["binding_limit"], "5 at once, 600 s each");
    let args = ["batch", "jobs.csv", "--plan", "--concurrency", "25"];
    let said = bench.run(&args).await.exits(0).stdout;
    assert!(said.contains("the last run starts after 3 h 00 min (at "), "{said}");
    assert!(said.contains("60/h") && said.contains("<- binds"), "{said}");
    assert_eq!(bench.lab.hex().stats().overall.accepted, 0);
    assert_eq!(bench.names(), ["jobs.csv"], "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_started_before_is_counted() {
    let bench = Bench::with_jobs(hex("20"), 20).await;
    bench.run(&["batch", "jobs.csv", "--concurrency", "20", "--limit", "20/min"]).await.exits(0);
    let told = plan(&bench, &HEX).await;
    assert_eq!(told["started_in_the_last_window"], 20);
    let first = told["first_start_ms"].as_f64().unwrap();
    assert!((30_000.0..60_000.0).contains(&first), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_needs_no_token() {
    let bench = Bench::with_jobs(hex("20"), 2).await;
    let args = ["batch", "jobs.csv", "--plan", "--allow-private"];
    bench.start_plain(&args, None).ended().await.exits(0);
    let slow = ["batch", "jobs.csv", "--plan", "--allow-private", "--run-seconds=-1"];
    bench.start_plain(&slow, None).ended().await.exits(2).told("--run-seconds");
}
