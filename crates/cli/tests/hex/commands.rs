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
    unknown.told("--param job:number=1 --wait ");
    unknown.told(" --state state --settle RUN_ID|again|failed");
    let settled: Vec<&str> = args.iter().chain(&["--settle", "again"]).copied().collect();
    bench.run(&settled).await.exits(0);
    assert_eq!(bench.starts().get(&1), Some(&1));
}

/// Without --state it is the account's own place below the user's, for the user alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_has_a_place_of_its_own_for_each_account() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new(hex("50")).await;
    let host = format!("127.0.0.1_{}", bench.lab.addr().port());
    let project = project(1);
    for (flags, folder) in [(&[][..], host.clone()), (&["--account", "ann"], format!("{host}-ann"))]
    {
        let args = ["run", &project, "--allow-private"];
        let args: Vec<&str> = args.iter().chain(flags).copied().collect();
        bench.start_plain(&args, Some(TOKEN)).ended().await.exits(0);
        let state = bench.path(".local/state/paceline/hex").join(folder);
        let mode = std::fs::metadata(&state).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", state.display());
    }
    // The state of one Hex is no other Hex's.
    let args = ["run", &project, "--base-url", "https://hex.example.com", "--state"];
    let state = format!(".local/state/paceline/hex/{host}");
    let args: Vec<&str> = args.into_iter().chain([state.as_str()]).collect();
    let refused = bench.start_plain(&args, Some(TOKEN)).ended().await.exits(2);
    refused.told("not of https://hex.example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flag_is_described() {
    let bench = Bench::new(hex("50")).await;
    for command in ["list", "run", "batch", "status", "cancel"] {
        let help = bench.start_plain(&[command, "--help"], None).ended().await.exits(0).stdout;
        for shared in ["--token-file", "--token-command", "--base-url", "--json"] {
            assert!(help.contains(shared), "{shared} is not in the help of {command}");
        }
        let mut lines = help.lines().peekable();
        while let Some(line) = lines.next() {
            if line.trim_start().starts_with('-') {
                let beside = line
                    .trim_start()
                    .split_once("  ")
                    .is_some_and(|(_, text)| !text.trim().is_empty());
                let below = lines.peek().is_some_and(|next| next.starts_with("          "));
                assert!(beside || below, "{command}: {line:?} is not described");
            }
        }
    }
    // What is rare is not in the short help.
    let short = bench.start_plain(&["batch", "-h"], None).ended().await.exits(0).stdout;
    assert!(!short.contains("--kernels") && short.contains("--plan"), "{short}");
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
