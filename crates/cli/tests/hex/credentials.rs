//! Acceptance 3: a token that is revoked in the middle; and where a token comes from.

use paceline_lab::HexConfig;

use crate::support::{Bench, TOKEN, hex, project, sick};

const NEW_TOKEN: &str = "hxtp_0e30e30e30e30e30e3";

/// A Hex that revokes the token of its 40th call, and knows two.
fn rotating() -> HexConfig {
    let tokens = vec![TOKEN.to_owned(), NEW_TOKEN.to_owned()];
    HexConfig { tokens, ..sick("50..200", "rotate:#40") }
}

fn batch(flags: &[&'static str]) -> Vec<&'static str> {
    let mut args = vec![
        "batch",
        "jobs.csv",
        "--json",
        "--limit",
        "300/s",
        "--poll-limit",
        "300/s",
        "--overall-limit",
        "600/s",
        "--poll-interval",
        "100ms",
        "--allow-private",
        "--state",
        "state",
    ];
    args.extend(flags);
    args
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_rewritten_lets_the_batch_go_on() {
    let bench = Bench::with_jobs(rotating(), 20).await;
    bench.write("token", format!("{TOKEN}\n"));
    let process = bench.start_plain(&batch(&["--token-file", "token"]), None);
    crate::support::until("it is under way", || bench.lab.hex().stats().started >= 2).await;
    bench.write("token", format!("{NEW_TOKEN}\n"));
    let ended = process.ended().await.exits(0);
    bench.assert_each_once(&ended, 20);
    assert!(bench.lab.hex().stats().unauthorized >= 1, "the token was revoked");
    assert!(!ended.stdout.contains(NEW_TOKEN) && !ended.stderr.contains(NEW_TOKEN));
    bench.assert_no_token(&[&ended]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_new_token_the_batch_pauses_and_resume_completes_it() {
    let bench = Bench::with_jobs(rotating(), 20).await;
    bench.write("token", TOKEN);
    let args = batch(&["--token-file", "token"]);
    let paused = bench.start_plain(&args, None).ended().await.exits(4);
    paused.told("paused: credentials: ");
    paused.told("--resume goes on");
    assert_eq!(paused.count("failed"), 0);
    assert!(paused.count("open") > 0);
    assert!(!bench.path("jobs.runs.csv").exists());

    bench.write("token", NEW_TOKEN);
    let args = batch(&["--token-file", "token", "--resume"]);
    let ended = bench.start_plain(&args, None).ended().await.exits(0);
    bench.assert_each_once(&ended, 20);
    assert_eq!(bench.lab.hex().stats().started, 20);
    bench.assert_no_token(&[&paused, &ended]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_the_token_again_after_a_401() {
    let bench = Bench::with_jobs(rotating(), 12).await;
    bench.write("first", TOKEN);
    bench.write("then", NEW_TOKEN);
    // The first look brings the old token, any later one the new.
    let command = "cat first; cp then first";
    let ended =
        bench.start_plain(&batch(&["--token-command", command]), None).ended().await.exits(0);
    bench.assert_each_once(&ended, 12);
    assert!(!ended.stderr.contains(NEW_TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_bad_tokens_are_told_before_anything_happens() {
    let bench = Bench::with_jobs(hex("50"), 2).await;
    bench.write("empty", " \n");
    bench.write("words", "two words");
    let cases: [(&[&'static str], &[&str]); 7] = [
        (&[], &["HEX_TOKEN", "--token-file", "--token-command"]),
        (&["--token-file", "nowhere"], &["--token-file nowhere", "No such file"]),
        (&["--token-file", "empty"], &["--token-file empty", "empty"]),
        (&["--token-file", "words"], &["no token"]),
        (&["--token-command", "exit 3"], &["--token-command", "3", "by hand"]),
        (&["--token-command", "yes"], &["--token-command", "65536"]),
        (&["--token-file", "empty", "--token-command", "true"], &["cannot be used with"]),
    ];
    let before = bench.names();
    for (flags, parts) in cases {
        let ended = bench.start_plain(&batch(flags), None).ended().await.exits(2);
        let line = ended.complaint();
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} are not in: {line}");
        assert!(!line.contains("two words"));
    }
    assert_eq!(bench.names(), before);
    assert_eq!(bench.lab.hex().stats().overall.accepted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_exit_4_for_every_command() {
    let bench = Bench::with_jobs(hex("50"), 2).await;
    let project = project(1);
    let common = ["--allow-private", "--state", "state"];
    let commands: [&[&str]; 5] = [
        &["list"],
        &["run", &project],
        &["status", "r", "--project", &project],
        &["cancel", "r", "--project", &project],
        &["batch", "jobs.csv"],
    ];
    for command in commands {
        let args: Vec<&str> = command.iter().chain(&common).copied().collect();
        let ended = bench.start_plain(&args, Some("hxtp_wrong")).ended().await.exits(4);
        assert!(ended.stderr.contains("token"), "{ended:#?}");
        assert!(!ended.stderr.contains("hxtp_wrong"), "{ended:#?}");
    }
    assert_eq!(bench.lab.hex().stats().started, 0);
    // What was never sent is in nobody's way.
    bench.batch(&[]).await.exits(0);
}
