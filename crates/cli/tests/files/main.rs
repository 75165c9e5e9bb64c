//! The real server, killed without warning while it imports, exports, calls and delivers (issue 5, acceptance 7; issue 6,
//! acceptance 4): the database opens, every call that was acknowledged is there, and nothing is there by half.
//! `PACELINE_KILLS` says how often each. And the real server beside the real lab: storms, cancels, breakers (issue 6,
//! acceptance 3, 5, 8).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod columns;
mod deliveries;
mod lab;
#[path = "../../../store/tests/contract/server.rs"]
#[expect(dead_code, reason = "the store's own tests use all of it")]
#[expect(clippy::print_stdout, reason = "says what was left out")]
mod postgres;
mod server;
mod stops;

use std::fmt::Write as _;
use std::time::Duration;

use paceline_clock::{Clock, Random};
use serde_json::{Value as Json, json};
use server::{Home, Server};

const ROWS: usize = 100_000;
/// A kill comes within this time, from the moment that the server listens.
const MOMENT_MAX_MS: f64 = 250.0;

fn kills() -> u32 {
    kills_or(3)
}

/// How often a server is killed, if `PACELINE_KILLS` says nothing.
fn kills_or(default: u32) -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a count for the long mode of the tests")]
    let given = std::env::var("PACELINE_KILLS").ok();
    given.and_then(|count| count.parse().ok()).unwrap_or(default)
}

/// Rows of text, of which every thousandth has no number where one should be.
fn table() -> String {
    let mut csv = "n,text\n".to_owned();
    for n in 0..ROWS {
        let wrong = if n % 1_000 == 999 { "x" } else { "" };
        writeln!(csv, "{n}{wrong},\"row {n}, and some text\"").unwrap();
    }
    csv
}

/// Lets the server work on a job, killed up to so many times while it is at work; answers the job once it has ended, and how many kills found it
/// at work.
async fn through_kills(
    mut server: Server,
    id: i64,
    most: u32,
    random: &Random,
    mut check: impl AsyncFnMut(&Server),
) -> (Server, Json, u32) {
    let clock = Clock::system();
    let mut found = 0;
    while found < most {
        clock.sleep(Duration::from_secs_f64(random.unit() * MOMENT_MAX_MS / 1e3)).await;
        let home = server.kill().await;
        server = Server::start(home).await;
        let job = server.get(&format!("/api/jobs/{id}")).await;
        assert_eq!(job["data"]["id"], id, "an acknowledged job is there: {job}");
        check(&server).await;
        if !job["data"]["ended_at"].is_null() {
            break;
        }
        found += 1;
    }
    let began = clock.now();
    loop {
        let job = server.get(&format!("/api/jobs/{id}")).await["data"].clone();
        if !job["ended_at"].is_null() {
            return (server, job, found);
        }
        assert!(clock.now() - began < Duration::from_secs(300), "it does not end: {job}");
        clock.sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_import_and_export_lose_nothing_and_double_nothing() {
    let random = Random::system();
    let mut server = Server::start(Home::new()).await;
    let columns = json!([{"name": "n", "type": "number"}, {"name": "text", "type": "text"}]);
    let (mut imports, mut exports, mut rounds) = (0, 0, 0);
    // A job that ends before it is killed often enough is followed by another one.
    while imports < kills() || exports < kills() {
        rounds += 1;
        assert!(rounds <= 20 * kills(), "the jobs are too fast to be killed: {imports} {exports}");
        let table = format!("t{rounds}");
        server.post("/api/tables", json!({"name": table, "columns": columns})).await;
        let found;
        (server, found) = import(server, &table, kills().saturating_sub(imports), &random).await;
        imports += found;
        let found;
        (server, found) = export(server, &table, kills().saturating_sub(exports), &random).await;
        exports += found;
    }
    println!("kills that found a job at work: {imports} imports, {exports} exports");
}

async fn import(server: Server, name: &str, most: u32, random: &Random) -> (Server, u32) {
    let job = server.upload(&format!("/api/tables/{name}/imports/upload"), table()).await;
    let id = job["data"]["id"].as_i64().unwrap();
    let whole = async |server: &Server| {
        // Rows and the count of the job move together: what the table has, some state of the job says.
        let inserted =
            async || server.get(&format!("/api/jobs/{id}")).await["data"]["rows_inserted"].as_u64();
        let before = inserted().await;
        let rows = server.get(&format!("/api/tables/{name}/rows/count")).await;
        let rows = rows["data"]["count"].as_u64();
        let after = inserted().await;
        assert!(before <= rows && rows <= after, "{before:?} {rows:?} {after:?}");
    };
    let (server, job, found) = through_kills(server, id, most, random, whole).await;
    assert_eq!(job["status"], "completed_with_errors", "{job}");
    assert_eq!(job["rows_bad"], ROWS / 1_000);
    assert_eq!(job["rows_inserted"], ROWS - ROWS / 1_000);
    let report = server.fetch(job["bad_rows"][0]["url"].as_str().unwrap()).await;
    assert_eq!(report.lines().count(), ROWS / 1_000);
    (server, found)
}

async fn export(server: Server, name: &str, most: u32, random: &Random) -> (Server, u32) {
    let path = format!("/api/tables/{name}/exports");
    let export = server.post(&path, json!({"format": "csv"})).await;
    let id = export["data"]["job"]["id"].as_i64().unwrap();
    let (server, job, found) = through_kills(server, id, most, random, async |_| {}).await;
    assert_eq!(job["status"], "completed", "{job}");
    let file = server.fetch(job["file"]["url"].as_str().unwrap()).await;
    let wanted: String =
        table().split_inclusive('\n').filter(|line| !line.contains("x,")).collect();
    assert!(file == wanted, "every row once, in its order");
    (server, found)
}
