//! `enrich --record` and `replay`: the same cells without a call, what a change would do, and files that are something else.

use serde_json::json;

use crate::support::{Bench, Enrich, SOON, lab, sick_lab, slow_lab, until};
use paceline_lab::VendorConfig;

const SECRET: &str = "tok-4f9c17d2e8";

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_run_is_replayed_without_a_call_and_without_its_secret() {
    let (bench, lab) = (Bench::with_airports(80), sick_lab("500:0.1,429:0.1").await);
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--record", "run.jsonl", "--json"]);
    let request = request.with(&["--header", &format!("Authorization: Bearer {SECRET}")]);
    let ended = bench.enrich(&request).await.exits(0);
    let called = lab.stats().accepted + lab.stats().refused;
    assert!(ended.count("retries") > 0, "{}", ended.stdout);
    assert!(bench.files_holding(SECRET).is_empty());

    let replayed = bench.run(&["replay", "run.jsonl", "--json"]).await.exits(0);
    let told = replayed.json();
    assert_eq!((told["rows"].as_u64(), told["same"].as_u64()), (Some(80), Some(80)), "{told}");
    assert_eq!(told["calls"], told["then"]["calls"]);
    assert_eq!(told["refused"], told["then"]["refused"]);
    assert_eq!(told["then"]["status"], "completed");
    let text = bench.run(&["replay", "run.jsonl"]).await.exits(0).stdout;
    assert!(text.starts_with("80 rows: 80 cells end as they did, 0 do not"), "{text}");
    assert_eq!(lab.stats().accepted + lab.stats().refused, called, "a replay makes no call");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_would_do_is_told_row_by_row_with_an_exit_code_of_its_own() {
    let (bench, lab) = (Bench::with_airports(30), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--record", "run.jsonl"]);
    bench.enrich(&request).await.exits(0);

    let url =
        format!("http://{}/geo/nearest?lat={{{{latitude}}}}&lon={{{{longitude}}}}", lab.addr());
    bench.write("code.json", json!({"url": url, "extract": "$.iata"}).to_string());
    let told =
        bench.run(&["replay", "run.jsonl", "--config", "code.json", "--json"]).await.exits(1);
    let told = told.json();
    assert_eq!((told["same"].as_u64(), told["different"].as_u64()), (Some(0), Some(30)), "{told}");
    let first = &told["differences"][0];
    assert_eq!(
        (first["row"].as_u64(), first["now"]["state"].as_str()),
        (Some(1), Some("completed"))
    );
    assert_eq!(first["now"]["value"].as_str().map(str::len), Some(3), "{first}");

    bench.write("other.json", json!({"url": format!("{url}&unit=mi")}).to_string());
    let ended = bench.run(&["replay", "run.jsonl", "--config", "other.json"]).await.exits(1);
    assert!(ended.stdout.contains("row 1: completed") && ended.stdout.contains("NOT_RECORDED"));
    assert!(ended.stdout.contains("and 10 more; --json lists them"), "{}", ended.stdout);

    // Five seconds of it, in no time.
    let rate = r#"{"limits":["5/s"],"max_concurrent":6,"retry_strategy":"fixed","max_retries":1,"retry_delay_ms":100,"cool_down_on_429":true}"#;
    let args = ["replay", "run.jsonl", "--rate-limit", rate, "--concurrency", "2", "--json"];
    let told = bench.run(&args).await.exits(0).json();
    assert!(told["elapsed_ms"].as_f64().unwrap() >= 5_000.0, "{told}");
    assert_eq!(lab.stats().accepted, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_a_recording_that_is_replayed_and_gone_on_with() {
    let (bench, lab) = (Bench::with_airports(120), slow_lab("20..60").await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--record", "run.jsonl"]);
    let process = bench.start_enrich(&request);
    until("some calls were made", || lab.stats().accepted > 40).await;
    process.kill().await;
    let told = bench.run(&["replay", "run.jsonl", "--json"]).await.json();
    let ended = told["same"].as_u64().unwrap();
    assert!(ended > 10 && told["then"]["status"].is_null(), "{told}");
    // Cells that were not at their end then are the only ones that differ.
    for difference in told["differences"].as_array().unwrap() {
        assert!(difference["then"].is_null(), "{difference}");
    }
    bench.enrich(&request).await.exits(0);
    let told = bench.run(&["replay", "run.jsonl", "--json"]).await.exits(0).json();
    assert_eq!(
        (told["same"].as_u64(), told["then"]["status"].as_str()),
        (Some(120), Some("completed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_or_replayed_is_told_in_one_line() {
    let (bench, lab) = (Bench::with_airports(3), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited"]);
    for (file, wanted) in [("airports.csv", "a file of its own"), ("-", "a file of its own")] {
        let ended = bench.enrich(&request.clone().with(&["--record", file])).await.exits(2);
        assert!(ended.complaint().contains(wanted), "{}", ended.stderr);
    }
    bench.write("there.jsonl", "x");
    let ended = bench.enrich(&request.clone().with(&["--record", "there.jsonl"])).await.exits(2);
    assert!(ended.complaint().contains("it is there already"), "{}", ended.stderr);
    assert_eq!(lab.stats().accepted, 0);
    assert_eq!(bench.names(), ["airports.csv", "there.jsonl"], "nothing is left behind");

    let rate = ["replay", "run.jsonl", "--rate-limit", "agressive"];
    bench.enrich(&request.with(&["--record", "run.jsonl"])).await.exits(0);
    bench.write("no.json", "{");
    let cases: [(&[&str], &str); 5] = [
        (&["replay", "none.jsonl"], "none.jsonl: No such file"),
        (&["replay", "airports.csv"], "airports.csv: it is no recording"),
        (&["replay", "run.jsonl", "--config", "no.json"], "--config no.json: is not JSON"),
        (&["replay", "run.jsonl", "--rate-limit", "{"], "--rate-limit is not JSON"),
        (&rate, "aggressive"),
    ];
    for (args, wanted) in cases {
        let ended = bench.run(args).await.exits(2);
        assert!(ended.complaint().contains(wanted), "{wanted}: {}", ended.stderr);
    }
}
