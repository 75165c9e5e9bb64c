//! What one call costs: 10,000 rows into a table over REST, beside the same rows by one prepared statement in one
//! transaction of the embedded database: `cargo bench -p paceline-server --bench insert`.
//!
//! The call is everything but the socket: the body's text through the router, read, typed, checked, written, committed.
//! Both write to files in the temporary directory with the same settings, in turns, on tables that begin empty.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on may panic")]
#![expect(clippy::print_stdout, reason = "the report of a bench")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig};
use paceline_server::{ApiKeys, App, AppParts, ServerConfig, router};
use paceline_store::SqliteStore;
use rusqlite::{Connection, params};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

/// As in the binary, whose figures these stand for; both sides have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: &str = "bench-key";
const ROUNDS: usize = 31;
const ROWS: usize = 10_000;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let (rounds, rows) = if quick { (1, 100) } else { (ROUNDS, ROWS) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Clock::system();
    let body = json!({ "rows": (0..rows).map(row).collect::<Vec<_>>() }).to_string();
    let (mut calls, mut plains) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        calls.push(runtime.block_on(call(&clock, body.clone())));
        plains.push(plain(&clock, rows));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (call, plain) = (median(&mut calls), median(&mut plains));
    println!("{rows} rows of 6 values in one REST call ({} kB): {call:.1} ms", body.len() / 1000);
    println!("the same rows by one prepared statement:          {plain:.1} ms");
    println!("ratio of the medians of {rounds} rounds: {:.2}", call / plain);
}

fn row(number: usize) -> Json {
    json!({
        "name": format!("Person {number} of Somewhere"),
        "email": format!("person{number}@example.com"),
        "company": format!("Company {} Incorporated", number % 1_000),
        "score": number as f64 / 7.0,
        "active": number.is_multiple_of(3),
        "seen_at": format!("2026-01-{:02}T10:20:30Z", number % 28 + 1),
    })
}

async fn call(clock: &Clock, body: String) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
    let random = Random::seeded(1);
    let engine = Engine::new(store, clock.clone(), random.clone(), EngineConfig::default());
    let app = router(App::new(AppParts {
        engine,
        clock: clock.clone(),
        random,
        keys: ApiKeys::from_key(KEY).unwrap(),
        config: ServerConfig::default(),
        dir: None,
    }));
    let columns = json!([
        {"name": "name", "type": "text"},
        {"name": "email", "type": "email"},
        {"name": "company", "type": "text"},
        {"name": "score", "type": "number"},
        {"name": "active", "type": "boolean"},
        {"name": "seen_at", "type": "datetime"},
    ]);
    let table = json!({"name": "leads", "columns": columns}).to_string();
    post(&app, "/api/tables", table).await;
    let began = clock.now();
    post(&app, "/api/tables/leads/rows", body).await;
    clock.now() - began
}

async fn post(app: &Router, path: &str, body: String) {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let reply = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply));
}

fn plain(clock: &Clock, rows: usize) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = Connection::open(dir.path().join("plain.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = normal;
         CREATE TABLE leads (id INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
             name TEXT, email TEXT, company TEXT, score REAL, active INTEGER, seen_at TEXT);",
    )
    .unwrap();
    // The values are there already: what is measured is the database alone.
    let values: Vec<(String, String, String, f64, bool, String)> = (0..rows)
        .map(|number| {
            let row = row(number);
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let (score, active) =
                (row["score"].as_f64().unwrap(), row["active"].as_bool().unwrap());
            (text("name"), text("email"), text("company"), score, active, text("seen_at"))
        })
        .collect();
    let began = clock.now();
    let transaction = conn.transaction().unwrap();
    {
        let mut statement = transaction
            .prepare("INSERT INTO leads VALUES (NULL, ?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .unwrap();
        for (name, email, company, score, active, seen_at) in &values {
            statement.execute(params![1, name, email, company, score, active, seen_at]).unwrap();
        }
    }
    transaction.commit().unwrap();
    clock.now() - began
}
