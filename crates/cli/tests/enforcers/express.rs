//! express-rate-limit: a window that its first call opens and that counts refused calls too. It tells the limit in
//! headers, in whole seconds, as each of three drafts of the standard has them.

use std::path::Path;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::support::Bench;
use crate::verdict::{Decision, Verdict};
use crate::{RATE_PER_S, alone, enrich, tool};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/enforcers/express");

/// `server.js`, killed when dropped.
struct Express {
    address: String,
    _process: Process,
}

impl Express {
    async fn start(headers: &str, limit: u32, window_ms: u32) -> Self {
        assert!(
            Path::new(FOLDER).join("node_modules/express-rate-limit").exists(),
            "express-rate-limit is not installed: scripts/test does it, or `npm ci` in {FOLDER}"
        );
        let mut command = tool("node", "nodejs").await;
        command.current_dir(FOLDER).arg("server.js");
        command.args([headers, &limit.to_string(), &window_ms.to_string()]);
        let process = Process::spawn(&mut command);
        let line = process.prints("listening on ").await;
        let address = line.strip_prefix("listening on http://").expect("an address").to_owned();
        Self { address, _process: process }
    }

    /// What it decided, in its order.
    async fn record(&self) -> Vec<Decision> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(b"GET /stats HTTP/1.0\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        let decision = |json: &Json| Decision {
            at_s: json["at_ms"].as_f64().unwrap() / 1e3,
            status: u16::try_from(json["status"].as_u64().unwrap()).unwrap(),
        };
        let decisions: Vec<Json> = serde_json::from_str(body).unwrap();
        decisions.iter().map(decision).collect()
    }
}

async fn judge(headers: &str) {
    let _alone = alone().await;
    let (bench, express) = (Bench::new(), Express::start(headers, RATE_PER_S, 1_000).await);
    let ended = enrich(&bench, &express.address).await;
    let enforcer = format!("express-rate-limit, {RATE_PER_S} per 1 s, {headers}");
    Verdict::of(&express.record().await).demand(&enforcer, &ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn express_with_the_headers_of_draft_6_refuses_nothing_once_settled() {
    judge("draft-6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn express_with_the_headers_of_draft_7_refuses_nothing_once_settled() {
    judge("draft-7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn express_with_the_headers_of_draft_8_refuses_nothing_once_settled() {
    judge("draft-8").await;
}
