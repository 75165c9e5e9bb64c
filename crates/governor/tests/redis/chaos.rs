//! A minute and a half of everything that goes wrong, from a seed: nothing may be refused, and the calls go on.

use std::process::Command;
use std::time::Duration;

use paceline_clock::Random;

use crate::judge::Judge;
use crate::server::Server;
use crate::worker::Worker;

const LIMITS: [&str; 2] = ["50/s", "150/5s"];
const STEPS: usize = 30;

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

fn start(number: usize, server: &Server, judge: &Judge) -> Worker {
    // Shares of processes that died stay kept free for a while; a tenth each leaves room for four of them.
    Worker::start(&format!("p{number}"), server, judge, &LIMITS, 0.1, 15_000)
}

/// One thing that goes wrong; answers what it was.
async fn strike(
    random: &Random,
    server: &mut Server,
    workers: &mut [Worker],
    judge: &Judge,
    next: &mut usize,
) -> String {
    let who = (random.next_u64() % workers.len() as u64) as usize;
    let pause = Duration::from_millis(200 + random.next_u64() % 1_000);
    match random.next_u64() % 6 {
        0 => {
            workers[who].kill();
            workers[who] = start(*next, server, judge);
            *next += 1;
            "a process dies and a new one comes".to_owned()
        }
        // Not longer than lease and grace last: see "What it stands on".
        1 => {
            signal("-STOP", workers[who].id());
            judge.pause(pause).await;
            signal("-CONT", workers[who].id());
            format!("a process stands still for {pause:?}")
        }
        2 => {
            let pause = 3 * pause;
            signal("-STOP", server.id());
            judge.pause(pause).await;
            signal("-CONT", server.id());
            format!("the server stands still for {pause:?}")
        }
        3 => {
            redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
            "the server forgets everything".to_owned()
        }
        4 => {
            server.kill();
            judge.pause(pause).await;
            server.run();
            format!("the server dies and comes back after {pause:?}")
        }
        _ => {
            let mut connection = server.connection();
            redis::cmd("CLIENT")
                .arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .exec(&mut connection)
                .unwrap();
            "all connections break".to_owned()
        }
    }
}

#[tokio::test]
#[ignore = "two minutes of real time: cargo test -p paceline-governor --features redis --test redis -- --ignored chaos --nocapture"]
async fn whatever_dies_stands_still_or_forgets_nothing_is_refused() {
    for seed in [1, 2] {
        let random = Random::seeded(seed);
        let mut server = Server::start();
        let judge = Judge::open(&LIMITS, "1..15").await;
        let mut next = 4;
        let mut workers: Vec<_> = (0..next).map(|n| start(n, &server, &judge)).collect();
        judge.accepted(100, 30).await;
        for step in 0..STEPS {
            let what = strike(&random, &mut server, &mut workers, &judge, &mut next).await;
            judge.pause(Duration::from_millis(random.next_u64() % 4_000)).await;
            let tally = judge.tally();
            println!("{step}: {what}: {} accepted", tally.accepted());
            assert_eq!(tally.refused, 0, "seed {seed}, step {step}: {what}");
        }
        let before = judge.tally().accepted();
        let after = judge.accepted(before + 100, 60).await;
        println!("| seed {seed} | {} accepted | {} refused |", after.accepted(), after.refused);
        assert_eq!(after.refused, 0);
    }
}
