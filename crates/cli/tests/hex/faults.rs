//! Acceptance 2: lost answers, failing polls, bursts of 429, kill -9. Every job exactly one run, or unknown and listed.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_lab::HexConfig;

use crate::process::Ended;
use crate::support::{Bench, job_of, project, sick};

const FAULTS: &str = "drop-after-start:0.08,502-after-start:0.08,504-after-start:0.03,garbled-after-start:0.03,\
                      429-on-start=1:#5..7,429-on-start=1:#30..33,500-on-read:0.08,429-on-read=1:#60..64,drop-on-read:0.03";

/// Starts the batch and kills it, so many times, then lets it end. Answers how many kills found it at work.
async fn killed(bench: &Bench, kills: u64, random: &Random) -> (u64, Ended) {
    let mut at_work = 0;
    for _ in 0..kills {
        let mut process = bench.start_batch(&["--resume", "--concurrency", "8", "--retries", "8"]);
        Clock::system().sleep(Duration::from_millis(150 + random.next_u64() % 1_500)).await;
        at_work += u64::from(process.is_running());
        process.kill().await;
    }
    (at_work, bench.batch(&["--resume", "--concurrency", "8", "--retries", "8"]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_jobs_over_every_fault_and_five_kills_start_once_each() {
    for seed in [1, 2] {
        let random = Random::seeded(seed);
        // A slow network, so that kills find starts on their way.
        let net = "5..60".parse().unwrap();
        let config = HexConfig { seed, net, ..sick("100..800", FAULTS) };
        let bench = Bench::with_jobs(config, 60).await;
        let (at_work, ended) = killed(&bench, 5, &random).await;
        assert!(at_work >= 3, "only {at_work} kills found it at work");
        assert!(matches!(ended.code, Some(0 | 5)), "{ended:#?}");
        bench.assert_each_once(&ended, 60);
        let faults = bench.lab.hex().stats().faults;
        for kind in ["drop-after-start", "502-after-start", "429-on-start", "500-on-read"] {
            assert!(faults.contains_key(kind), "{kind} never struck: {faults:?}");
        }
        bench.assert_no_token(&[&ended]);
    }
}

/// Without kills the recipe finds every run: nothing is left unknown.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_alone_leave_nothing_unknown() {
    let faults = "drop-after-start:0.2,502-after-start:0.2,500-on-read:0.1";
    let bench = Bench::with_jobs(sick("100..400", faults), 30).await;
    let ended = bench.batch(&["--concurrency", "8"]).await.exits(0);
    bench.assert_each_once(&ended, 30);
}

/// A run that shows in no listing before everybody has stopped looking.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_nobody_can_find_is_unknown_until_a_person_settles_it() {
    let faults = "drop-after-start:#2,late-in-list=4000:#2";
    let bench = Bench::with_jobs(sick("50", faults), 4).await;
    let ended = bench.batch(&["--concurrency", "1"]).await.exits(5);
    bench.assert_each_once(&ended, 4);
    assert_eq!((ended.count("completed"), ended.count("unknown")), (3, 1));
    let out = bench.read("jobs.runs.csv");
    assert!(out.lines().nth(2).unwrap().contains(",UNKNOWN,"), "{out}");

    // Nothing else begins meanwhile, and nothing is settled by a slip.
    bench.batch(&[]).await.exits(2).told("unfinished");
    bench.batch(&["--settle", "2=again"]).await.exits(2).told("those lines are: 3");
    assert_eq!(bench.lab.hex().stats().started, 4);

    // Its run is looked for again, and now it is there.
    let run = bench
        .lab
        .hex()
        .stats()
        .run_list
        .iter()
        .find(|run| run.input_params.as_ref().is_some_and(|params| params["job"] == 1))
        .unwrap()
        .run_id
        .clone();
    let settled = bench.batch(&["--settle", &format!("3={run}")]).await.exits(0);
    assert_eq!(settled.count("triggers"), 0, "nothing was started again");
    bench.assert_each_once(&settled, 4);
    assert!(bench.read("jobs.runs.csv").contains(&run));
    // It is over: the same file is a new batch from here on.
    assert_eq!(bench.batch(&[]).await.exits(0).count("triggers"), 4);
}

/// Somebody else starts a run of the same project in the very moment: which one is ours cannot be told.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_that_it_may_be_neither_is_taken() {
    let bench = Bench::with_jobs(sick("50", "drop-after-start:#1,foreign:#1"), 1).await;
    let ended = bench.batch(&[]).await.exits(5);
    bench.assert_each_once(&ended, 1);
    let job = job_of(&ended, 2);
    for run in bench.lab.hex().stats().run_list {
        assert!(job["error"].as_str().unwrap().contains(&run.run_id), "{job}");
    }
    assert_eq!(job["run_id"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_job_that_is_given_up_is_never_looked_at_again() {
    let bench = Bench::with_jobs(sick("50", "502-before-start:#1,502-before-start:#4"), 3).await;
    let ended = bench.batch(&["--concurrency", "1"]).await.exits(5);
    assert_eq!(ended.count("unknown"), 1);
    bench.write("jobs.csv", format!("project_id,param.job:number\n{},9\n", project(1)));
    let other = bench.batch(&["--restart"]).await.exits(5);
    assert_eq!((other.count("total"), other.count("unknown")), (1, 1));
    // Only this batch's job is settled and looked at.
    let settled = bench.batch(&["--settle", "2=again"]).await.exits(0);
    assert_eq!((settled.count("completed"), settled.count("triggers")), (1, 1));
    assert_eq!(bench.starts().get(&0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_job_is_started_again_or_failed_if_a_person_says_so() {
    let faults = "502-before-start:#1,502-before-start:#3";
    let bench = Bench::with_jobs(sick("50", faults), 4).await;
    let ended = bench.batch(&["--concurrency", "1"]).await.exits(5);
    assert_eq!((ended.count("completed"), ended.count("unknown")), (2, 2));
    let settled = bench.batch(&["--settle", "2=again", "--settle", "4=failed"]).await.exits(3);
    assert_eq!((settled.count("completed"), settled.count("failed")), (3, 1));
    assert_eq!(bench.starts().values().max(), Some(&1));
    let again = bench.batch(&["--retry-failed"]).await.exits(0);
    assert_eq!((again.count("completed"), again.count("triggers")), (4, 1));
    assert_eq!(bench.starts().len(), 4);
}
