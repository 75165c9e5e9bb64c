//! What the store takes per second on this machine, on a file in the temporary directory and on a PostgreSQL server beside
//! it that waits for its disk: `cargo bench -p paceline-store`; a word after `--` picks the cases with that word in their
//! name, `postgres` for example.
//!
//! Each figure is the median of several rounds, each round on a fresh database. The plain loop of one prepared statement
//! in one transaction is measured beside the inserts, as the most that SQLite gives.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on may panic")]
#![expect(clippy::print_stdout, reason = "the report of a bench")]

#[path = "../tests/contract/server.rs"]
#[expect(dead_code, reason = "the cases need more of it")]
mod server;

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Tick};
use paceline_model::{
    Attempt, AttemptClass, CellState, ColumnId, ColumnType, Lease, NewColumn, NewRun, NewTable,
    RowId, Run, Scope, SmartColumn, SmartKind, Store, Table, TaskReport, TaskStep, Value,
};
use paceline_store::{Access, PostgresStore, SqliteStore};
use serde_json::json;
use server::Server;

const ROUNDS: usize = 5;
const ROWS: i64 = 100_000;
const LEASE: Lease = Lease { token: 1, lease: Duration::from_secs(3_600) };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it runs.
    let quick = arguments.iter().any(|argument| argument == "--test");
    let word = arguments.into_iter().find(|argument| !argument.starts_with('-'));
    let (rounds, rows) = if quick { (1, 2_000) } else { (ROUNDS, ROWS) };
    let report = |what: &str, rows: i64, round: &mut dyn FnMut() -> Duration| {
        if word.as_ref().is_none_or(|word| what.contains(word.as_str())) {
            let mut times: Vec<Duration> = (0..rounds).map(|_| round()).collect();
            times.sort_unstable();
            print_rate(what, rows, times[times.len() / 2]);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let clock = Clock::system();
    report("sqlite: insert, plain prepared statement", rows, &mut || plain_insert(&clock, rows));
    for pending in if quick { vec![1_000] } else { vec![1_000, 100_000, 1_000_000] } {
        let what = format!("sqlite: claim and finish, {pending} pending");
        if word.as_ref().is_none_or(|word| what.contains(word.as_str())) {
            print_costs(&what, &runtime.block_on(costs(&clock, pending)));
        }
    }
    let server = server::find().map(|binaries| Server::start(&binaries, ""));
    let kinds = [Some(Kind::Sqlite), server.as_ref().map(Kind::Postgres)];
    for kind in kinds.into_iter().flatten() {
        let rows = if matches!(kind, Kind::Sqlite) { rows } else { rows / 5 };
        measure(&runtime, &clock, kind, rows, &report);
    }
}

/// Which store is measured.
#[derive(Clone, Copy)]
enum Kind<'s> {
    Sqlite,
    Postgres(&'s Server),
}

/// A store with nothing in it, and what goes with it.
struct Opened {
    store: Arc<dyn Store>,
    _dir: tempfile::TempDir,
}

impl Kind<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    fn open(self, clock: &Clock) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = match self {
            Self::Sqlite => SqliteStore::open(dir.path(), clock.clone()).unwrap(),
            Self::Postgres(server) => {
                let url = server.url(&server.database());
                PostgresStore::open(&url, clock.clone(), Access::Alone).unwrap()
            }
        };
        Opened { store, _dir: dir }
    }
}

type Report<'r> = dyn Fn(&str, i64, &mut dyn FnMut() -> Duration) + 'r;

fn measure(
    runtime: &tokio::runtime::Runtime,
    clock: &Clock,
    kind: Kind<'_>,
    rows: i64,
    report: &Report<'_>,
) {
    let name = kind.name();
    report(&format!("{name}: insert_rows, 10,000 x 6 per call"), rows, &mut || {
        runtime.block_on(insert(clock, kind, rows))
    });
    for batch in [1, 16, 256, 1_000] {
        let rows = if batch == 1 { rows / 10 } else { rows };
        let mut claims = Vec::new();
        report(&format!("{name}: record, {batch} per call"), rows, &mut || {
            let (claiming, recording) = runtime.block_on(fill(clock, kind, rows, batch));
            claims.push(claiming);
            recording
        });
        claims.sort_unstable();
        if let Some(time) = claims.get(claims.len() / 2) {
            print_rate(&format!("{name}: claim_tasks, {batch} per call"), rows, *time);
        }
    }
    report(&format!("{name}: record, 256 per call, second run"), rows, &mut || {
        runtime.block_on(fill_again(clock, kind, rows, 256))
    });
    report(&format!("{name}: claim and record, 16 per call, 16 callers"), rows, &mut || {
        runtime.block_on(fill_together(clock, kind, rows, 16, 16))
    });
    let intents = rows / 10;
    report(&format!("{name}: record_intents, 256 per call, synced"), intents, &mut || {
        runtime.block_on(intend(clock, kind, intents, 256))
    });
}

fn print_rate(what: &str, rows: i64, time: Duration) {
    println!("{what:<44} {:>12.0} per s", rows as f64 / time.as_secs_f64());
}

/// What one cell costs at the beginning of a run over so many, in four shapes of a run: plain; over cells that are filled
/// already; the first of them that a filter passes; after a run before it that has done the same rows.
struct Costs {
    plain: (f64, f64),
    again: (f64, f64),
    filtered: (f64, f64),
    after: (f64, f64),
}

fn print_costs(what: &str, costs: &Costs) {
    for (shape, (claim, finish)) in [
        ("first run", costs.plain),
        ("second run", costs.again),
        ("filtered", costs.filtered),
        ("after another", costs.after),
    ] {
        println!("{what:<44} {shape:<14} claim {claim:>7.2} us, finish {finish:>7.2} us per cell");
    }
}

/// Cells whose cost is measured, so that most of the run is still to come.
const MEASURED: usize = 20_000;

async fn costs(clock: &Clock, pending: i64) -> Costs {
    let (opened, table) = prepared(clock, Kind::Sqlite, pending).await;
    let store = opened.store.as_ref();
    let most = MEASURED.min(usize::try_from(pending).unwrap());
    let over = paceline_model::RunStatus::Cancelled;
    let options = paceline_model::RunOptions::default();
    let first = start(store, &table).await;
    let plain = fill_some(clock, store, &first, most, 1).await;
    let mut next = table.columns[6].clone();
    next.name = "second".into();
    let next = NewColumn {
        name: next.name,
        title: None,
        kind: next.kind,
        options: Vec::new(),
        smart: next.smart,
    };
    let next = store.add_column(table.id, next).await.unwrap();
    let gated = paceline_model::RunOptions { after: vec![first.id], ..options.clone() };
    let new = NewRun { options: gated, ..NewRun::new(table.id, next.id, Scope::All) };
    let second = store.create_run(new).await.unwrap();
    let after = fill_some(clock, store, &second, most, 1).await;
    store.set_run_status(first.id, over, None).await.unwrap();
    let run = start(store, &table).await;
    let again = fill_some(clock, store, &run, most, 2).await;
    store.set_run_status(run.id, over, None).await.unwrap();
    let even = paceline_model::Filter::Test(paceline_model::Test {
        subject: paceline_model::Subject::Column(table.columns[4].id),
        path: Vec::new(),
        operator: paceline_model::Operator::Eq(Value::Text("Lisbon".into())),
    });
    let narrow = paceline_model::RunOptions { filter: Some(even), ..options };
    let new = NewRun { options: narrow, ..NewRun::new(table.id, table.columns[6].id, Scope::All) };
    let run = store.create_run(new).await.unwrap();
    let filtered = fill_some(clock, store, &run, most / 2, 3).await;
    Costs { plain, again, filtered, after }
}

/// Claims and finishes about so many cells, 256 at a time; microseconds per cell of both.
async fn fill_some(
    clock: &Clock,
    store: &dyn Store,
    run: &Run,
    most: usize,
    round: u8,
) -> (f64, f64) {
    let (mut claiming, mut recording, mut done) = (Duration::ZERO, Duration::ZERO, 0_usize);
    while done < most {
        let start = clock.now();
        let claim = store.claim_tasks(run.id, &[], LEASE, 256).await.unwrap();
        claiming += since(clock, start);
        if claim.tasks.is_empty() {
            break;
        }
        done += claim.tasks.len();
        let reports = claim.tasks.iter().map(|task| finished(clock, task.row, round)).collect();
        let start = clock.now();
        store.record(run.id, LEASE.token, reports).await.unwrap();
        recording += since(clock, start);
    }
    let per_cell = |time: Duration| time.as_secs_f64() * 1e6 / done.max(1) as f64;
    (per_cell(claiming), per_cell(recording))
}

fn row(n: i64) -> Vec<Value> {
    vec![
        Value::Int(n),
        Value::Text(format!("person{n}@example.com")),
        Value::Text(format!("Person Number {n}")),
        Value::Number(n as f64 / 7.0),
        if n % 3 == 0 { Value::Null } else { Value::Text("Lisbon".into()) },
        Value::Int(n * 3),
    ]
}

fn since(clock: &Clock, start: Tick) -> Duration {
    clock.now() - start
}

/// The same rows by the driver alone.
fn plain_insert(clock: &Clock, rows: i64) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("plain.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 16384;
         CREATE TABLE t (id INTEGER PRIMARY KEY, made INTEGER, changed INTEGER,
            a ANY, b TEXT, c TEXT, d ANY, e TEXT, f ANY) STRICT",
    )
    .unwrap();
    let made: Vec<Vec<Value>> = (1..=rows).map(row).collect();
    let start = clock.now();
    conn.execute_batch("BEGIN").unwrap();
    let mut statement =
        conn.prepare("INSERT INTO t VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8)").unwrap();
    for (id, row) in (1_i64..).zip(&made) {
        statement.raw_bind_parameter(1, id).unwrap();
        statement.raw_bind_parameter(2, 0).unwrap();
        for (index, value) in row.iter().enumerate() {
            let index = index + 3;
            match value {
                Value::Int(n) => statement.raw_bind_parameter(index, n).unwrap(),
                Value::Number(x) => statement.raw_bind_parameter(index, x).unwrap(),
                Value::Text(text) => statement.raw_bind_parameter(index, text).unwrap(),
                _ => statement.raw_bind_parameter(index, None::<i64>).unwrap(),
            }
        }
        statement.raw_execute().unwrap();
    }
    drop(statement);
    conn.execute_batch("COMMIT").unwrap();
    since(clock, start)
}

async fn people(store: &dyn Store) -> Table {
    let kinds = [
        ColumnType::Number,
        ColumnType::Email,
        ColumnType::Text,
        ColumnType::Number,
        ColumnType::Text,
        ColumnType::Number,
    ];
    let plain = |name: String, kind| NewColumn {
        name,
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let mut columns: Vec<NewColumn> =
        kinds.iter().enumerate().map(|(n, kind)| plain(format!("c{n}"), *kind)).collect();
    let smart = SmartColumn {
        kind: SmartKind::Http,
        config: json!({}),
        rate_limit: json!("aggressive"),
        version: 1,
    };
    columns.push(NewColumn { smart: Some(smart), ..plain("answer".into(), ColumnType::Text) });
    let table = NewTable { name: "people".into(), description: String::new(), columns };
    store.create_table(table).await.unwrap()
}

async fn insert_all(clock: &Clock, store: &dyn Store, table: &Table, rows: i64) -> Duration {
    let columns: Vec<ColumnId> = table.columns[..6].iter().map(|column| column.id).collect();
    let numbers: Vec<i64> = (1..=rows).collect();
    let calls: Vec<Vec<Vec<Value>>> =
        numbers.chunks(10_000).map(|part| part.iter().map(|n| row(*n)).collect()).collect();
    let start = clock.now();
    for rows in calls {
        store.insert_rows(table.id, &columns, rows).await.unwrap();
    }
    since(clock, start)
}

async fn insert(clock: &Clock, kind: Kind<'_>, rows: i64) -> Duration {
    let opened = kind.open(clock);
    let table = people(opened.store.as_ref()).await;
    insert_all(clock, opened.store.as_ref(), &table, rows).await
}

/// A first answer of forty characters, or another one the second time: writing the same bytes again would be free.
fn finished(clock: &Clock, row: RowId, round: u8) -> TaskReport {
    let now = clock.wall();
    let attempt = Attempt {
        sent_at: Some(now.before(Duration::from_millis(30))),
        status: Some(200),
        ..Attempt::new(1, AttemptClass::Success, now)
    };
    let value = Some(Value::Text(format!("answer {round} for row {row:.>24}")));
    let step = TaskStep::Finish { state: CellState::Completed, value, error: None };
    TaskReport::new(row, Some(attempt), step)
}

/// Claims and finishes everything; the times of all claims and of all records.
async fn fill_run(
    clock: &Clock,
    store: &dyn Store,
    run: &Run,
    batch: usize,
    round: u8,
) -> (Duration, Duration) {
    let (mut claiming, mut recording) = (Duration::ZERO, Duration::ZERO);
    loop {
        let start = clock.now();
        let claim = store.claim_tasks(run.id, &[], LEASE, batch).await.unwrap();
        claiming += since(clock, start);
        let reports = claim.tasks.iter().map(|task| finished(clock, task.row, round)).collect();
        let start = clock.now();
        store.record(run.id, LEASE.token, reports).await.unwrap();
        recording += since(clock, start);
        if claim.exhausted {
            return (claiming, recording);
        }
    }
}

async fn prepared(clock: &Clock, kind: Kind<'_>, rows: i64) -> (Opened, Table) {
    let opened = kind.open(clock);
    let table = people(opened.store.as_ref()).await;
    insert_all(clock, opened.store.as_ref(), &table, rows).await;
    (opened, table)
}

async fn start(store: &dyn Store, table: &Table) -> Run {
    let run = NewRun::new(table.id, table.columns[6].id, Scope::All);
    store.create_run(run).await.unwrap()
}

async fn fill(clock: &Clock, kind: Kind<'_>, rows: i64, batch: usize) -> (Duration, Duration) {
    let (opened, table) = prepared(clock, kind, rows).await;
    let store = &opened.store;
    let run = start(store.as_ref(), &table).await;
    fill_run(clock, store.as_ref(), &run, batch, 1).await
}

async fn fill_again(clock: &Clock, kind: Kind<'_>, rows: i64, batch: usize) -> Duration {
    let (opened, table) = prepared(clock, kind, rows).await;
    let store = &opened.store;
    let first = start(store.as_ref(), &table).await;
    fill_run(clock, store.as_ref(), &first, batch, 1).await;
    store.set_run_status(first.id, paceline_model::RunStatus::Completed, None).await.unwrap();
    let second = start(store.as_ref(), &table).await;
    fill_run(clock, store.as_ref(), &second, batch, 2).await.1
}

/// Several callers that claim and record side by side, whose commands share commits.
async fn fill_together(
    clock: &Clock,
    kind: Kind<'_>,
    rows: i64,
    batch: usize,
    callers: usize,
) -> Duration {
    let (opened, table) = prepared(clock, kind, rows).await;
    let store = &opened.store;
    let run = start(store.as_ref(), &table).await;
    let begin = clock.now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (clock, store, run) = (clock.clone(), store.clone(), run.clone());
            tokio::spawn(async move { fill_run(&clock, store.as_ref(), &run, batch, 1).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    since(clock, begin)
}

async fn intend(clock: &Clock, kind: Kind<'_>, rows: i64, batch: usize) -> Duration {
    let (opened, table) = prepared(clock, kind, rows).await;
    let store = &opened.store;
    let run = start(store.as_ref(), &table).await;
    let mut time = Duration::ZERO;
    loop {
        let claim = store.claim_tasks(run.id, &[], LEASE, batch).await.unwrap();
        let held: Vec<RowId> = claim.tasks.iter().map(|task| task.row).collect();
        let start = clock.now();
        store.record_intents(run.id, LEASE.token, &held).await.unwrap();
        time += since(clock, start);
        if claim.exhausted {
            return time;
        }
    }
}
