//! `paceline serve` as a process of its own, calls to it, and its end by SIGTERM.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use paceline_clock::Clock;
use reqwest::Client;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const KEY: &str = "key-of-the-sandbox-test";
/// How long an orderly end may take, whatever is in flight.
const END_WITHIN: Duration = Duration::from_secs(20);

/// A server over a data directory; killed when dropped.
pub(crate) struct Server {
    child: Child,
    caller: Caller,
}

/// Calls a server.
#[derive(Clone)]
pub(crate) struct Caller {
    base: String,
    client: Client,
}

impl Server {
    /// Functions get a second each, so that the test does not take long.
    pub(crate) async fn start(dir: &Path) -> Self {
        paceline_engine::install_tls();
        let limits = dir.join("limits.json");
        std::fs::write(&limits, r#"{"function_timeout": 1}"#).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
            // The lab is on this machine.
            .args(["serve", "--listen", "127.0.0.1:0", "--allow-host", "127.0.0.1"])
            .args(["--key-limit", "1000000/min", "--limits"])
            .arg(limits)
            .arg("--data")
            .arg(dir.join("data"))
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
        Self { child, caller: Caller { base, client } }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Sends SIGTERM and waits for its end.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        // A shell knows `kill` by itself; the alternative is unsafe code.
        let command = format!("kill -TERM {}", self.pid());
        let sent = Command::new("sh").args(["-c", &command]).status().await;
        assert!(sent.unwrap().success(), "{command}");
        tokio::select! {
            status = self.child.wait() => status.unwrap(),
            () = Clock::system().sleep(END_WITHIN) => panic!("not ended after {END_WITHIN:?}"),
        }
    }
}

impl Caller {
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

    /// Runs a column over all its rows; answers the run's id.
    pub(crate) async fn run(&self, table: &str, column: &str) -> i64 {
        let path = format!("/api/tables/{table}/columns/{column}/run");
        self.post(&path, json!({"scope": "all"})).await["data"]["id"].as_i64().unwrap()
    }

    /// Waits until a run has come to its end; answers it.
    pub(crate) async fn ended(&self, run: i64) -> Json {
        let clock = Clock::system();
        let began = clock.now();
        loop {
            let run = self.get(&format!("/api/runs/{run}")).await["data"].clone();
            if run["status"].as_str().unwrap().starts_with("completed") {
                return run;
            }
            assert!(clock.now() - began < Duration::from_secs(60), "it does not end: {run}");
            clock.sleep(Duration::from_millis(20)).await;
        }
    }
}
