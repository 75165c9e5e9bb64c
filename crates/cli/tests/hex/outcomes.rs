//! Acceptance 4: each way to end has a word of its own in the table, in JSON and as an exit code.

use paceline_lab::{HexConfig, HexStatus};

use crate::support::{Bench, codes, hex, job_of, project, sick, until};

/// Project 1 works, 2 is not published, 3 ends ERRORED, 4 KILLED, 5 without a kernel, 6 never ends, 7 never begins, 8 may not
/// be touched.
fn mixed() -> HexConfig {
    let mut config = hex("50");
    let ends = [
        (3, HexStatus::Errored),
        (4, HexStatus::Killed),
        (5, HexStatus::UnableToAllocateKernel),
        (6, HexStatus::Running),
        (7, HexStatus::Pending),
    ];
    for (number, end) in ends {
        config.projects[number - 1].ends = end;
    }
    config.projects[1].published = false;
    config.projects[7].forbidden = true;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_has_its_own_word() {
    let bench = Bench::new(mixed()).await;
    let rows: String = (1..=8).map(|number| format!("{}\n", project(number))).collect();
    bench.write(
        "jobs.csv",
        format!("project_id\n{rows}{}\n", "00000000-0000-4000-8000-00000000dead"),
    );
    let flags = ["--stuck-after", "700ms", "--pending-max", "700ms", "--concurrency", "10"];
    let ended = bench.batch(&flags).await.exits(3);
    let wanted = [
        (2, "completed", "COMPLETED", None),
        (3, "failed", "FAILED", Some("UNPUBLISHED")),
        (4, "failed", "ERRORED", Some("ERRORED")),
        (5, "failed", "KILLED", Some("KILLED")),
        (6, "failed", "UNABLE_TO_ALLOCATE_KERNEL", Some("NO_KERNEL")),
        (7, "failed", "KILLED", Some("STUCK")),
        (8, "failed", "KILLED", Some("STUCK")),
        (9, "failed", "FAILED", Some("HTTP_STATUS")),
        (10, "failed", "FAILED", Some("HTTP_STATUS")),
    ];
    let out = bench.read("jobs.runs.csv");
    for (line, outcome, status, code) in wanted {
        let job = job_of(&ended, line);
        assert_eq!(
            (job["outcome"].as_str(), job["status"].as_str(), job["code"].as_str()),
            (Some(outcome), Some(status), code),
            "{job}"
        );
        let row = out.lines().nth(line as usize - 1).unwrap();
        assert!(row.contains(&format!(",{status},")), "{row}");
        if let Some(code) = code {
            assert!(row.contains(&format!("{code}: ")), "{row}");
            ended.told(&format!("line {line:<5} failed   {code} project"));
        }
    }
    ended.told("jobs         9 (1 completed, 8 failed)");
    ended.told("--retry-failed starts the failed jobs again");
    assert_eq!(bench.lab.hex().stats().cancelled, 2, "what was stuck was cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_failed_fifty_are_told_and_the_rest_is_counted() {
    let bench = Bench::new(mixed()).await;
    let rows: String = (0..60).map(|_| format!("{}\n", project(2))).collect();
    bench.write("jobs.csv", format!("project_id\n{rows}"));
    let ended = bench.batch(&[]).await.exits(3);
    assert_eq!(ended.count("failed"), 60);
    let told = ended.stderr.lines().filter(|line| line.contains("UNPUBLISHED")).count();
    assert_eq!(told, 50);
    ended.told("and 10 more that did not complete");
    assert_eq!(bench.read("jobs.runs.csv").matches("UNPUBLISHED: ").count(), 60);
    assert_eq!(bench.lab.hex().stats().started, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_waited_out_attached_to_or_failed() {
    for (policy, exit, starts) in [("wait", 0, 3), ("attach", 0, 1), ("fail", 3, 1)] {
        let bench = Bench::new(sick("400", "409-on-overlap:1")).await;
        let row = |job: u32| format!("{},{job}\n", project(1));
        bench.write(
            "jobs.csv",
            format!("project_id,param.job:number\n{}{}{}", row(0), row(1), row(2)),
        );
        let ended = bench.batch(&["--on-conflict", policy]).await.exits(exit);
        assert_eq!(bench.starts().len(), starts, "{policy}: {ended:#?}");
        if policy == "fail" {
            assert_eq!(codes(&ended).get("CONFLICT"), Some(&2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kernel_left_is_waited_for() {
    let bench = Bench::with_jobs(HexConfig { kernels: Some(2), ..hex("150") }, 10).await;
    let ended = bench.batch(&["--concurrency", "6"]).await.exits(0);
    bench.assert_each_once(&ended, 10);
    let stats = bench.lab.hex().stats();
    assert!(stats.kernels_refused > 0 && stats.kernels_busiest <= 2, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_started_again_only_when_asked() {
    let bench = Bench::with_jobs(sick("50", "errored:#2..3"), 6).await;
    let first = bench.batch(&[]).await.exits(3);
    assert_eq!((first.count("completed"), first.count("failed")), (4, 2));
    let again = bench.batch(&["--retry-failed"]).await.exits(0);
    assert_eq!(
        (again.count("completed"), again.count("failed"), again.count("triggers")),
        (6, 0, 2)
    );
    assert!(!bench.read("jobs.runs.csv").contains("ERRORED"));
    bench.write("other.csv", format!("project_id\n{}\n", project(1)));
    let other = ["batch", "other.csv", "--retry-failed"];
    bench.run(&other).await.exits(2).told("--retry-failed is for the last batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_runs_alone_unless_told_otherwise() {
    for (flags, cancelled) in
        [(&["--concurrency", "4"][..], 0), (&["--cancel-on-interrupt", "--concurrency", "4"], 4)]
    {
        let bench = Bench::with_jobs(hex("2500"), 8).await;
        let process = bench.start_batch(flags);
        until("four runs go on", || bench.lab.hex().stats().started == 4).await;
        // Their ids are on record when the polls begin.
        until("they are watched", || bench.lab.hex().stats().reads.accepted >= 12).await;
        process.interrupt().await;
        let ended = process.ended().await.exits(130);
        ended.told("stopping batch 1");
        ended.told("--resume goes on with it");
        assert_eq!(
            (ended.count("open"), ended.json()["paused_reason"].as_str()),
            (8, Some("interrupted"))
        );
        assert_eq!(bench.lab.hex().stats().cancelled, cancelled);
        assert!(!bench.path("jobs.runs.csv").exists());

        let ended = bench.batch(&["--resume", "--concurrency", "8"]).await;
        assert_eq!(codes(&ended).get("KILLED").copied().unwrap_or_default(), cancelled);
        assert_eq!(bench.starts().values().max(), Some(&1), "none was started twice");
        assert_eq!(bench.starts().len(), 8);
    }
}
