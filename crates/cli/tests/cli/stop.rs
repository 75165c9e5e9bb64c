//! Ctrl-C, and two commands in one place.

use paceline_lab::VendorConfig;
use tokio::io::AsyncWriteExt;

use crate::support::{Bench, Enrich, airports, lab, nearest_url, sick_lab, slow_lab, until};

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_lets_what_is_in_flight_end_and_the_next_run_goes_on() {
    let (bench, lab) = (Bench::with_airports(120), slow_lab("40..120").await);
    let request = Enrich::nearest(&lab).with(&["--limit", "100/s", "--concurrency", "8", "--json"]);
    let process = bench.start_enrich(&request);
    until("it is in the middle", || lab.stats().served >= 30).await;
    process.interrupt().await;
    let stopped = process.ended().await.exits(130);
    stopped.told("stopping: ");
    stopped.told("interrupted: run the same command again to go on");
    let done = lab.stats();
    assert!(done.served < 120, "it was stopped in the middle");
    assert_eq!((stopped.count("completed"), stopped.count("calls")), (done.served, done.served));
    assert_eq!(stopped.json()["paused_reason"], "interrupted");
    assert_eq!(bench.names(), ["airports.csv", "out.csv.paceline"], "no OUT yet");

    let ended = bench.enrich(&request).await.exits(0);
    assert_eq!(ended.count("calls"), 120 - done.served, "only the rest is called");
    assert_eq!((lab.stats().served, lab.stats().duplicates), (120, 0));
    bench.assert_out_is_right(120);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_twice_ends_at_once() {
    // Nothing ever comes back, and the time-out is 30 s.
    let (bench, lab) = (Bench::with_airports(20), sick_lab("hang:1").await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited"]);
    let process = bench.start_enrich(&request);
    until("calls are in flight", || lab.stats().served == 6).await;
    process.interrupt().await;
    process.notes("stopping: 6 calls in flight are finished first; again to stop at once").await;
    let asked = paceline_clock::Clock::system().now();
    process.interrupt().await;
    process.ended().await.exits(130).told("run the same command again to go on");
    let took = paceline_clock::Clock::system().now() - asked;
    assert!(took.as_secs() < 10, "it took {took:?}");

    // What was in flight may be called again here: it is a GET.
    lab.vendor().set_faults("none".parse().unwrap());
    bench.enrich(&request).await.exits(0);
    bench.assert_out_is_right(20);
    assert!(lab.stats().duplicates <= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_waiting_for_a_pipe_ends_and_leaves_nothing() {
    let (bench, lab) = (Bench::new(), lab(VendorConfig::default()).await);
    let request = Enrich::of("-", "out.csv", &nearest_url(&lab)).with(&["--rate", "unlimited"]);
    let mut process = bench.start_piped(&request);
    let mut stdin = process.stdin();
    stdin.write_all(airports(5).as_bytes()).await.unwrap();
    until("it has begun to read", || bench.path("out.csv.paceline").exists()).await;
    process.interrupt().await;
    process.ended().await.exits(130).complaint();
    // The pipe was open all the time.
    drop(stdin);
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(lab.stats().accepted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_command_on_the_same_out_is_refused_and_the_first_unharmed() {
    let (bench, lab) = (Bench::with_airports(480), slow_lab("30..90").await);
    // Six seconds: the second command waits for one, in case the first is just dying.
    let request = Enrich::nearest(&lab).with(&["--limit", "80/s", "--concurrency", "8", "--json"]);
    let first = bench.start_enrich(&request);
    until("the first is at work", || lab.stats().served >= 5).await;
    for second in [request.clone(), request.clone().with(&["--restart"])] {
        let refused = bench.enrich(&second).await.exits(2);
        let line = refused.complaint();
        assert!(line.contains("another paceline process") && line.contains("out.csv"), "{line}");
    }
    assert!(lab.stats().served < 480, "the first was still at work");
    let ended = first.ended().await.exits(0);
    assert_eq!((ended.count("completed"), ended.count("calls")), (480, 480));
    assert_eq!((lab.stats().served, lab.stats().duplicates), (480, 0));
    bench.assert_out_is_right(480);
}

/// Both see that there is no state yet. One of them wins, whichever, and its result is whole.
#[tokio::test(flavor = "multi_thread")]
async fn two_commands_that_start_together_make_one_result() {
    for _ in 0..3 {
        let (bench, lab) = (Bench::with_airports(60), slow_lab("30..90").await);
        let request = Enrich::nearest(&lab).with(&["--limit", "20/s"]);
        let (one, other) = (bench.start_enrich(&request), bench.start_enrich(&request));
        let (one, other) = tokio::join!(one.ended(), other.ended());
        let mut codes = [one.code, other.code];
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(2)], "{one:#?}\n{other:#?}");
        bench.assert_out_is_right(60);
        assert_eq!((lab.stats().served, lab.stats().duplicates), (60, 0));
    }
}
