//! `paceline lab`: the vendor as a process of its own, spoken to over its socket.

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::support::Bench;

/// Starts a vendor and answers where it listens.
async fn listening(bench: &Bench, flags: &[&str]) -> (Process, String) {
    let args: Vec<&str> = ["lab", "--listen", "127.0.0.1:0"].iter().chain(flags).copied().collect();
    let process = bench.start(&args);
    let line = process.prints("listening on ").await;
    let address = line.strip_prefix("listening on http://").expect("an address").to_owned();
    (process, address)
}

/// One call on a connection of its own: the status and the body, null if it is no JSON.
async fn call(address: &str, method: &str, target: &str) -> (u16, Json) {
    call_as("", address, method, target).await
}

/// The same, with headers.
async fn call_as(headers: &str, address: &str, method: &str, target: &str) -> (u16, Json) {
    call_with(headers, address, method, target, "").await
}

/// The same, with a body whose length is among the headers.
async fn call_with(
    headers: &str,
    address: &str,
    method: &str,
    target: &str,
    body: &str,
) -> (u16, Json) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sells_counts_refuses_and_forgets() {
    let bench = Bench::new();
    let flags = [
        "--limit",
        "2/h",
        "--policy",
        "log",
        "--net-ms",
        "1..3",
        "--service-ms",
        "exp:2",
        "--seed",
        "7",
    ];
    let (process, address) = listening(&bench, &flags).await;
    let near = "/geo/nearest?lat=31.95376472&lon=-89.23450472";
    let (status, nearest) = call(&address, "GET", near).await;
    assert_eq!((status, &nearest["iata"]), (200, &Json::from("LUL")));
    assert_eq!(call(&address, "GET", near).await.0, 200);
    assert_eq!(call(&address, "GET", near).await.0, 429);

    let (_, stats) = call(&address, "GET", "/_lab/stats").await;
    assert_eq!((&stats["accepted"], &stats["refused"]), (&2.into(), &1.into()));
    assert_eq!(stats["limits"][0]["busiest"], 2);
    let (status, stats) = call(&address, "POST", "/_lab/reset").await;
    assert_eq!((status, &stats["accepted"]), (200, &0.into()));
    assert_eq!(call(&address, "GET", near).await.0, 200, "a reset opens the window again");

    process.interrupt().await;
    process.ended().await.exits(0).told("accepted 1, refused 0, duplicates 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_and_fault_of_the_interface_is_taken() {
    let bench = Bench::new();
    for policy in ["fixed", "first_call", "log", "log_counting", "counter", "bucket:20"] {
        let (process, address) =
            listening(&bench, &["--limit", "20/min", "--policy", policy, "--fault", "500:1"]).await;
        assert_eq!(call(&address, "GET", "/echo").await.0, 500, "{policy}");
        process.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hex_is_described_by_a_file_and_by_flags_on_top_of_it() {
    let bench = Bench::new();
    let file = r#"{"projects": [{"id": "daily", "run_ms": 3600000}, {"id": "draft", "published": false}],
                   "limits": {"reads": ["1/h"]}, "tokens": ["one"]}"#;
    bench.write("hex.json", file);
    let flags = "--hex hex.json --hex-limit runs:2/h --hex-policy runs:log --hex-kernels 1 --hex-token two \
                 --hex-fault killed:#9 --hex-fault errored:#1 --hex-run-ms 0";
    let (process, address) = listening(&bench, &flags.split_whitespace().collect::<Vec<_>>()).await;
    let call = async |token: &str, method: &str, path: &str| {
        let headers = format!("authorization: Bearer {token}\r\n");
        call_as(&headers, &address, method, &format!("/api/v1/{path}")).await
    };
    assert_eq!(call("three", "GET", "projects").await, (401, Json::Null));
    let (status, page) = call("two", "GET", "projects").await;
    assert_eq!((status, &page["values"][0]["title"]), (200, &Json::from("daily")));
    let (status, started) = call("one", "POST", "projects/daily/runs").await;
    assert_eq!((status, &started["projectId"]), (201, &Json::from("daily")));
    let run = format!("project/daily/run/{}", started["runId"].as_str().unwrap());
    assert_eq!(call("one", "GET", &run).await.1["status"], "ERRORED");
    assert_eq!(call("one", "GET", &run).await.0, 429, "reads: 1/h");
    assert_eq!(call("one", "POST", "projects/draft/runs").await.0, 422);
    assert_eq!(call("one", "POST", "projects/daily/runs").await.0, 429, "runs: 2/h");

    let (_, stats) = self::call(&address, "GET", "/_lab/hex").await;
    assert_eq!((&stats["started"], &stats["refused"]), (&1.into(), &2.into()));
    assert_eq!((&stats["double_started"], &stats["unauthorized"]), (&0.into(), &1.into()));
    process.interrupt().await;
    let told = "hex: accepted 4, refused 2, runs started 1, jobs started twice 0";
    process.ended().await.exits(0).told(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_and_a_receiver_of_webhooks_are_described_by_flags_and_tell_what_came() {
    let bench = Bench::new();
    let flags = "--slack-channel C2=archived --slack-token good --slack-limit 2/h --slack-policy log \
                 --webhook-secret whsec_test --webhook-limit 2/h";
    let (process, address) = listening(&bench, &flags.split_whitespace().collect::<Vec<_>>()).await;
    let post = async |headers: &str, path: &str, body: &str| {
        let headers = format!("{headers}content-length: {}\r\n", body.len());
        let (status, told) = call_with(&headers, &address, "POST", path, body).await;
        (status, told["error"].as_str().map(str::to_owned))
    };
    let token = "authorization: Bearer good\r\n";
    let method = "/api/chat.postMessage";
    let said = |word: &str| (200, Some(word.to_owned()));
    assert_eq!(post(token, method, r#"{"channel": "C1", "text": "hi"}"#).await, (200, None));
    assert_eq!(
        post(token, method, r#"{"channel": "C2", "text": "hi"}"#).await,
        said("is_archived")
    );
    assert_eq!(post("", method, r#"{"channel": "C1", "text": "hi"}"#).await, said("not_authed"));
    assert_eq!(post("", "/services/T1/C1/any", r#"{"text": "hi"}"#).await, (200, None));
    let refused = post("", "/services/T1/C1/any", r#"{"text": "hi"}"#).await;
    assert_eq!(refused, (429, Some("rate_limited".to_owned())), "2/h of one channel");
    assert_eq!(post("", "/webhook", "{}").await.0, 401);
    assert_eq!(post("", "/webhook", "{}").await.0, 401);
    assert_eq!(post("", "/webhook", "{}").await.0, 429);
    let (_, stats) = call(&address, "GET", "/_lab/slack").await;
    assert_eq!((&stats["posted"], &stats["noes"]["is_archived"]), (&2.into(), &1.into()));
    process.interrupt().await;
    let ended = process.ended().await.exits(0);
    ended.told("slack: accepted 2, refused 1, posted 2, duplicates 0");
    ended.told("webhook: accepted 2, refused 1, effects 0, duplicates 0, bad signatures 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_flags_are_refused_in_one_line() {
    let cases: [(&[&str], &str); 20] = [
        (&["--hex", "nowhere.json"], "nowhere.json"),
        (&["--hex", "/dev/null"], "line 1"),
        (&["--hex-limit", "polls:20/min"], "polls:20/min"),
        (&["--hex-policy", "runs:leaky"], "leaky"),
        (&["--hex-fault", "drop-after-start"], "chance is missing"),
        (&["--hex-run-ms", "9..1"], "9..1"),
        (&["--hex-kernels", "many"], "many"),
        (&["--listen", "0.0.0.0:0"], "loopback"),
        (&["--listen", "[::]:0"], "loopback"),
        (&["--listen", "localhost"], "--listen"),
        (&["--limit", "20/fortnight"], "20/fortnight"),
        (&["--policy", "leaky"], "leaky"),
        (&["--policy", "bucket:0"], "bucket:0"),
        (&["--net-ms", "9..1"], "9..1"),
        (&["--service-ms", "exp:"], "exp:"),
        (&["--fault", "teapot:1"], "teapot"),
        (&["--seed", "x"], "--seed"),
        (&["--slack-channel", "C1=open"], "C1=open"),
        (&["--slack-policy", "bucket:1,2"], "2 sizes for 1 limits"),
        (&["--webhook-secret", ""], "a secret is empty"),
    ];
    for (flags, part) in cases {
        let args: Vec<&str> = ["lab"].iter().chain(flags).copied().collect();
        let ended = Bench::new().run(&args).await.exits(2);
        let line = ended.complaint();
        assert!(line.contains(part), "{part:?} is not in: {line}");
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let bench = Bench::new();
    let (_first, address) = listening(&bench, &[]).await;
    let ended = bench.run(&["lab", "--listen", &address]).await.exits(2);
    assert!(ended.complaint().contains(&address), "{ended:#?}");
}
