//! The simulated Hex on the wire: beside the vendor, both families of paths, faults that end connections, the judge.

use std::io::ErrorKind;

use paceline_clock::Clock;
use paceline_lab::{HexConfig, Lab, Running, VendorConfig};
use serde_json::json;

use super::{P1, faulty};
use crate::client::{Client, Response};

const TOKEN: (&str, &str) = ("Authorization", "Bearer t");

async fn lab(hex: HexConfig) -> (Running, Client) {
    let any = ([127, 0, 0, 1], 0).into();
    let lab =
        Lab::start_with_hex(VendorConfig::default(), hex, Clock::system(), any).await.unwrap();
    let client = Client::connect(lab.addr()).await;
    (lab, client)
}

async fn call(client: &mut Client, method: &str, path: &str, body: &str) -> Response {
    client.request(method, &format!("/api/v1/{path}"), &[TOKEN], body).await.unwrap()
}

#[tokio::test]
async fn a_run_is_started_watched_listed_and_cancelled_by_both_families_of_paths() {
    for (run, item, list) in [
        ("projects/P/runs", "projects/P/runs", "projects/P/runs"),
        ("project/P/run", "project/P/run", "project/P/runs"),
    ] {
        let [run, item, list] = [run, item, list].map(|path| path.replace('P', P1));
        let (lab, mut client) = lab(faulty("stuck-running:1")).await;
        let started = call(&mut client, "POST", &run, r#"{"inputParams":{"a":1}}"#).await;
        assert_eq!(started.status, 201);
        let id = started.json()["runId"].as_str().unwrap().to_owned();
        let link = started.json()["runStatusUrl"].as_str().unwrap().to_owned();
        assert_eq!(link, format!("http://lab/api/v1/projects/{P1}/runs/{id}"), "the host header");
        let item = format!("{item}/{id}");
        assert_eq!(call(&mut client, "GET", &item, "").await.json()["status"], "RUNNING");
        assert_eq!(call(&mut client, "GET", &list, "").await.json()["runs"][0]["runId"], *id);
        let cancelled = call(&mut client, "DELETE", &item, "").await;
        assert_eq!((cancelled.status, cancelled.body.len()), (204, 0));
        assert_eq!(cancelled.header("content-type"), None);
        assert_eq!(call(&mut client, "GET", &item, "").await.json()["status"], "KILLED");
        assert_eq!(lab.hex().stats().started, 1);
        assert_eq!(lab.stats().accepted, 0, "the other vendor has seen nothing");
    }
}

#[tokio::test]
async fn the_token_is_read_from_its_header() {
    let config = HexConfig { tokens: vec!["t".into()], ..HexConfig::default() };
    let (_lab, mut client) = lab(config).await;
    for (value, status) in [
        ("Bearer t", 200),
        ("bearer t", 200),
        ("Bearer  t", 200),
        ("Bearer x", 401),
        ("Basic t", 401),
        ("t", 401),
    ] {
        let headers = [("authorization", value)];
        let response = client.request("GET", "/api/v1/projects", &headers, "").await.unwrap();
        assert_eq!(response.status, status, "{value}");
    }
    let response = client.get("/api/v1/projects").await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (401, b"Unauthorized".as_slice()));
}

#[tokio::test]
async fn a_dropped_answer_ends_the_connection_and_the_run_goes_on() {
    let (lab, mut client) = lab(faulty("drop-after-start:#1")).await;
    let path = format!("/api/v1/projects/{P1}/runs");
    let dropped = client.request("POST", &path, &[TOKEN], "{}").await;
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(lab.hex().stats().started, 1);
}

#[tokio::test]
async fn the_judge_tells_of_hex_heals_it_and_forgets_it() {
    let (lab, mut client) = lab(faulty("502-after-start:1")).await;
    let run = format!("projects/{P1}/runs");
    let failed = call(&mut client, "POST", &run, "").await;
    assert_eq!((failed.status, failed.header("content-type")), (502, Some("text/html")));
    let stats = client.get("/_lab/hex").await.unwrap();
    assert_eq!(stats.json(), serde_json::to_value(lab.hex().stats()).unwrap());
    assert_eq!((&stats.json()["started"], &stats.json()["double_started"]), (&json!(1), &json!(0)));
    let healed = client.post("/_lab/hex/fault?law=none").await.unwrap();
    assert_eq!((healed.status, healed.json()), (200, json!({"law": "none"})));
    assert_eq!(call(&mut client, "POST", &run, "").await.status, 201);
    assert_eq!(client.get("/_lab/hex").await.unwrap().json()["double_started"], 1);
    client.post("/_lab/reset").await.unwrap();
    assert_eq!(client.get("/_lab/hex").await.unwrap().json()["started"], 0);
    for (method, target, status) in [
        ("POST", "/_lab/hex/fault?law=teapot:1", 400),
        ("POST", "/_lab/hex/fault", 400),
        ("POST", "/_lab/hex", 405),
        ("GET", "/_lab/hex/fault", 405),
    ] {
        let response = client.request(method, target, &[], "").await.unwrap();
        assert_eq!(response.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_lab_that_was_told_nothing_of_hex_serves_the_default_one() {
    let lab = crate::client::start(VendorConfig::default()).await;
    let mut client = Client::connect(lab.addr()).await;
    let page = call(&mut client, "GET", "projects?limit=100", "").await.json();
    assert_eq!(page["values"].as_array().unwrap().len(), 10);
    let long = "x".repeat(64 * 1024 + 1);
    let refused = call(&mut client, "POST", &format!("projects/{P1}/runs"), &long).await;
    assert_eq!(refused.status, 413);
}
