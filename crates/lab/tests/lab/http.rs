//! The server over real sockets: endpoints, limits, headers, the judge's own endpoints, shutting down.

use std::io::ErrorKind;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{Lab, RateHeaders, RetryAfter, Running, StartError, VendorConfig};
use serde_json::json;

use crate::client::{Client, start, start_with, until};

const THIGPEN: &str = "/geo/nearest?lat=31.95376472&lon=-89.23450472";

async fn lab(limits: &[&str]) -> (Running, Client) {
    let limits = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    let lab = start(VendorConfig { limits, ..VendorConfig::default() }).await;
    let client = Client::connect(lab.addr()).await;
    (lab, client)
}

#[tokio::test]
async fn nearest_answers_with_the_airport_its_distance_and_bearing() {
    let (_lab, mut client) = lab(&[]).await;
    let expected = json!({
        "iata": "LUL", "name": "Hesler-Noble", "city": "Laurel", "state": "MS", "country": "USA",
        "latitude": 31.67255139, "longitude": -89.17222417,
        "distance_km": 31.818, "bearing_deg": 169.3,
    });
    for method in ["GET", "POST"] {
        let response = client.request(method, THIGPEN, &[], "").await.unwrap();
        assert_eq!((response.status, response.json()), (200, expected.clone()), "{method}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let encoded = client.get("/geo/nearest?x=1&lon=%2D89.23450472&lat=31.95376472").await.unwrap();
    assert_eq!(encoded.json(), expected);
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_is_counted() {
    let (lab, mut client) = lab(&["7/h"]).await;
    let cases = [
        ("GET", "/geo/nearest", 400, "`lat` is missing"),
        ("GET", "/geo/nearest?lat=1", 400, "`lon` is missing"),
        ("GET", "/geo/nearest?lat=x&lon=1", 400, "`lat` is `x`"),
        ("GET", "/geo/nearest?lat=90.5&lon=1", 400, "not on Earth"),
        ("GET", "/geo/nearest?lat=NaN&lon=1", 400, "not on Earth"),
        ("DELETE", THIGPEN, 405, "use GET or POST"),
        ("GET", "/nowhere", 404, "there is no /nowhere"),
        ("GET", "/nowhere", 429, "too many requests"),
    ];
    for (method, target, status, reason) in cases {
        let response = client.request(method, target, &[], "").await.unwrap();
        let error = response.json()["error"].as_str().unwrap().to_owned();
        assert!(response.status == status && error.contains(reason), "{target}: {response:?}");
    }
    let stats = lab.stats();
    assert_eq!((stats.accepted, stats.invalid, stats.served, stats.refused), (7, 7, 0, 1));
}

#[tokio::test]
async fn echo_returns_the_request() {
    let (lab, mut client) = lab(&[]).await;
    let headers = [("X-One", "1"), ("x-one", "2"), ("idempotency-key", "k")];
    let response = client.request("PATCH", "/echo?a=b&a=%20", &headers, "héllo").await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(
        response.json(),
        json!({
            "method": "PATCH", "path": "/echo", "query": "a=b&a=%20", "body": "héllo",
            "headers": {"host": "lab", "x-one": "1, 2", "idempotency-key": "k", "content-length": "6"},
        })
    );
    assert_eq!((lab.stats().served, lab.stats().keys), (1, 1));
    let longest = "x".repeat(64 * 1024);
    assert_eq!(client.request("POST", "/echo", &[], &longest).await.unwrap().status, 200);
    let response = client.request("POST", "/echo", &[], &(longest + "x")).await.unwrap();
    assert_eq!(response.status, 413);
    assert_eq!(lab.stats().invalid, 1);
}

#[tokio::test]
async fn the_limits_refuse_with_429_and_say_when() {
    let (lab, mut client) = lab(&["2/h"]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.get("/echo").await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    let retry_after = client.get("/echo").await.unwrap().header("retry-after").map(str::to_owned);
    assert_eq!(retry_after.as_deref(), Some("3600"));
    assert_eq!(lab.stats().limits[0].busiest, 2);
}

#[tokio::test]
async fn the_header_switches_reach_the_wire() {
    let cases = [
        ("none", "date", ["date", "retry-after"].as_slice(), "ratelimit"),
        ("draft", "none", &["ratelimit", "ratelimit-policy"], "retry-after"),
        ("draft03", "none", &["ratelimit-limit", "ratelimit-remaining"], "ratelimit-policy"),
        ("x", "seconds", &["x-ratelimit-reset", "retry-after", "date"], "ratelimit"),
    ];
    for (rate_headers, retry_after, present, absent) in cases {
        let config = VendorConfig {
            limits: vec!["1/h".parse().unwrap()],
            rate_headers: rate_headers.parse::<RateHeaders>().unwrap(),
            retry_after: retry_after.parse::<RetryAfter>().unwrap(),
            ..VendorConfig::default()
        };
        let lab = start(config).await;
        let mut client = Client::connect(lab.addr()).await;
        client.get("/echo").await.unwrap();
        let refused = client.get("/echo").await.unwrap();
        assert_eq!(refused.status, 429);
        for name in present {
            assert!(refused.header(name).is_some(), "{rate_headers}: {name} in {refused:?}");
        }
        assert_eq!(refused.header(absent), None, "{rate_headers}");
    }
    assert!("maybe".parse::<RetryAfter>().unwrap_err().to_string().contains("none, seconds, date"));
}

#[tokio::test]
async fn the_judge_is_never_governed_and_can_be_told() {
    let (lab, mut client) = lab(&["1/h"]).await;
    client.get("/echo").await.unwrap();
    for _ in 0..3 {
        let stats = client.get("/_lab/stats").await.unwrap();
        assert_eq!(stats.json(), serde_json::to_value(lab.stats()).unwrap());
        assert_eq!(stats.json()["accepted"], 1);
    }
    let fault = client.post("/_lab/fault?law=500:1@0s..1h").await.unwrap();
    assert_eq!((fault.status, fault.json()), (200, json!({"law": "500:1@0ms..3600000ms"})));
    let reset = client.post("/_lab/reset").await.unwrap();
    assert_eq!((reset.status, &reset.json()["accepted"]), (200, &json!(0)));
    assert_eq!(client.get("/echo").await.unwrap().status, 500);
    let healed = client.post("/_lab/fault?law=none").await.unwrap();
    assert_eq!(healed.json(), json!({"law": "none"}));
    client.post("/_lab/reset").await.unwrap();
    assert_eq!(client.get("/echo").await.unwrap().status, 200);
    for (method, target, status) in [
        ("POST", "/_lab/fault?law=teapot:1", 400),
        ("POST", "/_lab/fault", 400),
        ("GET", "/_lab/reset", 405),
        ("GET", "/_lab/nothing", 404),
    ] {
        let response = client.request(method, target, &[], "").await.unwrap();
        assert_eq!(response.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_its_call() {
    let sim = SimClock::new();
    let config = VendorConfig { service: "3600000".parse().unwrap(), ..VendorConfig::default() };
    let lab = start_with(config, sim.clock()).await;
    let mut client = Client::connect(lab.addr()).await;
    client.send("GET", "/echo", &[("idempotency-key", "k")], "").await.unwrap();
    until("the arrival", || lab.stats().accepted == 1).await;
    drop(client);
    // Another connection that comes and goes: by its end the lab has seen the first one's end too.
    Client::connect(lab.addr()).await.get("/_lab/stats").await.unwrap();
    assert_eq!(lab.stats().served, 0, "an hour of work has not passed yet");
    sim.advance(Duration::from_secs(3600));
    until("the effect", || lab.stats().served == 1).await;
    assert_eq!(lab.stats().keys, 1);
}

#[tokio::test]
async fn shutting_down_ends_every_connection_and_tells_what_was_seen() {
    let (lab, mut idle) = lab(&[]).await;
    let addr = lab.addr();
    idle.get("/echo").await.unwrap();
    assert_eq!(lab.shutdown().await.served, 1);
    assert_eq!(idle.receive().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let refused = tokio::net::TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn dropping_the_lab_ends_every_connection_too() {
    let (lab, mut idle) = lab(&[]).await;
    idle.get("/echo").await.unwrap();
    drop(lab);
    assert_eq!(idle.receive().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (lab, _client) = lab(&[]).await;
    let again = Lab::start(VendorConfig::default(), Clock::system(), lab.addr()).await;
    let error = again.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let text = error.to_string();
    assert!(text.contains(&lab.addr().to_string()) && text.contains("port 0"), "{text}");
}
