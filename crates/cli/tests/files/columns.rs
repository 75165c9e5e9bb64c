//! Runs of columns with and without an effect, cut off by the death of the server, with the lab counting what arrives
//! (issue 6, acceptance 4): an effect at most once for each cell, nothing that was finished called again, and what nobody
//! knows is listed.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_lab::{Lab, LabConfig, Running, VendorConfig, WebhookConfig};
use serde_json::{Value as Json, json};

use crate::server::{Home, Server};
use crate::{kills, kills_or};

/// Cells of each column.
const CELLS: u64 = 2_000;
/// The same over PostgreSQL, where each takes longer and what matters is the same.
const CELLS_POSTGRES: u64 = 600;
/// Calls at once of each column.
const AT_ONCE: u64 = 6;
/// The longest time that the server lives once it listens.
const LIFE_MAX_MS: f64 = 600.0;

/// What the column signs with, and the receiver checks.
const SECRET: &str = "whsec_of_the_kill_test";

async fn lab() -> Running {
    // Long enough that a death finds calls under way.
    let vendor = VendorConfig { service: "5..30".parse().unwrap(), ..VendorConfig::default() };
    let webhook = WebhookConfig {
        vendor: vendor.clone(),
        secrets: vec![SECRET.to_owned()],
        ..WebhookConfig::default()
    };
    let config = LabConfig { vendor, webhook, ..LabConfig::default() };
    Lab::start_with(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A table with a column that asks `asked`, and two that have an effect on `told`.
async fn columns(server: &Server, table: &str, cells: u64, (asked, told): (&Running, &Running)) {
    let n = json!([{"name": "n", "type": "number"}]);
    server.post("/api/tables", json!({"name": table, "columns": n})).await;
    let rows: Vec<Json> = (1..=cells).map(|n| json!({"n": n})).collect();
    server.post(&format!("/api/tables/{table}/rows"), json!({"rows": rows})).await;
    let (asked, told) = (asked.addr(), told.addr());
    let hook = json!({"provider": "webhook", "url": format!("http://{told}/webhook"), "secret": SECRET,
                      "body": {"n": "{{n}}"}});
    let post =
        json!({"url": format!("http://{told}/echo"), "method": "POST", "body": {"n": "{{n}}"}});
    for (name, kind, value, config) in [
        (
            "get",
            "http",
            "text",
            json!({"url": format!("http://{asked}/echo?n={{{{n}}}}"), "extract": "$.query"}),
        ),
        ("post", "http", "json", post),
        ("hook", "integration", "boolean", hook),
    ] {
        let rate = json!({
            "requests_per_second": 1_000, "max_concurrent": AT_ONCE, "retry_strategy": "fixed", "max_retries": 3,
            "retry_delay_ms": 100, "cool_down_on_429": true
        });
        let column = json!({"name": name, "kind": kind, "type": value, "config": config, "rate_limit": rate});
        server.post(&format!("/api/tables/{table}/smart-columns"), column).await;
    }
}

async fn runs(server: &Server, ids: &[i64]) -> Vec<Json> {
    let mut runs = Vec::new();
    for id in ids {
        runs.push(server.get(&format!("/api/runs/{id}")).await["data"].clone());
    }
    runs
}

fn has_ended(run: &Json) -> bool {
    run["status"].as_str().unwrap().starts_with("completed")
}

/// Fills one table; answers how many deaths found its runs at work.
async fn fill(
    mut server: Server,
    (table, cells): (&str, u64),
    most: u32,
    random: &Random,
) -> (Server, u32) {
    let clock = Clock::system();
    let (asked, told) = (lab().await, lab().await);
    columns(&server, table, cells, (&asked, &told)).await;
    let mut ids = Vec::new();
    for column in ["get", "post", "hook"] {
        let path = format!("/api/tables/{table}/columns/{column}");
        let plan = server.post(&format!("{path}/plan"), json!({})).await["data"]["plan"].clone();
        let run = server.post(&format!("{path}/run"), json!({"plan": plan})).await;
        ids.push(run["data"]["id"].as_i64().unwrap());
    }
    let mut found = 0;
    while found < most && !runs(&server, &ids).await.iter().all(has_ended) {
        clock.sleep(Duration::from_secs_f64(random.unit() * LIFE_MAX_MS / 1e3)).await;
        let home = server.kill().await;
        server = Server::start(home).await;
        found += 1;
    }
    let began = clock.now();
    while !runs(&server, &ids).await.iter().all(has_ended) {
        assert!(clock.now() - began < Duration::from_secs(120), "it does not end");
        clock.sleep(Duration::from_millis(50)).await;
    }
    check(&server, (table, cells), &runs(&server, &ids).await, (&asked, &told), found).await;
    (server, found)
}

async fn check(
    server: &Server,
    (table, cells): (&str, u64),
    runs: &[Json],
    (asked, told): (&Running, &Running),
    deaths: u32,
) {
    let count = |run: &Json, name: &str| run["counts"][name].as_u64().unwrap();
    for run in runs {
        assert_eq!(count(run, "completed") + count(run, "unknown"), cells, "{run}");
    }
    let unknown: u64 = runs.iter().map(|run| count(run, "unknown")).sum();
    assert_eq!(count(&runs[0], "unknown"), 0, "what may be repeated is never unknown");
    let listed = server.get(&format!("/api/tables/{table}/errors?state=unknown&limit=1000")).await;
    assert_eq!(listed["data"]["failed"], unknown, "{listed}");
    let hook = told.webhook().stats();
    for (seen, run) in [(&told.stats(), &runs[1]), (&hook.calls, &runs[2])] {
        assert_eq!(seen.duplicates, 0, "an effect twice");
        let completed = count(run, "completed");
        assert!((completed..=cells).contains(&seen.served), "{} effects", seen.served);
    }
    assert_eq!(hook.unsigned + hook.forged + hook.stale, 0, "each call is signed: {hook:?}");
    assert!(unknown <= u64::from(deaths) * 2 * AT_ONCE, "{unknown} unknown after {deaths} deaths");
    let again = asked.stats().served - cells;
    assert!(again <= u64::from(deaths) * AT_ONCE, "{again} calls again after {deaths} deaths");
}

/// Kills a server so often at work, over as many tables as it takes.
async fn kill(home: Home, cells: u64, most: u32) {
    let random = Random::system();
    let mut server = Server::start(home).await;
    let (mut deaths, mut tables) = (0, 0);
    while deaths < most {
        tables += 1;
        let found;
        (server, found) =
            fill(server, (&format!("t{tables}"), cells), most - deaths, &random).await;
        deaths += found;
        assert!(found > 0, "the runs are too fast to be killed");
    }
    #[expect(clippy::print_stdout, reason = "how much was shown")]
    {
        println!("{deaths} kills over {tables} tables of 3 x {cells} cells");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_runs_leave_an_effect_once_and_nothing_finished_is_called_again() {
    kill(Home::new(), CELLS, kills()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_runs_over_postgres_do_neither() {
    if let Some(home) = Home::postgres() {
        kill(home, CELLS_POSTGRES, kills_or(2)).await;
    }
}
