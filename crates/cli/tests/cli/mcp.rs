//! `paceline mcp`: an agent's program starts it and speaks to it on stdin and stdout.

use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use crate::process::{Ended, Process};
use crate::support::{Bench, lab, until};

const KEY: &str = "key-of-this-test";

/// A `paceline mcp` and the client that started it.
struct Speaking {
    process: Process,
    stdin: ChildStdin,
    asked: u64,
}

impl Speaking {
    async fn start(bench: &Bench, args: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut process = bench.start_with(args, settings);
        let stdin = process.stdin();
        let mut speaking = Self { process, stdin, asked: 0 };
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let answer = speaking.ask("initialize", params).await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "paceline", "{answer:#}");
        speaking
            .say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string())
            .await;
        speaking
    }

    async fn say(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, params: Json) -> Json {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.say(&message.to_string()).await;
        let id = format!("\"id\":\"{id}\"");
        until("there is an answer", || self.process.printed(&id) > 0).await;
        let rest = self.process.prints(&id).await;
        // The line from the id on: the members before it are the version only.
        serde_json::from_str(&format!("{{{rest}")).unwrap()
    }

    async fn call(&mut self, tool: &str, arguments: Json) -> Json {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
        answer["result"].clone()
    }

    async fn data(&mut self, tool: &str, arguments: Json) -> Json {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result:#}");
        result["structuredContent"]["data"].clone()
    }

    /// Closes stdin, as a client does that is done.
    async fn leave(self) -> Ended {
        drop(self.stdin);
        self.process.ended().await
    }
}

async fn leads(client: &mut Speaking) {
    let columns = json!([{"name": "email", "type": "email"}]);
    client.data("hypertab_create_table", json!({"name": "leads", "columns": columns})).await;
    let rows: Vec<Json> = (0..40).map(|n| json!({"email": format!("{n}@example.com")})).collect();
    client.data("hypertab_insert_rows", json!({"table": "leads", "rows": rows})).await;
}

async fn serve(bench: &Bench) -> (Process, String) {
    let args = ["serve", "--data", "d", "--listen", "127.0.0.1:0"];
    let process = bench.start_with(&args, &[("PACELINE_API_KEY", KEY)]);
    let line = process.prints("listening on ").await;
    (process, line.trim_start_matches("listening on ").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_on_a_directory_and_leaves() {
    let bench = Bench::new();
    let mut client = Speaking::start(&bench, &["mcp", "--data", "d"], &[]).await;
    leads(&mut client).await;
    // What is no JSON is answered or dropped, and the conversation goes on.
    client.say("hello?").await;
    let wrong = client.call("hypertab_query_rows", json!({"table": "laeds"})).await;
    assert_eq!(wrong["structuredContent"]["error"]["did_you_mean"], "leads", "{wrong:#}");
    let guide = client.ask("resources/read", json!({"uri": "hypertab://guide"})).await;
    assert!(guide["result"]["contents"][0]["text"].as_str().unwrap().contains("Rate limits"));
    let ended = client.leave().await.exits(0);
    let is_message = |line: &str| serde_json::from_str::<Json>(line).unwrap()["jsonrpc"] == "2.0";
    assert!(ended.stdout.lines().all(is_message), "{ended:#?}");

    let args = ["mcp", "--data", "d", "--toolsets", "all"];
    let mut client = Speaking::start(&bench, &args, &[]).await;
    let tools = client.ask("tools/list", json!({})).await["result"]["tools"].to_string();
    assert!(tools.contains("hypertab_list_runs") && !tools.contains("hypertab_call_operation"));
    let count = client.data("hypertab_count_rows", json!({"table": "leads"})).await;
    assert_eq!(count["count"], 40, "the directory is where it was left");
    client.leave().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_at_work_stops_in_order_and_goes_on_at_the_next_start() {
    let bench = Bench::new();
    let vendor = lab(paceline_lab::VendorConfig::default()).await;
    let args = ["mcp", "--data", "d", "--allow-private"];
    for stops_by_signal in [true, false] {
        let mut client = Speaking::start(&bench, &args, &[]).await;
        if stops_by_signal {
            leads(&mut client).await;
            let url = format!("http://{}/echo?id={{{{email}}}}", vendor.addr());
            let column = json!({
                "table": "leads", "name": "near", "type": "json", "kind": "http",
                "config": {"url": url}, "rate_limit": "gentle",
            });
            client.data("hypertab_add_smart_column", column).await;
            client.data("hypertab_run_column", json!({"table": "leads", "column": "near"})).await;
        } else {
            client.process.notes("run 1 goes on where it stood").await;
        }
        let served = vendor.stats().served;
        until("calls are made", || vendor.stats().served > served).await;
        let ended = if stops_by_signal {
            client.process.interrupt().await;
            client.process.ended().await
        } else {
            client.leave().await
        };
        ended.exits(0);
    }
    assert_eq!(vendor.stats().duplicates, 0, "what was called is not called again");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_run_by_themselves_do_so_and_stop_with_the_process() {
    let bench = Bench::new();
    let mut client = Speaking::start(&bench, &["mcp", "--data", "d"], &[]).await;
    let columns = json!([{"name": "n", "type": "number"}]);
    client.data("hypertab_create_table", json!({"name": "t", "columns": columns})).await;
    let column = json!({
        "table": "t", "name": "twice", "type": "number", "kind": "formula",
        "config": {"formula": "n * 2", "auto_run": "on_insert"},
    });
    client.data("hypertab_add_smart_column", column).await;
    let rows = json!([{"n": 1}, {"n": 2}]);
    client.data("hypertab_insert_rows", json!({"table": "t", "rows": rows})).await;
    let ask = json!({"table": "t", "where": {"twice": {"is_not_null": true}}});
    let clock = paceline_clock::Clock::system();
    for tries in 0.. {
        if client.data("hypertab_count_rows", ask.clone()).await["count"] == 2 {
            break;
        }
        assert!(tries < 200, "nobody runs the column");
        clock.sleep(std::time::Duration::from_millis(50)).await;
    }
    client.process.interrupt().await;
    client.process.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_gone_through() {
    let bench = Bench::new();
    let (server, url) = serve(&bench).await;
    bench
        .run(&["mcp", "--data", "d"])
        .await
        .exits(2)
        .complaint()
        .contains("--url")
        .then_some(())
        .expect("it says --url");

    bench.write("key.txt", format!("{KEY}\n"));
    let args = ["mcp", "--url", &url, "--key-file", "key.txt", "--toolsets", "runs"];
    let mut client = Speaking::start(&bench, &args, &[]).await;
    let settings = [("PACELINE_URL", url.as_str()), ("PACELINE_API_KEY", KEY)];
    let mut other = Speaking::start(&bench, &["mcp"], &settings).await;
    leads(&mut client).await;
    let tools = client.ask("tools/list", json!({})).await["result"]["tools"].to_string();
    assert!(tools.contains("hypertab_list_runs"));
    let tools = other.ask("tools/list", json!({})).await["result"]["tools"].to_string();
    assert!(!tools.contains("\"hypertab_list_runs\""));
    let count = other.data("hypertab_count_rows", json!({"table": "leads"})).await;
    assert_eq!(count["count"], 40, "both see the same tables");
    let wrong = other.call("hypertab_query_rows", json!({"table": "laeds"})).await;
    assert_eq!(
        (&wrong["isError"], &wrong["structuredContent"]["error"]["code"]),
        (&json!(true), &json!("TABLE_NOT_FOUND"))
    );
    let guide = other.ask("resources/read", json!({"uri": "hypertab://guide"})).await;
    assert!(guide["result"]["contents"][0]["text"].is_string());
    let missing = other.ask("resources/read", json!({"uri": "hypertab://runs/9"})).await;
    assert!(missing["error"]["message"].as_str().unwrap().contains("no run 9"), "{missing:#}");

    server.interrupt().await;
    server.ended().await.exits(0);
    let away = client.call("hypertab_list_tables", json!({})).await;
    assert_eq!(away["isError"], true);
    assert!(away["content"][0]["text"].as_str().unwrap().contains("paceline serve"), "{away:#}");
    client.leave().await.exits(0);
    other.process.interrupt().await;
    other.process.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_told_before_anything_is_spoken() {
    let bench = Bench::new();
    let (_server, url) = serve(&bench).await;
    bench.write("wrong.txt", "another-key");
    bench.write("empty.txt", "\n");
    let cases: [(&[&str], &str); 8] = [
        (&["mcp"], "--data"),
        (&["mcp", "--url", &url], "--key-file"),
        (&["mcp", "--url", &url, "--key-file", "wrong.txt"], "HTTP 401"),
        (&["mcp", "--url", &url, "--key-file", "empty.txt"], "empty"),
        (&["mcp", "--url", &url, "--key-file", "none.txt"], "none.txt"),
        (&["mcp", "--url", "http://127.0.0.1:1", "--key-file", "wrong.txt"], "cannot reach"),
        (&["mcp", "--url", &url, "--data", "e"], "cannot be used with"),
        (&["mcp", "--data", "e", "--toolsets", "runz"], "did you mean \"runs\""),
    ];
    for (args, words) in cases {
        let ended = bench.run(args).await.exits(2);
        assert!(ended.complaint().contains(words), "{args:?}: {ended:#?}");
        assert_eq!(ended.stdout, "");
    }
}
