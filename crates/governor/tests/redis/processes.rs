//! Acceptance: several processes, one budget, a vendor that counts for itself; then processes and servers that die.

use std::time::Duration;

use paceline_governor::{PlanRequest, plan};

use crate::judge::{Judge, Tally};
use crate::server::Server;
use crate::worker::Worker;

const NET: &str = "1..15";
const PROCESSES: usize = 4;

fn workers(server: &Server, judge: &Judge, limits: &[&str], fallback_ms: u64) -> Vec<Worker> {
    let share = 1.0 / PROCESSES as f64;
    (0..PROCESSES)
        .map(|n| Worker::start(&format!("p{n}"), server, judge, limits, share, fallback_ms))
        .collect()
}

/// The optimum's time over the time it took, for the first `calls` calls.
fn utilisation(tally: &Tally, limits: &[&str], calls: usize) -> f64 {
    let request = PlanRequest {
        calls: calls as u64,
        limits: limits.iter().map(|limit| limit.parse().unwrap()).collect(),
        concurrency: None,
        service: Duration::ZERO,
    };
    let took = (tally.at[calls - 1] - tally.at[0]).as_secs_f64();
    plan(&request).unwrap().last_start_ms / 1e3 / took
}

async fn four_processes_saturate(limits: &[&str], calls: usize, patience_s: u64) {
    let server = Server::start();
    let judge = Judge::open(limits, NET).await;
    let workers = workers(&server, &judge, limits, 60_000);
    let tally = judge.accepted(calls, patience_s).await;
    drop(workers);
    let used = utilisation(&tally, limits, calls);
    let (questions, each_us) = server.questions();
    println!("| limits | calls | refused | seconds | of the bound | by process | script runs |");
    println!(
        "| {} | {calls} | {} | {:.2} | {:.1} % | {:?} | {questions}, {each_us} us each |",
        limits.join(" + "),
        tally.refused,
        (tally.at[calls - 1] - tally.at[0]).as_secs_f64(),
        100.0 * used,
        tally.by_caller
    );
    assert_eq!(tally.refused, 0);
    assert!(used >= 0.95, "{used}");
    let fair = tally.accepted() as f64 / PROCESSES as f64;
    assert!(
        tally.by_caller.len() == PROCESSES
            && tally.by_caller.values().all(|count| *count as f64 >= 0.8 * fair),
        "{:?}",
        tally.by_caller
    );
}

#[tokio::test]
async fn four_processes_keep_one_budget_use_it_up_and_share_it_fairly() {
    four_processes_saturate(&["50/s", "150/5s"], 600, 60).await;
}

#[tokio::test]
#[ignore = "three minutes of real time: cargo test -p paceline-governor --features redis --test redis -- --ignored full_size --nocapture"]
async fn full_size_four_processes_2400_calls_at_50_per_second_and_600_per_minute() {
    four_processes_saturate(&["50/s", "600/min"], 2_400, 400).await;
}

/// Everyone in `alive` went on between the two.
fn went_on(before: &Tally, after: &Tally, alive: &[Worker]) {
    for worker in alive {
        let count = |tally: &Tally| tally.by_caller.get(&worker.name).copied().unwrap_or(0);
        assert!(count(after) > count(before), "{} stands still: {before:?} {after:?}", worker.name);
    }
}

async fn a_process_and_then_the_server_die(limits: &[&str], stride: usize, patience_s: u64) {
    let mut server = Server::start();
    let judge = Judge::open(limits, NET).await;
    let mut workers = workers(&server, &judge, limits, 60_000);
    judge.accepted(stride, patience_s).await;

    workers.remove(0).kill();
    let killed = judge.tally();
    let after = judge.accepted(killed.accepted() + stride, patience_s).await;
    went_on(&killed, &after, &workers);
    assert_eq!(after.refused, 0, "after the kill of a process");

    server.kill();
    server.run();
    let killed = judge.tally();
    let after = judge.accepted(killed.accepted() + stride, patience_s).await;
    went_on(&killed, &after, &workers);
    assert_eq!(after.refused, 0, "after the kill of the server");

    // Both at once: nobody knows what the dead one did last.
    workers.remove(0).kill();
    server.kill();
    server.run();
    let killed = judge.tally();
    let after = judge.accepted(killed.accepted() + stride, patience_s).await;
    went_on(&killed, &after, &workers);
    println!("after three kills: {} accepted, {} refused", after.accepted(), after.refused);
    assert_eq!(after.refused, 0, "after the kill of both");
}

#[tokio::test]
async fn kill_a_process_then_the_server_then_both_and_nothing_is_refused_and_the_rest_go_on() {
    a_process_and_then_the_server_die(&["50/s", "150/5s"], 150, 60).await;
}

#[tokio::test]
#[ignore = "some minutes of real time: cargo test -p paceline-governor --features redis --test redis -- --ignored full_size --nocapture"]
async fn full_size_kills_at_50_per_second_and_600_per_minute() {
    a_process_and_then_the_server_die(&["50/s", "600/min"], 600, 400).await;
}

#[tokio::test]
async fn without_the_server_each_process_sends_its_share_after_a_silent_window_and_comes_back() {
    let limits = ["40/s", "80/2s"];
    let mut server = Server::start();
    let judge = Judge::open(&limits, NET).await;
    let workers = workers(&server, &judge, &limits, 60_000);
    judge.accepted(100, 30).await;

    server.kill();
    judge.pause(Duration::from_millis(2_000)).await;
    let silent = judge.tally();
    judge.pause(Duration::from_millis(2_000)).await;
    assert_eq!(judge.tally().accepted(), silent.accepted(), "others may hold the windows");

    let sent = judge.accepted(silent.accepted() + 200, 30).await;
    went_on(&silent, &sent, &workers);
    assert_eq!(sent.refused, 0, "four quarters are the whole");

    server.run();
    let back = judge.tally();
    let after = judge.accepted(back.accepted() + 300, 30).await;
    went_on(&back, &after, &workers);
    assert_eq!(after.refused, 0, "what was sent without the server counts when it is back");
}
