//! `paceline api`: files as values, and runs and jobs that are waited for.

use serde_json::Value as Json;

use crate::process::{Ended, Process};
use crate::support::{Bench, nearest_url, sick_lab, slow_lab, until};

const KEY: [(&str, &str); 1] = [("PACELINE_API_KEY", "key-of-this-test")];
const COLUMNS: &str =
    r#"[{"name":"latitude","type":"number"},{"name":"longitude","type":"number"}]"#;

/// A server over an empty folder, and its address.
async fn serve(bench: &Bench) -> (Process, String) {
    let args = ["serve", "--data", "d", "--listen", "127.0.0.1:0", "--allow-host", "127.0.0.1"];
    let server = bench.start_with(&args, &KEY);
    let line = server.prints("listening on ").await;
    (server, line.trim_start_matches("listening on ").trim().to_owned())
}

async fn api(bench: &Bench, base: &str, words: &[&str]) -> Ended {
    start_api(bench, base, words).ended().await
}

fn start_api(bench: &Bench, base: &str, words: &[&str]) -> Process {
    bench.start_with(&[&["api", "--url", base], words].concat(), &KEY)
}

/// A table of so many airports, with a column that calls `url`.
async fn table(bench: &Bench, base: &str, url: &str) {
    api(bench, base, &["create_table", "--name", "airports", "--columns", COLUMNS]).await.exits(0);
    let import = ["--wait", "import_rows", "--table", "airports", "--data", "@airports.csv"];
    let import = api(bench, base, &[&import[..], &["--create_columns", "true"]].concat()).await;
    let job: Json = serde_json::from_str(&import.exits(0).stdout).unwrap();
    assert_eq!(job["data"]["status"], "completed", "{job}");
    bench.write("config.json", format!(r#"{{"url": "{url}", "extract": "$.name"}}"#));
    let column = ["add_smart_column", "--table", "airports", "--name", "near", "--type", "text"];
    let how = ["--kind", "http", "--config", "@config.json", "--rate_limit", "aggressive"];
    api(bench, base, &[&column[..], &how[..]].concat()).await.exits(0);
}

const RUN: [&str; 6] = ["--wait", "run_column", "--table", "airports", "--column", "near"];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_waited_for_and_the_exit_code_tells_how_it_ended() {
    let (bench, lab) = (Bench::with_airports(40), slow_lab("1..5").await);
    let (_server, base) = serve(&bench).await;
    table(&bench, &base, &nearest_url(&lab)).await;
    let run: Json = serde_json::from_str(&api(&bench, &base, &RUN).await.exits(0).stdout).unwrap();
    assert_eq!(run["data"]["status"], "completed", "{run}");
    assert_eq!(run["data"]["counts"]["completed"], 40, "{run}");

    // The vendor is sick: the breaker pauses the run, and that is an end to wait for, too.
    lab.vendor().set_faults("500:1".parse().unwrap());
    let again = r#"{"max_concurrent":6,"requests_per_second":1000,"retry_strategy":"fixed","max_retries":0,"retry_delay_ms":100,"cool_down_on_429":true}"#;
    let update = ["update_smart_column", "--table", "airports", "--column", "near"];
    bench.write(
        "fresh.json",
        format!(r#"{{"url": "{}&v=2", "extract": "$.name"}}"#, nearest_url(&lab)),
    );
    let update = [&update[..], &["--config", "@fresh.json", "--rate_limit", again]].concat();
    api(&bench, &base, &update).await.exits(0);
    let paused = api(&bench, &base, &[&RUN[..], &["--scope", "all"]].concat()).await.exits(4);
    let run: Json = serde_json::from_str(&paused.stdout).unwrap();
    assert_eq!(run["data"]["status"], "paused", "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_waiting_and_not_the_run() {
    let (bench, lab) = (Bench::with_airports(20), sick_lab("hang:1").await);
    let (_server, base) = serve(&bench).await;
    table(&bench, &base, &nearest_url(&lab)).await;
    let waiting = start_api(&bench, &base, &RUN);
    until("calls are in flight", || lab.stats().served == 6).await;
    waiting.interrupt().await;
    let ended = waiting.ended().await.exits(130);
    ended.told("run 1 goes on in the server");
    ended.told("cancel_run --run 1");
    let run = api(&bench, &base, &["get_run", "--run", "1"]).await.exits(0);
    let run: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(run["data"]["status"], "running", "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_told_before_anything_is_sent() {
    let bench = Bench::new();
    // Nobody listens there.
    let words = ["insert_rows", "--table", "t", "--rows", "@rows.json"];
    let refused = api(&bench, "http://127.0.0.1:9", &words).await.exits(2);
    refused.told("--rows @rows.json: ");
    refused.told("text that begins with @ is written with two of them");
}
