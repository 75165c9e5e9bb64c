//! What works: every way in and out, what is told, what is kept, and what a second run does.

use std::os::unix::fs::PermissionsExt;

use paceline_lab::VendorConfig;
use serde_json::Value as Json;
use tokio::io::AsyncWriteExt;

use crate::support::{Bench, Enrich, SOON, airports, lab, nearest_names, nearest_url, sick_lab};

const SECRET: &str = "tok-4f9c17d2e8";

/// Every line of a JSONL file.
fn objects(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_to_csv_keeps_every_row_in_order_and_adds_the_column() {
    let (bench, lab) = (Bench::with_airports(120), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited"]);
    let ended = bench.enrich(&request).await.exits(0);
    bench.assert_out_is_right(120);
    assert_eq!((lab.stats().served, lab.stats().duplicates), (120, 0));
    assert_eq!(ended.stdout, "", "results go to OUT");
    ended.told("rows         120 (120 completed)");
    assert_eq!(bench.names(), ["airports.csv", "out.csv", "out.csv.paceline"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_to_jsonl_holds_an_object_where_the_extract_is_one() {
    let (bench, lab) = (Bench::with_airports(30), lab(VendorConfig::default()).await);
    let request = Enrich::of("airports.csv", "out.jsonl", &nearest_url(&lab)).with(&[
        "--limit",
        "1000/s",
        "--extract",
        "$",
    ]);
    bench.enrich(&request).await.exits(0);
    let rows = objects(&bench.read("out.jsonl"));
    let names: Vec<_> = rows.iter().map(|row| row["near"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, nearest_names(30).collect::<Vec<_>>());
    assert_eq!(rows[0]["iata"], "00M");
    assert!(rows[0]["near"]["distance_km"].is_f64());
    let keys: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["iata", "name", "city", "state", "country", "latitude", "longitude", "near"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonl_to_csv_writes_an_object_as_json() {
    let (bench, lab) = (Bench::new(), lab(VendorConfig::default()).await);
    // Numbers and a path into an object, as only JSONL has them.
    bench.write(
        "in.jsonl",
        "{\"id\":1,\"at\":{\"lat\":31.95,\"lon\":[-89.23]}}\n{\"id\":2,\"at\":{\"lat\":42.74,\"lon\":[-78.05]}}\n",
    );
    let url = format!("http://{}/geo/nearest?lat={{{{at.lat}}}}&lon={{{{at.lon[0]}}}}", lab.addr());
    let request = Enrich::of("in.jsonl", "out.csv", &url).with(&["--rate", "unlimited"]);
    bench.enrich(&request).await.exits(0);
    let mut reader = csv::Reader::from_path(bench.path("out.csv")).unwrap();
    assert_eq!(reader.headers().unwrap(), ["id", "at", "near"].as_slice());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][0], &rows[1][0]), (2, "1", "2"));
    assert_eq!(serde_json::from_str::<Json>(&rows[0][1]).unwrap()["lat"], 31.95);
    assert_eq!(serde_json::from_str::<Json>(&rows[0][2]).unwrap()["country"], "USA");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_and_a_pipe_out_leave_no_state_behind() {
    let (bench, lab) = (Bench::new(), lab(VendorConfig::default()).await);
    let request = Enrich::of("-", "-", &nearest_url(&lab)).with(&[
        "--extract",
        "$.name",
        "--rate",
        "unlimited",
        "--json",
    ]);
    let mut process = bench.start_piped(&request);
    let mut stdin = process.stdin();
    stdin.write_all(airports(40).as_bytes()).await.unwrap();
    drop(stdin);
    let ended = process.ended().await.exits(0);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 1 + 40 + 1, "header, rows, and the JSON line last");
    assert!(
        lines[0].ends_with(",near") && lines[40].starts_with(airports(40).lines().last().unwrap())
    );
    assert_eq!(ended.count("completed"), 40);
    assert_eq!(bench.names(), [""; 0], "what has gone down a pipe cannot be resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_line_of_json_has_the_documented_keys() {
    let (bench, lab) = (Bench::with_airports(20), lab(VendorConfig::default()).await);
    let ended =
        bench.enrich(&Enrich::nearest(&lab).with(&["--rate", SOON, "--json"])).await.exits(0);
    let json = ended.json();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "rows",
            "completed",
            "failed",
            "skipped",
            "unknown",
            "calls",
            "throttled",
            "retries",
            "explanations",
            "elapsed_ms",
            "optimum_ms",
            "utilisation",
            "paused_reason"
        ]
    );
    assert_eq!(ended.stdout.lines().count(), 1);
    assert_eq!(
        (&json["rows"], &json["completed"], &json["calls"]),
        (&20.into(), &20.into(), &20.into())
    );
    assert_eq!(json["paused_reason"], Json::Null);
    let utilisation = json["utilisation"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&utilisation), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_stands_in_no_output_and_in_no_file_of_the_state() {
    let (bench, lab) = (Bench::with_airports(20), sick_lab("500:0.1,400:0.1").await);
    let secret = format!("Authorization: Bearer {SECRET}");
    let request = Enrich::nearest(&lab).with(&["--rate", SOON, "--header", &secret, "--json"]);
    let ended = bench.enrich(&request).await;
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
    assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:#?}");
    assert!(bench.files_holding(SECRET).is_empty(), "{:?}", bench.files_holding(SECRET));
    let folder = std::fs::metadata(bench.path("out.csv.paceline")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700, "the copy of the input is private too");
    // The search itself finds what is there.
    assert!(!bench.files_holding("/geo/nearest").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_calls_nothing_and_says_so() {
    let (bench, lab) = (Bench::with_airports(25), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--json"]);
    bench.enrich(&request).await.exits(0);
    bench.write("out.csv", "spoilt");
    let again = bench.enrich(&request).await.exits(0);
    again.told("nothing was left to call");
    again.told("--restart");
    assert_eq!((again.count("calls"), again.count("completed")), (0, 25));
    assert_eq!(lab.stats().accepted, 25);
    bench.assert_out_is_right(25);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_job_over_old_state_is_refused_with_the_way_out() {
    let (bench, lab) = (Bench::with_airports(10), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited"]);
    bench.enrich(&request).await.exits(0);
    let out = bench.read("out.csv");

    let renamed = Enrich { column: "close".to_owned(), ..request.clone() };
    let elsewhere = Enrich { url: format!("{}&x=1", request.url), ..request.clone() };
    for (changed, what) in [(&renamed, "--column"), (&elsewhere, "--url")] {
        let refused = bench.enrich(changed).await.exits(2);
        let line = refused.complaint();
        assert!(line.contains(what) && line.contains("--restart"), "{line}");
    }
    bench.write("airports.csv", airports(11));
    let refused = bench.enrich(&request).await.exits(2);
    let line = refused.complaint();
    assert!(
        line.contains("the content of airports.csv changed") && line.contains("--restart"),
        "{line}"
    );
    assert_eq!((bench.read("out.csv"), lab.stats().accepted), (out, 10));

    // Another rate is no other job.
    bench.write("airports.csv", airports(10));
    bench.enrich(&Enrich::nearest(&lab).with(&["--limit", "9/s"])).await.exits(0);
    assert_eq!(lab.stats().accepted, 10);

    bench.write("airports.csv", airports(11));
    bench.enrich(&request.with(&["--restart"])).await.exits(0);
    assert_eq!(lab.stats().accepted, 10 + 11, "everything is called again");
    bench.assert_out_is_right(11);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_down_the_same_pipe_is_another_job() {
    let (bench, lab) = (Bench::new(), lab(VendorConfig::default()).await);
    let request = Enrich::of("-", "out.csv", &nearest_url(&lab)).with(&[
        "--extract",
        "$.name",
        "--rate",
        "unlimited",
        "--json",
    ]);
    let piped = async |content: &str| {
        let mut process = bench.start_piped(&request);
        // A command that refuses may be gone before it has read everything.
        let _ = process.stdin().write_all(content.as_bytes()).await;
        process.ended().await
    };
    piped(&airports(10)).await.exits(0);
    let refused = piped(&airports(11)).await.exits(2);
    assert!(refused.complaint().contains("standard input changed"), "{refused:#?}");
    // The same again, or nothing at all, is the same job.
    for content in [airports(10), String::new()] {
        assert_eq!(piped(&content).await.exits(0).count("completed"), 10);
    }
    assert_eq!(lab.stats().accepted, 10);
    bench.assert_out_is_right(10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_rows_is_a_table() {
    let (bench, lab) = (Bench::with_airports(0), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--json"]);
    let ended = bench.enrich(&request).await.exits(0);
    assert_eq!((ended.count("rows"), ended.count("calls")), (0, 0));
    bench.assert_out_is_right(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_resumes_the_old_job() {
    let (bench, lab) = (Bench::with_airports(12), sick_lab("401:1").await);
    let request = |secret: &str| {
        let url = format!("http://{}/echo?q={{{{iata}}}}", lab.addr());
        Enrich::of("airports.csv", "out.csv", &url).with(&[
            "--rate",
            SOON,
            "--extract",
            "$.headers.authorization",
            "--header",
            &format!("Authorization: {secret}"),
        ])
    };
    bench.enrich(&request("Bearer old")).await.exits(4);
    lab.vendor().set_faults("none".parse().unwrap());
    bench.enrich(&request("Bearer new")).await.exits(0);
    let out = bench.read("out.csv");
    assert!(out.lines().skip(1).all(|line| line.ends_with(",Bearer new")), "{out}");
    assert_eq!((lab.stats().served, lab.stats().duplicates), (12, 0));
}
