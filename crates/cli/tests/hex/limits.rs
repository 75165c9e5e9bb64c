//! Acceptance 6: the seed's own figures, where its sketch deadlocks; an hour is 10 s here, a minute 1 s.

use std::time::Duration;

use paceline_clock::Clock;
use paceline_lab::HexConfig;

use crate::process::Ended;
use crate::support::{Bench, hex};

fn limited() -> HexConfig {
    let mut config = hex("10..40");
    let group = &mut config.limits.runs;
    group.limits = vec!["20/1s".parse().unwrap(), "60/10s".parse().unwrap()];
    group.policy = "first_call".parse().unwrap();
    config
}

async fn batch_of(jobs: u32, seconds: std::ops::Range<f64>) -> Ended {
    let bench = Bench::with_jobs(limited(), jobs).await;
    let args = [
        "batch",
        "jobs.csv",
        "--json",
        "--limit",
        "20/1s",
        "--limit",
        "60/10s",
        "--concurrency",
        "25",
    ];
    let clock = Clock::system();
    let began = clock.now();
    let ended = bench.run(&args).await.exits(0);
    let took = (clock.now() - began).as_secs_f64();
    bench.assert_each_once(&ended, u64::from(jobs));
    let stats = bench.lab.hex().stats();
    assert_eq!((stats.runs.refused, ended.count("throttled")), (0, 0), "{stats:?}");
    assert!(seconds.contains(&took), "{jobs} jobs took {took} s");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn fifteen_jobs_run_at_once() {
    batch_of(15, 0.0..15.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_five_jobs_wait_for_the_second_hour() {
    let ended = batch_of(65, 10.0..30.0).await;
    // Who waits for an hour is told until when, and for what.
    let waits = ended.stderr.lines().find(|line| line.contains("next slot at "));
    let waits = waits.unwrap_or_else(|| panic!("{}", ended.stderr));
    for part in ["60/65 ", "60 done", "(60/10s)", "ends in ", ", at "] {
        assert!(waits.contains(part), "{part:?} is not in: {waits}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_end_in_the_second_hour() {
    batch_of(100, 11.0..30.0).await;
}

/// "Space 5 s apart", 20 times as fast.
#[tokio::test(flavor = "multi_thread")]
async fn starts_are_spaced_if_that_is_asked_for() {
    let bench = Bench::with_jobs(hex("10"), 8).await;
    let ended = bench.batch(&["--min-spacing", "250ms", "--concurrency", "8"]).await.exits(0);
    bench.assert_each_once(&ended, 8);
    let mut starts: Vec<u64> =
        bench.lab.hex().stats().run_list.iter().map(|run| run.started_at_ms).collect();
    starts.sort_unstable();
    for pair in starts.windows(2) {
        let apart = Duration::from_millis(pair[1] - pair[0]);
        assert!(apart >= Duration::from_millis(240), "{starts:?}");
    }
}
