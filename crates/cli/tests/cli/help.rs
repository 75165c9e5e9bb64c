//! `--help` tells of every flag that the interface promises, and of no flag that nobody described.

use crate::support::Bench;

/// Every command with its documented flags and arguments.
const DOCUMENTED: [(&str, &[&str]); 7] = [
    ("demo", &["--json"]),
    (
        "enrich",
        &[
            "<IN>",
            "--output <OUT>",
            "-o",
            "--column <NAME>",
            "--url <TEMPLATE>",
            "--method",
            "--header <K: V>",
            "--body <TEMPLATE>",
            "--extract <JSONPATH>",
            "--rate <PRESET|JSON>",
            "--limit <N/UNIT>",
            "--concurrency <N>",
            "--shape",
            "auto",
            "burst",
            "paced",
            "counter_safe",
            "--guard <auto|strict|MS>",
            "--timeout-ms <N>",
            "--retry-failed",
            "--restart",
            "--allow-private",
            "--json",
            "Exit codes",
            "130",
        ],
    ),
    (
        "plan",
        &["--calls <N>", "--limit <N/UNIT>", "--concurrency <C>", "--service-ms <S>", "--json"],
    ),
    (
        "lab",
        &[
            "--listen",
            "--limit <N/UNIT>",
            "--policy",
            "bucket:SIZE",
            "--net-ms <LAW>",
            "--service-ms <LAW>",
            "--fault <LAW>",
            "--seed <N>",
            "KIND:CHANCE",
            "--hex <FILE>",
            "--hex-limit <GROUP:N/UNIT>",
            "--hex-policy <[GROUP:]POLICY>",
            "--hex-kernels <N>",
            "--hex-run-ms <LAW>",
            "--hex-token <TOKEN>",
            "--hex-fault <LAW>",
            "--slack-channel <ID=STATE>",
            "--webhook-secret <SECRET>",
            "drop-after-start:#3",
            "\"projects\"",
        ],
    ),
    ("hex", &["list", "run", "batch", "status", "cancel", "HEX_TOKEN", "HEX_BASE_URL", "130"]),
    ("mcp", &["--data <DIR>", "--url <URL>", "--key-file", "PACELINE_URL", "--toolsets"]),
    ("serve", &["--data <DIR>", "--store <URL>", "PACELINE_STORE", "--listen", "127.0.0.1:7223"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn help_mentions_everything_that_is_documented() {
    let bench = Bench::new();
    let overview = bench.run(&["--help"]).await.exits(0).stdout;
    for (command, flags) in DOCUMENTED {
        assert!(overview.contains(command), "{command} is not in the overview");
        let help = bench.run(&[command, "--help"]).await.exits(0).stdout;
        for flag in flags {
            assert!(help.contains(flag), "{flag:?} is not in the help of {command}:\n{help}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flag_has_a_description() {
    let bench = Bench::new();
    for (command, _) in DOCUMENTED {
        let help = bench.run(&[command, "-h"]).await.exits(0).stdout;
        // What follows the options are examples and grammars.
        let options = help.lines().skip_while(|line| *line != "Options:");
        let mut lines = options
            .take_while(|line| !line.contains(':') || !line.starts_with("Templates"))
            .peekable();
        while let Some(line) = lines.next() {
            let flag = line.trim_start();
            if !flag.starts_with('-') {
                continue;
            }
            // On the flag's own line after a gap, or on the next one.
            let beside = flag.split_once("  ").is_some_and(|(_, text)| !text.trim().is_empty());
            let below = lines.peek().is_some_and(|next| next.starts_with("          "));
            assert!(beside || below, "{command}: {flag:?} is not described");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_told() {
    let ended = Bench::new().run(&["--version"]).await.exits(0);
    assert_eq!(ended.stdout, format!("paceline {}\n", env!("CARGO_PKG_VERSION")));
}
