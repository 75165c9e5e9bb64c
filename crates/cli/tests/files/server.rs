//! `paceline serve` as a process of its own, and calls to it.

use std::process::Stdio;
use std::time::Duration;

use paceline_clock::Clock;
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const KEY: &str = "key-of-the-kill-test";
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the data of a server live.
pub(crate) struct Home {
    dir: TempDir,
    /// The address of a PostgreSQL database; else it is SQLite in the directory.
    store: Option<String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), store: None }
    }

    /// An empty database of a PostgreSQL of this process's own; none if this machine has no PostgreSQL.
    pub(crate) fn postgres() -> Option<Self> {
        let server = crate::postgres::server()?;
        Some(Self { store: Some(server.url(&server.database())), ..Self::new() })
    }
}

/// A server over a data directory; killed when dropped.
pub(crate) struct Server {
    child: Child,
    home: Home,
    base: String,
    client: Client,
}

impl Server {
    pub(crate) async fn start(home: Home) -> Self {
        paceline_engine::install_tls();
        let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
            // The lab is on this machine.
            .args(["serve", "--listen", "127.0.0.1:0", "--allow-host", "127.0.0.1", "--data"])
            .arg(home.dir.path())
            .args(home.store.iter().flat_map(|url| ["--store", url]))
            .env("PACELINE_API_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(base) = line.strip_prefix("listening on ") {
                break base.to_owned();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a client of the server under test")]
        let client = Client::builder().no_proxy().build().unwrap();
        Self { child, home, base, client }
    }

    /// Kills it without warning and answers where its data are.
    pub(crate) async fn kill(mut self) -> Home {
        self.child.kill().await.unwrap();
        self.home
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Json {
        let response = request.bearer_auth(KEY).send().await.unwrap();
        let status = response.status();
        let body: Json = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert!(status.is_success(), "{status} {body}");
        body
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Json {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Json) -> Json {
        let request = self.client.patch(format!("{}{path}", self.base));
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Calls an operation as a tool over MCP; answers what it told.
    pub(crate) async fn tool(&self, operation: &str, arguments: Json) -> Json {
        let params = json!({"name": format!("hypertab_{operation}"), "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let request = self.client.post(format!("{}/mcp?toolsets=runs", self.base));
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let answer = self.send(request.body(message.to_string())).await;
        assert!(answer["result"]["isError"] != true, "{operation}: {answer:#}");
        answer["result"]["structuredContent"].clone()
    }

    /// A run, once it is in one of these states.
    pub(crate) async fn run_in(&self, id: &Json, states: &[&str]) -> Json {
        let clock = Clock::system();
        let began = clock.now();
        loop {
            let run = self.get(&format!("/api/runs/{id}")).await["data"].clone();
            if states.contains(&run["status"].as_str().unwrap()) {
                return run;
            }
            assert!(clock.now() - began < PATIENCE, "it never came to {states:?}: {run:#}");
            clock.sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn upload(&self, path: &str, csv: String) -> Json {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("content-type", "text/csv").body(csv)).await
    }

    /// For calls that the death of the server may cut off.
    pub(crate) fn caller(&self) -> Caller {
        Caller { base: self.base.clone(), client: self.client.clone() }
    }

    /// What is behind a link, without a key.
    pub(crate) async fn fetch(&self, path: &str) -> String {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(response.status().is_success(), "{path} {}", response.status());
        response.text().await.unwrap()
    }
}

/// Calls a server that may die meanwhile.
#[derive(Clone)]
pub(crate) struct Caller {
    base: String,
    client: Client,
}

impl Caller {
    /// Whether the call was acknowledged; an answer that is no success fails the test.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Json) -> bool {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.bearer_auth(KEY).header("content-type", "application/json");
        let Ok(response) = request.body(body.to_string()).send().await else { return false };
        let status = response.status();
        let Ok(text) = response.text().await else { return false };
        assert!(status.is_success(), "{path}: {status} {text}");
        true
    }
}
