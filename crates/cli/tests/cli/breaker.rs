//! A vendor that is ill: what passes is waited out, what does not stops the run before it costs much.

use paceline_lab::VendorConfig;

use crate::support::{Bench, Enrich, SOON, faults, lab, sick_lab, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_only_fails_is_called_twenty_times_at_most() {
    let (bench, lab) = (Bench::with_airports(60), sick_lab("500:1").await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--json"]);
    let paused = bench.enrich(&request).await.exits(4);
    assert!((10..=20).contains(&lab.stats().accepted), "{:?}", lab.stats());
    for text in ["paused: breaker", "HTTP 500", "Mend the cause", "--retry-failed"] {
        paused.told(text);
    }
    assert!(paused.json()["paused_reason"].as_str().unwrap().contains("HTTP 500"));
    assert_eq!(bench.names(), ["airports.csv", "out.csv.paceline"], "OUT is not half written");

    // Still ill: it pauses again, and does not go on where it was stopped for good.
    bench.enrich(&request).await.exits(4);
    assert!(lab.stats().accepted <= 40);

    lab.vendor().set_faults("none".parse().unwrap());
    let mended = bench.enrich(&request.with(&["--retry-failed"])).await.exits(0);
    assert_eq!((mended.count("completed"), mended.count("failed")), (60, 0));
    bench.assert_out_is_right(60);
    assert_eq!(lab.stats().duplicates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_cells_are_told_and_only_they_are_called_again() {
    // 400 is the row's own fault and is not tried again; too seldom to trip the breaker.
    let (bench, lab) = (Bench::with_airports(100), sick_lab("400:0.15").await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--json"]);
    let first = bench.enrich(&request).await.exits(3);
    let failed = first.count("failed");
    assert_eq!((failed, first.count("completed")), (faults(&lab), 100 - failed));
    assert!(failed > 0);
    first.told("--retry-failed");
    assert_eq!(bench.read("out.csv").lines().count(), 101, "the rest is written");

    lab.vendor().set_faults("none".parse().unwrap());
    let plain = bench.enrich(&request).await.exits(3);
    assert_eq!((plain.count("calls"), lab.stats().accepted), (0, 100));
    plain.told("--retry-failed");

    let again = bench.enrich(&request.with(&["--retry-failed"])).await.exits(0);
    assert_eq!((again.count("calls"), again.count("completed")), (failed, 100));
    bench.assert_out_is_right(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_stop_after_three_in_a_row() {
    let (bench, lab) = (Bench::with_airports(60), sick_lab("401:1").await);
    let request = Enrich::nearest(&lab).with(&[
        "--rate",
        SOON,
        "--header",
        "Authorization: Bearer wrong",
        "--json",
    ]);
    let paused = bench.enrich(&request).await.exits(4);
    // Three in a row, and what was in flight beside the third: five more at six at once.
    assert!((3..=8).contains(&lab.stats().accepted), "{:?}", lab.stats());
    assert_eq!(paused.count("failed"), 0, "no cell is given up for a key that is wrong");
    paused.told("paused: breaker");
    paused.told("HTTP 401");

    lab.vendor().set_faults("none".parse().unwrap());
    bench.enrich(&request).await.exits(0);
    bench.assert_out_is_right(60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_ends_complete() {
    let (bench, lab) = (Bench::with_airports(80), sick_lab("429:1@0s..3s").await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--limit", "50/s", "--json"]);
    let ended = bench.enrich(&request).await.exits(0);
    assert_eq!((ended.count("completed"), ended.count("failed")), (80, 0));
    assert_eq!(ended.count("throttled"), faults(&lab));
    // It cools down instead of hammering: far fewer calls than the 150 and more that the limit alone allows.
    assert!((1..75).contains(&faults(&lab)), "{:?}", lab.stats());
    bench.assert_out_is_right(80);
}

/// The first call is told to wait two seconds. The others do not know, and must not be sent either.
async fn retry_after_is_obeyed(law: &str, from_ms: u64, to_ms: u64) {
    let (bench, lab) = (Bench::with_airports(6), sick_lab(law).await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--concurrency", "1", "--json"]);
    let process = bench.start_enrich(&request);
    until("the first call is refused", || faults(&lab) == 1).await;
    lab.vendor().set_faults("none".parse().unwrap());
    until("the next call comes", || lab.stats().accepted > 1).await;
    let stats = lab.stats();
    let gap = stats.last_call_ms.unwrap() - stats.first_call_ms.unwrap();
    assert!((from_ms..to_ms).contains(&gap), "called again after {gap} ms");
    let ended = process.ended().await.exits(0);
    assert_eq!((ended.count("calls"), ended.count("throttled")), (7, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_in_seconds_holds_every_call() {
    retry_after_is_obeyed("429-after=2:1", 2_000, 3_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_as_a_date_holds_every_call() {
    // A date has whole seconds and is rounded up.
    retry_after_is_obeyed("429-date=2:1", 2_000, 4_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_that_says_when_is_obeyed_too() {
    retry_after_is_obeyed("503-after=2:1", 2_000, 3_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_now_and_then_is_retried_until_it_goes_right() {
    for law in
        ["500:0.1", "reset:0.1", "truncated:0.1", "drop:0.1", "hang:0.05", "502:0.05,503:0.05"]
    {
        let (bench, lab) = (Bench::with_airports(100), sick_lab(law).await);
        let request =
            Enrich::nearest(&lab).with(&["--rate", SOON, "--timeout-ms", "300", "--json"]);
        let ended = bench.enrich(&request).await.exits(0);
        assert_eq!((ended.count("completed"), ended.count("failed")), (100, 0), "{law}");
        assert!(faults(&lab) > 0, "{law} never struck");
        assert_eq!(
            (ended.count("retries"), ended.count("calls")),
            (faults(&lab), lab.stats().accepted),
            "{law}"
        );
        bench.assert_out_is_right(100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_no_values_fail_their_cells_and_no_more() {
    for (law, what) in [("notjson:0.2", "not JSON"), ("huge:0.05", "long")] {
        let (bench, lab) = (Bench::with_airports(60), sick_lab(law).await);
        let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--json"]);
        let ended = bench.enrich(&request).await.exits(3);
        assert_eq!(ended.count("failed"), faults(&lab), "{what}");
        assert_eq!(ended.count("completed") + ended.count("failed"), 60, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_home_pauses_with_a_reason() {
    let (bench, lab) = (Bench::with_airports(40), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON]);
    lab.shutdown().await;
    let paused = bench.enrich(&request).await.exits(4);
    paused.told("no connection");
}
