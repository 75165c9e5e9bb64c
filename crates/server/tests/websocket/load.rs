//! The load of the acceptance: 200 clients on one table, 20,000 rows, 5,000 cells of a real run against the lab, and one
//! client that does not read. Each client's replay of its feed is held against the database.

use std::collections::BTreeMap;
use std::fs;

use futures_util::StreamExt;
use paceline_clock::Clock;
use paceline_lab::{Lab, VendorConfig};
use paceline_model::{ColumnId, RowId, RowQuery, Scope, TableId};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::feed::from_row;
use crate::model::{Model, Replay};
use crate::support::{Peer, Server};

const CLIENTS: usize = 200;
const CELLS: usize = 5_000;

/// Reads until it has come as far as the number says that it is told at the end.
async fn replay(mut peer: Peer, clock: Clock, mut until: watch::Receiver<i64>) -> Replay {
    let mut replay = Replay::default();
    loop {
        let end = *until.borrow_and_update();
        if replay.came.last().is_some_and(|(at, _)| *at >= end) {
            return replay;
        }
        tokio::select! {
            packet = peer.socket.next() => match packet.unwrap().unwrap() {
                Message::Text(text) => replay.apply(&text, clock.wall().as_micros()),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            },
            changed = until.changed() => changed.unwrap(),
        }
    }
}

/// Memory of this process, the clients and the vendor in it, in MiB: now, or at its highest.
fn memory_mib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() / 1_024
}

async fn database(server: &Server, table: TableId, column: ColumnId) -> Model {
    let (mut model, mut after) = (Model::default(), RowId(0));
    let records = server.store().cells(column, RowId(1), RowId(CELLS as i64)).await.unwrap();
    let states: BTreeMap<_, _> =
        records.iter().map(|cell| (cell.row, cell.state.as_str())).collect();
    loop {
        let query = RowQuery { columns: vec![column], after, limit: 1_000, ..RowQuery::of(table) };
        let rows = server.store().rows(query).await.unwrap();
        let Some(last) = rows.last() else { return model };
        after = last.id;
        for row in rows {
            model.rows.insert(row.id.0);
            if let Some(state) = states.get(&row.id) {
                let value = row.values[0].to_json().as_str().unwrap_or_default().to_owned();
                model.cells.insert(row.id.0, ((*state).to_owned(), value));
            }
        }
    }
}

/// When each change was made, by its number.
async fn changes(server: &Server, table: TableId) -> Vec<(i64, i64)> {
    let mut made: Vec<(i64, i64)> = Vec::new();
    loop {
        let after = made.last().map_or(0, |(sequence, _)| *sequence);
        let (page, _) = server.store().changes_after(table, after, 1_000).await.unwrap();
        if page.is_empty() {
            return made;
        }
        made.extend(page.iter().map(|change| (change.sequence, change.at.as_micros())));
    }
}

/// From the moment that a change was made (the clock of its transaction, before the commit) to its arrival, for every
/// change at every client, ascending, in ms.
fn delays(made: &[(i64, i64)], replays: &[Replay]) -> Vec<f64> {
    let mut all = Vec::new();
    for replay in replays {
        let first = replay.came[0].0;
        let mut came = replay.came.iter();
        let mut next = came.next();
        for (sequence, at) in made.iter().filter(|(sequence, _)| *sequence > first) {
            while next.is_some_and(|(reached, _)| reached < sequence) {
                next = came.next();
            }
            if let Some((_, came_at)) = next {
                all.push((came_at - at) as f64 / 1e3);
            }
        }
    }
    all.sort_by(f64::total_cmp);
    all
}

fn report(what: &str, delays: &[f64]) {
    let quantile = |q: f64| delays[((delays.len() - 1) as f64 * q) as usize];
    let (half, most, all) = (quantile(0.5), quantile(0.99), quantile(1.0));
    say(&format!(
        "{what:<28} {:>9} deliveries   p50 {half:>6.1} ms   p99 {most:>6.1} ms   max {all:>6.1} ms",
        delays.len()
    ));
}

#[expect(clippy::print_stdout, reason = "the figures are what this test is run for")]
fn say(line: &str) {
    println!("{line}");
}

async fn work(server: &Server, table: TableId) -> [i64; 3] {
    let last = async || changes(server, table).await.last().unwrap().0;
    let pause = || server.clock.sleep(std::time::Duration::from_millis(500));
    server.insert("t", 10_000).await;
    let once = last().await;
    pause().await;
    for _ in 0..100 {
        server.insert("t", 100).await;
    }
    let hundred = last().await;
    pause().await;
    // All but the rows that the run is to fill.
    for first in [10_001, CELLS as i64 + 1] {
        server.store().delete_rows(table, from_row(first)).await.unwrap();
    }
    let now = server.store().table("t").await.unwrap().unwrap();
    let run = server.engine.start_run(&now, "near", Scope::Empty).await.unwrap();
    server.engine.wait(run.id).await.unwrap();
    [once, hundred, last().await]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a load test: run it with --release and --nocapture"]
async fn two_hundred_clients_miss_nothing_and_wait_little() {
    let server = Server::start().await;
    let lab = Lab::start(VendorConfig::default(), server.clock.clone(), ([127, 0, 0, 1], 0).into());
    let lab = lab.await.unwrap();
    let columns = json!([{"name": "a", "type": "text"}]);
    server.post("/api/tables", json!({"name": "t", "columns": columns})).await;
    let url = format!("http://{}/geo/nearest?lat=42.36&lon=-71.01", lab.addr());
    let rate = json!({"requests_per_second": 1_000, "max_concurrent": 6, "max_retries": 3,
        "retry_strategy": "fixed", "retry_delay_ms": 100, "cool_down_on_429": true});
    let column = json!({"name": "near", "type": "text", "kind": "http", "rate_limit": rate,
        "config": {"url": url, "extract": "$.name"}});
    server.post("/api/tables/t/smart-columns", column).await;
    let table = server.store().table("t").await.unwrap().unwrap();
    let near = table.column("near").unwrap().id;

    let before = memory_mib("VmRSS:");
    let (until, end) = watch::channel(i64::MAX);
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let peer = server.follow_as("t", &n.to_string()).await;
        clients.spawn(replay(peer, server.clock.clone(), end.clone()));
    }
    let mut slow = server.follow_slowly("t").await;
    slow.hears("hello").await;
    let opened = memory_mib("VmRSS:");
    let began = server.clock.now();
    let marks = work(&server, table.id).await;
    let took = server.clock.now() - began;
    until.send(marks[2]).unwrap();
    let mut replays = clients.join_all().await;

    let database = database(&server, table.id, near).await;
    assert_eq!((database.rows.len(), database.cells.len()), (CELLS, CELLS));
    let (mut bytes, mut named) = (0, 0);
    for replay in &mut replays {
        bytes = bytes.max(replay.bytes);
        named = named.max(replay.named.len());
        replay.read_named(&database);
        assert!(replay.model == database, "a client has missed something");
        assert_eq!(replay.run_status, "completed");
    }
    let made = changes(&server, table.id).await;
    let part = |from: i64, to: i64| -> Vec<_> {
        made.iter().copied().filter(|(at, _)| (from + 1..=to).contains(at)).collect()
    };
    say(&format!(
        "{CLIENTS} clients and one that does not read, {} changes in {:.1} s, {bytes} bytes to each client, {named} cells named only",
        made.len(),
        took.as_secs_f64()
    ));
    report("10,000 rows in one call", &delays(&part(0, marks[0]), &replays));
    report("10,000 rows in 100 calls", &delays(&part(marks[0], marks[1]), &replays));
    report("cells of the run", &delays(&part(marks[1], marks[2]), &replays));
    let all = delays(&made, &replays);
    report("all", &all);
    say(&format!(
        "memory: {before} MiB before, {opened} MiB with the clients, {} MiB after, {} MiB at its highest",
        memory_mib("VmRSS:"),
        memory_mib("VmHWM:")
    ));
    let p99 = all[(all.len() - 1) * 99 / 100];
    assert!(p99 < 250.0, "p99 is {p99} ms");
    server.stop().await;
}
