//! What stops a run, through the real binaries: a storm of refusals, a person, a refused key, a dead host (issue 6,
//! acceptance 3, 5 and 8). The engine's own tests hold the numbers in virtual time; here is what a person sees.

use std::time::Duration;

use paceline_clock::Clock;
use serde_json::{Value as Json, json};

use crate::lab::LabProcess;
use crate::server::{Home, Server};

const COLUMN: &str = "/api/tables/t/columns/asked";

/// A table `t` of so many rows with a column `asked` that calls `base`, and a run over it; answers the run's number.
async fn running(server: &Server, base: &str, rows: u64, rate: &Json) -> Json {
    let n = json!([{"name": "n", "type": "number"}]);
    server.post("/api/tables", json!({"name": "t", "columns": n})).await;
    let rows: Vec<Json> = (1..=rows).map(|n| json!({"n": n})).collect();
    server.post("/api/tables/t/rows", json!({"rows": rows})).await;
    let mut full = json!({
        "requests_per_second": 1_000, "max_concurrent": 6, "retry_strategy": "fixed", "max_retries": 1,
        "retry_delay_ms": 100, "cool_down_on_429": true
    });
    for (name, value) in rate.as_object().unwrap() {
        full[name] = value.clone();
    }
    let config = json!({"url": format!("{base}/echo?n={{{{n}}}}"), "extract": "$.query",
                        "headers": {"authorization": "Bearer a-key"}});
    let column = json!({"name": "asked", "kind": "http", "type": "text", "config": config, "rate_limit": full});
    server.post("/api/tables/t/smart-columns", column).await;
    let run = server.post(&format!("{COLUMN}/run"), json!({})).await;
    run["data"]["id"].clone()
}

/// The run's reason, which REST and MCP tell alike.
async fn reason(server: &Server, id: &Json, run: &Json) -> String {
    let told = server.tool("get_run", json!({"run": id})).await["data"].clone();
    assert_eq!((&told["status"], &told["reason"]), (&run["status"], &run["reason"]), "{told:#}");
    run["reason"].as_str().unwrap().to_owned()
}

fn completed(run: &Json) -> u64 {
    run["counts"]["completed"].as_u64().unwrap()
}

/// Every row has its own answer.
async fn check_values(server: &Server, rows: u64) {
    let page = server.get(&format!("/api/tables/t/rows?limit={rows}")).await;
    let page = page["data"].as_array().unwrap();
    assert_eq!(page.len() as u64, rows);
    for row in page {
        assert_eq!(row["asked"], format!("n={}", row["n"]), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_never_ends_is_a_visible_pause_and_a_resume_over_mcp_loses_no_row() {
    // Few, because the budget that was cut down in the storm grows again by good answers.
    const ROWS: u64 = 12;
    let lab = LabProcess::start("--fault 429:1").await;
    let server = Server::start(Home::new()).await;
    let clock = Clock::system();
    let began = clock.now();
    let id = running(&server, &lab.base, ROWS, &json!({"max_wait_ms": 2_000})).await;
    let run = server.run_in(&id, &["paused"]).await;
    let waited = clock.now() - began;
    assert!(waited < Duration::from_secs(8), "{waited:?}, with a deadline of 2 s");
    assert_eq!(run["counts"]["failed"], 0, "{run:#}");
    let reason = reason(&server, &id, &run).await;
    for word in ["throttled", "429", "resume"] {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
    lab.post("/_lab/fault?law=none").await;
    server.tool("resume_run", json!({"run": id})).await;
    let run = server.run_in(&id, &["completed"]).await;
    assert_eq!((completed(&run), &run["counts"]["failed"]), (ROWS, &json!(0)));
    check_values(&server, ROWS).await;
    let resumed = (clock.now() - began).saturating_sub(waited);
    println!(
        "paused after {:.1} s, done {:.1} s after the resume: {reason}",
        waited.as_secs_f64(),
        resumed.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_was_answered_no_call_arrives_but_those_that_were_under_way() {
    const NET_MS: u64 = 40;
    const SERVICE_MS: u64 = 160;
    let flags = format!("--net-ms {NET_MS} --service-ms {SERVICE_MS}");
    let lab = LabProcess::start(&flags).await;
    let server = Server::start(Home::new()).await;
    let id = running(&server, &lab.base, 900, &json!({})).await;
    let clock = Clock::system();
    while lab.count("served").await < 20 {
        clock.sleep(Duration::from_millis(5)).await;
    }
    let cancelled = server.post(&format!("/api/runs/{id}/cancel"), json!({})).await["data"].clone();
    let answered_ms = lab.get("/_lab/clock").await["now_ms"].as_u64().unwrap();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled:#}");
    // Three times what a call takes, there and back: whatever was to come has come.
    clock.sleep(Duration::from_millis(3 * (2 * NET_MS + SERVICE_MS))).await;
    let stats = lab.get("/_lab/stats").await;
    let last_ms = stats["last_call_ms"].as_u64().unwrap();
    let in_flight_ms = 2 * NET_MS + SERVICE_MS;
    assert!(last_ms <= answered_ms + in_flight_ms, "{last_ms} after {answered_ms}");
    let run = server.get(&format!("/api/runs/{id}")).await["data"].clone();
    assert_eq!(completed(&run), completed(&cancelled), "what came late is not applied");
    let (accepted, done) = (stats["accepted"].as_u64().unwrap(), completed(&run));
    assert!((done..=done + 6).contains(&accepted), "{accepted} calls, {done} applied, 6 at once");
    println!("the last call {} ms after the answer", i128::from(last_ms) - i128::from(answered_ms));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_trips_the_breaker_by_the_third_call_and_a_retry_completes_once_it_is_good() {
    let lab = LabProcess::start("--fault 401:1").await;
    let server = Server::start(Home::new()).await;
    let id = running(&server, &lab.base, 200, &json!({"max_concurrent": 1})).await;
    let run = server.run_in(&id, &["paused"]).await;
    assert!(lab.count("accepted").await <= 3, "it trips by the third");
    assert_eq!(run["counts"]["failed"], 0, "no row is to blame: {run:#}");
    let reason = reason(&server, &id, &run).await;
    for word in ["401", "credential", "resume"] {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
    lab.post("/_lab/fault?law=none").await;
    let retried = server.post(&format!("{COLUMN}/retry"), json!({})).await;
    assert_eq!(retried["meta"]["resumed"], true, "{retried:#}");
    let run = server.run_in(&id, &["completed"]).await;
    assert_eq!(completed(&run), 200);
    check_values(&server, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_trips_the_breaker_within_twenty_calls_and_retries_complete_once_it_lives() {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(Home::new()).await;
    let id = running(&server, &format!("http://{port}"), 200, &json!({})).await;
    let run = server.run_in(&id, &["paused"]).await;
    // A try that finds nobody is no call that left, so the run counts none; but each is on record.
    assert_eq!(run["counts"]["calls"], 0, "{run:#}");
    let mut tries = 0;
    for row in 1..=40 {
        let told = server.get(&format!("{COLUMN}/cells/{row}/attempts")).await;
        tries += told["data"]["attempts"].as_array().unwrap().len();
    }
    assert!((1..=20).contains(&tries), "{tries} tries");
    let reason = reason(&server, &id, &run).await;
    for word in ["no connection", "resume", "retry failed"] {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
    let lab = LabProcess::start_at(&port.to_string(), "").await;
    let retried = server.post(&format!("{COLUMN}/retry"), json!({})).await;
    assert_eq!(retried["meta"]["resumed"], true, "{retried:#}");
    let mut run = server.run_in(&id, &["completed", "completed_with_errors"]).await;
    if run["counts"]["failed"] != 0 {
        // Those that had failed before it tripped.
        let retried =
            server.tool("retry_failed_cells", json!({"table": "t", "column": "asked"})).await;
        run = server.run_in(&retried["data"]["id"], &["completed"]).await;
    }
    assert_eq!(run["counts"]["failed"], 0, "{run:#}");
    check_values(&server, 200).await;
    println!("tripped after {tries} tries: {reason}");
    drop(lab);
}
