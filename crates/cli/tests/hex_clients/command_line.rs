//! The two command lines.

use crate::process::Ended;
use crate::{P1, assert_nothing_twice_and_nothing_refused, client, hex, run};
use paceline_lab::Running;

const PROGRAMS: [&str; 2] = ["hex-toolkit", "hex-api"];

async fn call(program: &str, lab: &Running, args: &[&str]) -> Ended {
    let mut command = client(program, lab);
    command.args(args);
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_lists_runs_waits_and_cancels() {
    for program in PROGRAMS {
        let lab = hex(|hex| hex.faults = "stuck-running:#2".parse().unwrap()).await;
        let listed = call(program, &lab, &["projects", "list", "--limit", "100"]).await.exits(0);
        assert!(listed.stdout.contains(P1) && listed.stdout.contains("Project 10"), "{listed:#?}");
        let found = call(program, &lab, &["projects", "list", "--search", "project 7"]).await;
        assert!(found.stdout.contains("Found 1 project"), "{found:#?}");
        let told =
            call(program, &lab, &["projects", "get", P1, "--include-sharing"]).await.exits(0);
        assert!(told.stdout.contains("owner@example.com"), "{told:#?}");

        let start = ["projects", "run", P1, "--input-params", r#"{"row": 1}"#];
        let waiting = [start.as_slice(), &["--wait", "--poll-interval", "1"]].concat();
        let waited = call(program, &lab, &waiting).await.exits(0);
        assert!(waited.stdout.contains("Run completed with status: COMPLETED"), "{waited:#?}");

        call(program, &lab, &["projects", "run", P1]).await.exits(0);
        let stuck = lab.hex().stats().run_list[1].run_id.clone();
        let status = call(program, &lab, &["runs", "status", P1, &stuck]).await.exits(0);
        assert!(status.stdout.contains("RUNNING"), "{status:#?}");
        call(program, &lab, &["runs", "cancel", P1, &stuck, "--yes"]).await.exits(0);
        let runs = call(program, &lab, &["runs", "list", P1]).await.exits(0);
        for part in [stuck.as_str(), "KILLED", "COMPLETED"] {
            assert!(runs.stdout.contains(part), "{program}: {part:?} is not in {runs:#?}");
        }
        assert_nothing_twice_and_nothing_refused(&lab, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_tells_a_refused_token() {
    for program in PROGRAMS {
        let lab = hex(|hex| hex.tokens = vec!["another".to_owned()]).await;
        let refused = call(program, &lab, &["projects", "list"]).await.exits(1);
        assert!(refused.stdout.contains("Authentication failed"), "{refused:#?}");
    }
}
