//! `list`, `run`, `status` and `cancel`.

use paceline_lab::{HexConfig, HexProject, HexStatus};

use crate::support::{Bench, TOKEN, hex, project};

#[tokio::test(flavor = "multi_thread")]
async fn every_project_is_listed_page_by_page() {
    let mut projects: Vec<HexProject> = (1..=230).map(HexProject::numbered).collect();
    projects[4].published = false;
    projects[5].title = "Weird\u{1b}[31m\nname".to_owned();
    let tokens = vec![TOKEN.to_owned()];
    let bench = Bench::new(HexConfig { projects, tokens, ..HexConfig::default() }).await;
    let listed = bench.ask(&["list"]).await.exits(0);
    assert_eq!(listed.stdout.lines().count(), 230);
    assert!(!listed.stdout.contains('\u{1b}'));
    let of = |number: u32| {
        listed.stdout.lines().find(|line| line.starts_with(&project(number))).unwrap()
    };
    assert!(of(5).contains("never published") && of(5).ends_with("Project 5"));
    let told = bench.ask(&["list", "--json"]).await.exits(0).json();
    let told = told["projects"].as_array().unwrap();
    assert_eq!(told.len(), 230);
    let five = told.iter().find(|one| one["id"] == project(5).as_str()).unwrap();
    assert_eq!((&five["published"], &five["title"]), (&false.into(), &"Project 5".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_looked_at_and_cancelled() {
    let bench = Bench::new(hex("60000")).await;
    let started = bench.run(&["run", &project(1), "--param", "job:number=1"]).await.exits(0);
    let line = |name: &str| {
        let found = started.stdout.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} in {started:#?}")).trim().to_owned()
    };
    let run = line("run ");
    assert!(line("url ").contains(&run));
    assert_eq!(bench.lab.hex().stats().run_list[0].run_id, run);
    bench
        .ask(&["status", &run])
        .await
        .exits(0)
        .stdout
        .contains("status RUNNING")
        .then_some(())
        .unwrap();
    let cancelled = bench.ask(&["cancel", &run, "--json"]).await.exits(0);
    assert_eq!(cancelled.json()["status"], "KILLED");
    assert_eq!(bench.lab.hex().stats().cancelled, 1);
    bench.ask(&["status", &run]).await.exits(3);
    // It is over already: the same answer, and no error.
    bench.ask(&["cancel", &run]).await.exits(0);
    // The next one is not in its way.
    bench.run(&["run", &project(2), "--param", "job:number=2", "--json"]).await.exits(0);
    assert_eq!(bench.starts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_waited_for_ends_with_its_exit_code() {
    let mut config = hex("200");
    config.projects[1].ends = HexStatus::Errored;
    config.projects[2].published = false;
    let bench = Bench::new(config).await;
    let ended = bench.run(&["run", &project(1), "--wait"]).await.exits(0);
    assert!(
        ended.stdout.starts_with("run ") && ended.stdout.ends_with("status COMPLETED\n"),
        "{ended:#?}"
    );
    let failed = bench.run(&["run", &project(2), "--wait", "--json"]).await.exits(3);
    assert_eq!(
        (failed.json()["outcome"].as_str(), failed.json()["code"].as_str()),
        (Some("failed"), Some("ERRORED"))
    );
    // Without --wait too, where nothing could be started.
    bench.run(&["run", &project(3)]).await.exits(3).told("UNPUBLISHED");
    bench.assert_no_token(&[&ended, &failed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_start_without_an_answer_is_unknown_and_settled_by_its_own_command() {
    let faults = "502-before-start:#1";
    let bench = Bench::new(crate::support::sick("50", faults)).await;
    let args = ["run", &project(1), "--param", "job:number=1", "--wait"];
    let unknown = bench.run(&args).await.exits(5);
    unknown.told("OUTCOME_UNKNOWN");
    unknown.told("--wait --state state --allow-private --settle RUN_ID|again|failed");
    let settled: Vec<&str> = args.iter().chain(&["--settle", "again"]).copied().collect();
    bench.run(&settled).await.exits(0);
    assert_eq!(bench.starts().get(&1), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_others_needs_its_project() {
    let bench = Bench::new(hex("50")).await;
    for command in ["status", "cancel"] {
        bench.ask(&[command, "0190-unknown"]).await.exits(2).told("give --project P");
        let args = [command, "0190-unknown", "--project", &project(1)];
        bench.ask(&args).await.exits(2).told("404");
    }
}
