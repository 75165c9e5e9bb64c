//! kill -9, again and again: no finished cell is lost, nothing is called twice but what was in flight, and what may not
//! be called twice is not. The lab's count is the judge.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_lab::{Running, VendorConfig};

use crate::process::Ended;
use crate::support::{Bench, Enrich, lab, slow_lab, until};

/// What the kills did.
struct Loop {
    /// Kills that found the command at work.
    kills: u64,
    /// The start that was left alone.
    last: Ended,
}

/// Starts the command and kills it, `kills` times, then lets it end.
///
/// Every other kill comes when the vendor has seen some more calls, so that it lands in the middle; the others come
/// after a random time, so that they land in the start, the import, the end, or the writing of OUT too.
async fn killed(bench: &Bench, request: &Enrich, lab: &Running, kills: u64, seed: u64) -> Loop {
    let random = Random::seeded(seed);
    let below = |n: u64| random.next_u64() % n;
    let mut at_work = 0;
    for turn in 0..kills {
        let mut process = bench.start_enrich(request);
        if turn % 2 == 0 {
            let calls = lab.stats().accepted + 1 + below(25);
            let all = lab.stats().keys >= rows(bench);
            until("the vendor sees some more calls", || all || lab.stats().accepted >= calls).await;
        } else {
            Clock::system().sleep(Duration::from_millis(below(400))).await;
        }
        at_work += u64::from(process.is_running());
        process.kill().await;
    }
    let last = bench.enrich(request).await;
    Loop { kills: at_work, last }
}

fn rows(bench: &Bench) -> u64 {
    bench.read("airports.csv").lines().count() as u64 - 1
}

/// What acceptance 4 asks for.
fn assert_called_once(bench: &Bench, lab: &Running, ended: &Loop, concurrency: u64) {
    let (stats, rows) = (lab.stats(), rows(bench));
    assert!(ended.kills >= 3, "only {} kills found it at work", ended.kills);
    bench.assert_out_is_right(rows as usize);
    // The lab knows a repeat by its key, as a vendor would: one that came under another key counts as a call of its own.
    assert_eq!(
        stats.served - stats.duplicates,
        rows,
        "a row was not called, or repeated under a new key: {stats:?}"
    );
    assert!(stats.duplicates <= ended.kills * concurrency, "{} kills, {stats:?}", ended.kills);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_a_limited_rate_repeat_only_what_was_in_flight() {
    let (bench, lab) = (Bench::with_airports(240), slow_lab("20..80").await);
    // A header, and a secret one at that: neither may make another call of a call that is repeated.
    let request = Enrich::nearest(&lab).with(&["--limit", "60/s", "--concurrency", "8"]);
    let request = request.with(&["--header", "Authorization: Bearer abc"]);
    let mut ended = killed(&bench, &request, &lab, 10, 1).await;
    ended.last = ended.last.exits(0);
    assert_called_once(&bench, &lab, &ended, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_full_speed_repeat_only_what_was_in_flight() {
    let bench = Bench::with_airports(3_000);
    let lab = lab(VendorConfig::default()).await;
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--concurrency", "6"]);
    let mut ended = killed(&bench, &request, &lab, 10, 2).await;
    ended.last = ended.last.exits(0);
    assert_called_once(&bench, &lab, &ended, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_in_flight_at_a_kill_is_unknown_and_never_repeated() {
    let (bench, lab) = (Bench::with_airports(150), slow_lab("50..150").await);
    let request = Enrich::nearest(&lab).with(&[
        "--method",
        "POST",
        "--limit",
        "60/s",
        "--concurrency",
        "8",
        "--json",
    ]);
    let ended = killed(&bench, &request, &lab, 7, 3).await;
    let last = ended.last.exits(5);
    let (completed, unknown) = (last.count("completed"), last.count("unknown"));
    assert_eq!((completed + unknown, last.count("failed")), (150, 0));
    assert!((1..=ended.kills * 8).contains(&unknown), "{} kills, {unknown} unknown", ended.kills);
    // What was sent and is unknown still arrived, or not; none of it a second time.
    let stats = lab.stats();
    assert_eq!(stats.duplicates, 0, "{stats:?}");
    assert!((completed..=150).contains(&stats.served), "{stats:?}");
    last.told(&format!("{unknown} unknown"));
    last.told("were not repeated; look at the vendor's side");
    last.told("--restart");
    let out = bench.read("out.csv");
    let empty = out.lines().filter(|line| line.ends_with(',')).count() as u64;
    assert_eq!((out.lines().count(), empty), (151, unknown), "OUT has every row");
    // It stays so: a further run neither repeats nor forgets them.
    let again = bench.enrich(&request).await.exits(5);
    assert_eq!((again.count("calls"), again.count("unknown")), (0, unknown));
    assert_eq!(lab.stats().accepted, stats.accepted);
}

/// The vendor counts every 2 s that pass, whatever becomes of its callers.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_get_a_fresh_window() {
    let config = VendorConfig {
        limits: vec!["30/2s".parse().unwrap()],
        policy: "log".parse().unwrap(),
        service: "5..40".parse().unwrap(),
        ..VendorConfig::default()
    };
    let (bench, lab) = (Bench::with_airports(120), lab(config).await);
    let request = Enrich::nearest(&lab).with(&["--limit", "30/2s", "--concurrency", "6"]);
    let ended = killed(&bench, &request, &lab, 8, 4).await;
    ended.last.exits(0);
    let stats = lab.stats();
    bench.assert_out_is_right(120);
    assert_eq!(stats.refused, 0, "{} kills, {stats:?}", ended.kills);
    assert!(ended.kills >= 3 && stats.limits[0].busiest <= 30);
}

/// The same at a vendor that answers at once: then most of what a kill loses was answered and not yet on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_get_a_fresh_window_from_a_vendor_that_answers_at_once() {
    let config = VendorConfig {
        limits: vec!["40/1s".parse().unwrap()],
        policy: "log".parse().unwrap(),
        ..VendorConfig::default()
    };
    let (bench, lab) = (Bench::with_airports(160), lab(config).await);
    let request = Enrich::nearest(&lab).with(&["--limit", "40/1s", "--concurrency", "6"]);
    let ended = killed(&bench, &request, &lab, 8, 5).await;
    ended.last.exits(0);
    let stats = lab.stats();
    bench.assert_out_is_right(160);
    assert_eq!(stats.refused, 0, "{} kills, {stats:?}", ended.kills);
}
