//! The MCP Inspector's command line (`@modelcontextprotocol/inspector`) as a client that nobody here wrote: it lists every
//! tool and resource of a server that runs, and calls every one of them with arguments that are right. (issue 5,
//! acceptance 2)
//!
//! It needs the packages of `package-lock.json`, a recent node among them: Debian 12's is too old for the Inspector.
//! `scripts/test` installs them and runs this; `cargo test` alone leaves it out. By hand: `npm ci` in this folder, then
//! `cargo test -p paceline-cli --test inspector -- --nocapture`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

mod calls;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/process.rs"]
mod process;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use paceline_clock::Clock;
use process::Process;
use serde_json::{Value as Json, json};
use support::Bench;
use tokio::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/inspector/node_modules");
const KEY: &str = "key-of-the-inspector";

/// The Inspector against one server.
struct Inspector {
    bench: Bench,
    target: Vec<String>,
}

impl Inspector {
    async fn asks(&self, method: &str, more: &[&str]) -> Json {
        let mut command = Command::new(node());
        command.arg(
            Path::new(FOLDER)
                .join("@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
        );
        command.args(["--cli", "--format", "json", "--quiet"]).args(&self.target);
        command.args(["--method", method]).args(more);
        // It keeps a catalogue and keys in its user's folder.
        command.env("HOME", self.bench.path("home")).stdin(std::process::Stdio::null());
        let ended = Process::spawn(&mut command).ended().await;
        assert!(ended.code == Some(0) || method == "tools/call", "{method} {more:?}: {ended:#?}");
        serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{method} {more:?}: {error}: {ended:#?}"))
    }

    async fn calls(&self, tool: &str, arguments: &Json) -> Json {
        let arguments = arguments.to_string();
        let more = ["--tool-name", tool, "--tool-args-json", &arguments];
        let answer = self.asks("tools/call", &more).await;
        // Either way of wrapping it.
        answer.get("result").cloned().unwrap_or(answer)
    }

    async fn names(&self) -> BTreeSet<String> {
        let listed = self.asks("tools/list", &["--strict"]).await;
        let listed = listed.get("result").cloned().unwrap_or(listed);
        let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{listed:#}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The node that came with the packages.
fn node() -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let node = Path::new(FOLDER).join(format!("node-linux-{arch}/bin/node"));
    assert!(
        node.exists(),
        "the Inspector is not installed: scripts/test does it, or `npm ci` beside {FOLDER}"
    );
    node
}

async fn serve(bench: &Bench) -> (Process, String) {
    let args = ["serve", "--data", "d", "--listen", "127.0.0.1:0", "--allow-private"];
    let process = bench.start_with(&args, &[("PACELINE_API_KEY", KEY)]);
    let line = process.prints("listening on ").await;
    (process, line.trim_start_matches("listening on ").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_calls_every_tool() {
    let clock = Clock::system();
    let began = clock.now();
    let bench = Bench::new();
    let (_server, url) = serve(&bench).await;
    let header = format!("Authorization: Bearer {KEY}");
    let target = |query: &str| {
        vec![
            format!("{url}/mcp{query}"),
            "--transport".into(),
            "http".into(),
            "--header".into(),
            header.clone(),
        ]
    };
    let everything = Inspector { bench: Bench::new(), target: target("?toolsets=all") };
    let default = Inspector { bench: Bench::new(), target: target("") };

    let mut left = everything.names().await;
    let tools = left.len();
    left.extend(default.names().await);
    let mut ids = HashMap::new();
    for (tool, arguments) in calls::all(&url) {
        let arguments = calls::with_ids(&arguments, &ids);
        let inspector = if tool == calls::OTHERS { &default } else { &everything };
        let result = inspector.calls(tool, &arguments).await;
        let code = &result["structuredContent"]["error"]["code"];
        let is_truthful =
            calls::MAY_ANSWER.iter().any(|(name, wanted)| *name == tool && code == wanted);
        if !is_truthful {
            assert_ne!(result["isError"], json!(true), "{tool} {arguments}: {result:#}");
            assert_eq!(
                result["structuredContent"]["success"], true,
                "{tool} {arguments}: {result:#}"
            );
        }
        let data = &result["structuredContent"]["data"];
        let made = [&data["id"], &data["job"]["id"]].into_iter().find(|id| id.is_number());
        if let Some(id) = made {
            ids.insert(tool.trim_start_matches("hypertab_").to_owned(), id.clone());
        }
        left.remove(tool);
    }
    assert!(left.is_empty(), "tests/inspector/calls.rs has no call for {left:?}");

    let listed = default.asks("resources/list", &[]).await.to_string();
    assert!(
        listed.contains("hypertab://guide") && listed.contains("hypertab://tables"),
        "{listed}"
    );
    let templates = default.asks("resources/templates/list", &[]).await.to_string();
    assert!(templates.contains("hypertab://runs/{id}"), "{templates}");
    for uri in
        ["hypertab://guide", "hypertab://tables", "hypertab://tables/leads", "hypertab://runs/1"]
    {
        let read = default.asks("resources/read", &["--uri", uri]).await.to_string();
        assert!(read.contains(uri), "{read}");
    }
    println!("{tools} tools in {:.0} s", (clock.now() - began).as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_speaks_the_newest_revision_and_over_stdio() {
    let bench = Bench::new();
    let (_server, url) = serve(&bench).await;
    let header = format!("Authorization: Bearer {KEY}");
    let mut target =
        vec![format!("{url}/mcp"), "--transport".into(), "http".into(), "--header".into(), header];
    target.extend(["--protocol-era".into(), "modern".into()]);
    let modern = Inspector { bench: Bench::new(), target };
    let names = modern.names().await;
    assert!(names.contains("hypertab_explain_cell"));
    let result = modern.calls("hypertab_list_tables", &json!({})).await;
    assert_eq!(result["structuredContent"]["success"], true, "{result:#}");

    let data = bench.path("other").display().to_string();
    let target = vec![env!("CARGO_BIN_EXE_paceline").into(), "mcp".into(), "--data".into(), data];
    let stdio = Inspector { bench: Bench::new(), target };
    assert_eq!(stdio.names().await, names);
}
