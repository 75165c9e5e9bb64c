//! Acceptance 9 of issue 6 through the real server: whatever the scripts of users do, it ends as the error of their cell,
//! and nobody else is worse off: not the other cells, not the other columns, not the answers over REST, not the memory of
//! the machine. What is measured is the processes' own account in `/proc`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured, for those who ask with --nocapture")]

mod abuse;
mod child;
mod server;
mod watch;

use std::time::Duration;

use abuse::Abuse;
use paceline_clock::Clock;
use paceline_lab::{Lab, Running, VendorConfig};
use serde_json::{Value as Json, json};
use server::{Caller, Server};
use tokio::sync::watch as told;

const ROWS: u64 = 60;
/// In every so manieth row each script misbehaves.
const EVERY: u64 = 20;
/// Rows in which they do.
const BAD: u64 = ROWS / EVERY;
const MIB: u64 = 1 << 20;
/// What a script may take by itself (`limits::SCRIPT_MEMORY_BYTES_MAX`).
const SCRIPT_BYTES: u64 = 64 * MIB;
/// What the server may take on top: rows, connections, pages that the allocators keep.
const SERVER_AIR_BYTES: u64 = 192 * MIB;
/// What a child may take on top: the program itself, the call and the answer.
const CHILD_AIR_BYTES: u64 = 96 * MIB;
/// Children for functions, for formulas that cannot be stopped, and for others while these keep the threads.
const CHILDREN_MAX: usize = 4 + 2 + 2;
/// Answers of a server that is busy come later, on two cores that seven scripts compete for. Those of one whose runtime
/// is kept by scripts wait for whole batches of them: for seconds, and again and again. What a call takes before the scripts
/// begin says how slow the machine is by itself.
/// A page of rows goes through several threads, each of which waits for its turn.
const P99_MAX: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(1)];
const IDLE_FACTOR: u32 = 20;
const LATENCY_MAX: Duration = Duration::from_secs(5);
/// Calls that say so.
const IDLE_CALLS: usize = 20;
const PATHS: [&str; 2] = ["/api/tables/t/rows?limit=10", "/healthz"];
/// All of it: a dozen seconds where there are two cores.
const END_WITHIN: Duration = Duration::from_secs(90);

/// A column that misbehaves.
struct Hostile {
    column: String,
    codes: &'static [&'static str],
}

async fn lab() -> Running {
    let config = VendorConfig { service: "5..30".parse().unwrap(), ..VendorConfig::default() };
    Lab::start(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await.unwrap()
}

async fn add(caller: &Caller, name: &str, kind: &str, config: Json) {
    let column = json!({"name": name, "kind": kind, "type": "text", "config": config});
    caller.post("/api/tables/t/smart-columns", column).await;
}

/// A table with a column for every abuse, of either kind, and one of each kind that does no harm.
async fn table(caller: &Caller, lab: &Running) -> Vec<Hostile> {
    let n = json!([{"name": "n", "type": "number"}]);
    caller.post("/api/tables", json!({"name": "t", "columns": n})).await;
    let rows: Vec<Json> = (1..=ROWS).map(|n| json!({"n": n})).collect();
    caller.post("/api/tables/t/rows", json!({"rows": rows})).await;
    add(caller, "good", "formula", json!({"formula": "`row ${n}`"})).await;
    let url = format!("http://{}/echo?n={{{{n}}}}", lab.addr());
    add(caller, "asked", "http", json!({"url": url, "extract": "$.query"})).await;
    let mut hostile = Vec::new();
    let mut script = async |kind: &str, of: &str, abuse: Abuse| {
        let column = format!("{kind}_{}", abuse.name);
        // A formula that binds a name of its own is not refused when it is made, whatever else it names.
        let fine = format!("const it = {of}; if (it % {EVERY} !== 1) return 'fine'");
        let script = format!("{fine}; {}", abuse.script);
        let config = match kind {
            "formula" => json!({"formula": script}),
            _ => {
                json!({"code": format!("function main(row) {{ {script} }}"), "args": {"n": "{{n}}"}})
            }
        };
        add(caller, &column, kind, config).await;
        hostile.push(Hostile { column, codes: abuse.codes });
    };
    for abuse in abuse::formulas() {
        script("formula", "n", abuse).await;
    }
    for abuse in abuse::functions() {
        script("function", "row.n", abuse).await;
    }
    hostile
}

async fn start_all(caller: &Caller, hostile: &[Hostile]) -> Vec<i64> {
    let mut runs = Vec::new();
    for one in hostile {
        runs.push(caller.run("t", &one.column).await);
    }
    runs
}

fn count(run: &Json, name: &str) -> u64 {
    run["counts"][name].as_u64().unwrap()
}

/// Runs the good formula again and again until told to stop; answers how often.
async fn goes_on(caller: Caller, stop: told::Receiver<bool>) -> u32 {
    let mut times = 0;
    while !*stop.borrow() {
        let id = caller.run("t", "good").await;
        let run = caller.ended(id).await;
        assert_eq!(count(&run, "completed"), ROWS, "{run}");
        times += 1;
    }
    times
}

/// Each hostile cell has ended with a code of its class, and no other cell with an error.
async fn check(caller: &Caller, hostile: &[Hostile], runs: &[i64]) {
    for (one, run) in hostile.iter().zip(runs) {
        let run = caller.ended(*run).await;
        let counts = (count(&run, "completed"), count(&run, "failed"));
        assert_eq!(counts, (ROWS - BAD, BAD), "{}: {run}", one.column);
        let path = format!("/api/tables/t/errors?column={}", one.column);
        let listed = caller.get(&path).await["data"].clone();
        for error in listed["errors"].as_array().unwrap() {
            let code = error["code"].as_str().unwrap();
            assert!(one.codes.contains(&code), "{}: {error}", one.column);
            assert_eq!(error["row"].as_u64().unwrap() % EVERY, 1, "{error}");
        }
    }
}

fn check_latency((what, p99_max): (&str, Duration), idle: &[Duration], all: &[Duration]) {
    let (idle, p99) = (idle[idle.len() / 2], all[all.len() * 99 / 100]);
    let most = *all.last().unwrap();
    println!("{what}: {idle:?} before; {} calls, p99 {p99:?}, max {most:?}", all.len());
    assert!(p99 < p99_max + IDLE_FACTOR * idle, "{what}: {idle:?} before, p99 {p99:?}");
    assert!(most < LATENCY_MAX + IDLE_FACTOR * idle, "{what}: {idle:?} before, max {most:?}");
}

fn check_memory(memory: &watch::Memory, baseline: u64) {
    let child = memory.children.values().max().copied().unwrap_or_default();
    println!(
        "server: {} MiB before, {} MiB at the most; {} children, {} at once, {} MiB each at the most",
        baseline / MIB,
        memory.own / MIB,
        memory.children.len(),
        memory.at_once,
        child / MIB
    );
    // As many formulas at once as there are cores.
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    assert!(memory.own < baseline + cores * SCRIPT_BYTES + SERVER_AIR_BYTES, "{memory:?}");
    // One that was killed may not be gone when the next one is there.
    assert!((1..=2 * CHILDREN_MAX).contains(&memory.at_once), "{memory:?}");
    assert!(child < SCRIPT_BYTES + CHILD_AIR_BYTES, "{memory:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_scripts_end_as_errors_of_their_cells_and_harm_nobody_else() {
    let (dir, lab, clock) = (tempfile::tempdir().unwrap(), lab().await, Clock::system());
    let server = Server::start(dir.path()).await;
    let caller = server.caller();
    let hostile = table(&caller, &lab).await;
    let first = caller.run("t", "good").await;
    caller.ended(first).await;
    let idle = [
        watch::latencies(&caller, PATHS[0], IDLE_CALLS).await,
        watch::latencies(&caller, PATHS[1], IDLE_CALLS).await,
    ];
    let baseline = watch::peak(server.pid()).unwrap();

    let began = clock.now();
    let (stop, stopped) = told::channel(false);
    let calls =
        PATHS.map(|path| tokio::spawn(watch::latency(caller.clone(), path, stopped.clone())));
    let memory = tokio::spawn(watch::memory(server.pid(), stopped.clone()));
    let good = tokio::spawn(goes_on(caller.clone(), stopped));
    let runs = start_all(&caller, &hostile).await;
    let asked = caller.run("t", "asked").await;
    let asked = caller.ended(asked).await;
    check(&caller, &hostile, &runs).await;
    let took = clock.now() - began;
    stop.send_replace(true);

    assert_eq!((count(&asked, "completed"), lab.stats().served), (ROWS, ROWS), "nothing else came");
    let times = good.await.unwrap();
    println!(
        "{} hostile columns in {took:?}; meanwhile the good one ran {times} times",
        runs.len()
    );
    assert!(times > 1 && took < END_WITHIN, "{times} {took:?}");
    for ((bound, idle), calls) in PATHS.into_iter().zip(P99_MAX).zip(idle).zip(calls) {
        check_latency(bound, &idle, &calls.await.unwrap());
    }
    check_memory(&memory.await.unwrap(), baseline);
    stops_in_the_middle(server, &hostile, dir.path()).await;
}

/// SIGTERM with hostile work in flight: the server ends well, its children with it, and the next one goes on.
async fn stops_in_the_middle(server: Server, hostile: &[Hostile], dir: &std::path::Path) {
    let (caller, clock) = (server.caller(), Clock::system());
    let runs = start_all(&caller, hostile).await;
    let began = clock.now();
    while watch::children(server.pid()).len() < 2 {
        assert!(clock.now() - began < END_WITHIN, "no function is called");
        clock.sleep(Duration::from_millis(5)).await;
    }
    let children = watch::children(server.pid());
    let asked = clock.now();
    assert_eq!(server.terminate().await.code(), Some(0));
    println!("ended {:?} after SIGTERM, with {} children", clock.now() - asked, children.len());
    while children.iter().any(|pid| watch::is_alive(*pid)) {
        assert!(clock.now() - asked < END_WITHIN, "a child outlives its server");
        clock.sleep(Duration::from_millis(5)).await;
    }

    let server = Server::start(dir).await;
    check(&server.caller(), hostile, &runs).await;
    assert_eq!(server.terminate().await.code(), Some(0));
}
