//! What is left unfinished: gone on with, given up, or in the way; and one process for each account.

use crate::support::{Bench, hex, project, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_batch_is_in_the_way_of_another_until_it_is_resumed_or_given_up() {
    let bench = Bench::with_jobs(hex("600"), 12).await;
    let process = bench.start_batch(&["--concurrency", "4"]);
    until("it has begun", || bench.lab.hex().stats().started >= 4).await;
    process.kill().await;
    bench.write("other.csv", format!("project_id,param.job:number\n{},99\n", project(1)));

    let refused = bench.batch(&[]).await.exits(2);
    refused.told("batch 1 (jobs.csv, 12 jobs) is unfinished");
    refused.told("go on with it (paceline hex batch jobs.csv --json ");
    refused.told(" --state state --resume)");
    let other = ["batch", "other.csv", "--limit", "300/s"];
    bench.run(&other).await.exits(2).told("batch 1 (jobs.csv, 12 jobs) is unfinished");
    let resume: Vec<&str> = other.iter().chain(&["--resume"]).copied().collect();
    bench.run(&resume).await.exits(2).told("this is not the same");
    bench.run(&["run", &project(1)]).await.exits(2).told("unfinished");

    let ended = bench.batch(&["--resume"]).await.exits(0);
    bench.assert_each_once(&ended, 12);
    // Nothing is left unfinished, so this begins: CI can always say it.
    bench.run(&resume).await.exits(0);
    assert_eq!(bench.starts().get(&99), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_given_up_is_never_touched_again() {
    let bench = Bench::with_jobs(hex("600"), 12).await;
    let process = bench.start_batch(&["--concurrency", "4"]);
    until("it has begun", || bench.lab.hex().stats().started >= 4).await;
    // Their ids are on record when the polls begin.
    until("they are watched", || bench.lab.hex().stats().reads.accepted >= 12).await;
    process.kill().await;
    let started = bench.lab.hex().stats().started;
    bench.write("other.csv", format!("project_id,param.job:number\n{},99\n", project(1)));
    let ended = bench
        .run(&["batch", "other.csv", "--restart", "--limit", "300/s", "--json"])
        .await
        .exits(0);
    ended.told("batch 1 (jobs.csv, 12 jobs) is abandoned");
    ended.told("goes on at Hex (line 2)");
    assert_eq!((ended.count("total"), ended.count("triggers")), (1, 1));
    assert_eq!(bench.lab.hex().stats().started, started + 1);
    assert_eq!(bench.lab.hex().stats().cancelled, 0, "its runs are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_who_works_and_the_first_is_unharmed() {
    let bench = Bench::with_jobs(hex("1200"), 8).await;
    let process = bench.start_batch(&[]);
    until("it is at work", || bench.lab.hex().stats().started >= 3).await;
    let refused = bench.batch(&["--resume"]).await.exits(2);
    let line = refused.complaint();
    for part in ["process ", "(paceline hex batch jobs.csv)", "wait for it or stop it", "--account"]
    {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    // To look and to cancel takes no lock, and the state says the project.
    until("ids are on record", || bench.lab.hex().stats().reads.accepted >= 12).await;
    let run = bench.lab.hex().stats().run_list[0].run_id.clone();
    let status = bench.ask(&["status", &run, "--json"]).await.exits(0);
    assert_eq!(
        status.json()["project_id"],
        bench.lab.hex().stats().run_list[0].project_id.as_str()
    );
    bench.ask(&["list"]).await.exits(0);
    let ended = process.ended().await.exits(0);
    bench.assert_each_once(&ended, 8);
}

/// The hour's limit is the user's: neither a second batch nor a kill gets a fresh window.
#[tokio::test(flavor = "multi_thread")]
async fn the_limits_hold_over_batches_and_kills() {
    let mut config = hex("20..60");
    config.limits.runs.limits = vec!["10/3s".parse().unwrap()];
    config.limits.runs.policy = "log".parse().unwrap();
    let bench = Bench::with_jobs(config, 12).await;
    let limited = |flags: &[&'static str]| {
        let mut args =
            vec!["batch", "jobs.csv", "--json", "--limit", "10/3s", "--concurrency", "10"];
        args.extend(flags);
        args
    };
    let process = bench.start(&limited(&[]));
    // The whole of the first window: until the next one nothing is on its way, which a kill would leave unknown.
    until("the limit is spent", || bench.lab.hex().stats().started >= 10).await;
    process.kill().await;
    bench.run(&limited(&["--resume"])).await.exits(0);
    bench.run(&["run", &project(1), "--param", "job:number=99", "--limit", "10/3s"]).await.exits(0);
    bench.write(
        "jobs.csv",
        format!(
            "project_id,param.job:number\n{}",
            (20..28).map(|job| format!("{},{job}\n", project(1))).collect::<String>()
        ),
    );
    let ended = bench.run(&limited(&[])).await.exits(0);
    assert_eq!(ended.count("throttled"), 0);
    let stats = bench.lab.hex().stats();
    assert_eq!((stats.runs.refused, stats.started, stats.double_started), (0, 21, 0));
    assert!(stats.runs.limits[0].busiest <= 10);
}
