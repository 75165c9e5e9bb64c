//! `paceline lab` as a process of its own.

use std::process::Stdio;

use reqwest::Client;
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A lab; killed when dropped.
pub(crate) struct LabProcess {
    pub(crate) base: String,
    client: Client,
    _child: Child,
}

impl LabProcess {
    /// Starts a lab with these flags, on any free port.
    pub(crate) async fn start(flags: &str) -> Self {
        Self::start_at("127.0.0.1:0", flags).await
    }

    /// Starts a lab that listens there.
    pub(crate) async fn start_at(listen: &str, flags: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
            .args(["lab", "--listen", listen])
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let base = line.strip_prefix("listening on ").unwrap().to_owned();
        #[expect(clippy::disallowed_methods, reason = "a client of the judge")]
        let client = Client::builder().no_proxy().build().unwrap();
        Self { base, client, _child: child }
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        let reply = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        serde_json::from_str(&reply.text().await.unwrap()).unwrap()
    }

    pub(crate) async fn post(&self, path: &str) -> Json {
        let reply = self.client.post(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(reply.status().is_success(), "{path}: {}", reply.status());
        serde_json::from_str(&reply.text().await.unwrap()).unwrap()
    }

    /// A count of `/_lab/stats`.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        self.get("/_lab/stats").await[name].as_u64().unwrap()
    }
}
