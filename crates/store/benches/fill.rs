//! How many cells without a call are filled per second, and in how much memory: a million rows of a number each, doubled, the
//! next batch being read and the last one written while one is filled, as the engine does it. On a file in the temporary
//! directory: `cargo bench -p paceline-store --bench fill`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on may panic")]
#![expect(clippy::print_stdout, reason = "the report of a bench")]

use std::sync::Arc;

use paceline_clock::Clock;
use paceline_model::{
    CellState, Column, ColumnType, Filled, FilledCells, Fingerprint, NewColumn, NewRun, NewTable,
    NextCells, Run, Scope, SmartColumn, SmartKind, Store, Task, Value, limits,
};
use paceline_store::SqliteStore;
use serde_json::json;

const ROWS: i64 = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let rows = if quick { 2_000 } else { ROWS };
    let clock = Clock::system();
    println!("| rows at once | scope | cells/s |\n|--:|---|--:|");
    for batch in [1_000, limits::FILL_CELLS_MAX] {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
        let columns = table(store.as_ref(), rows).await;
        // Empty cells, then full ones.
        for scope in [Scope::Empty, Scope::All] {
            let began = clock.now();
            fill(&store, &columns, scope, batch).await;
            let seconds = (clock.now() - began).as_secs_f64();
            println!("| {batch} | {} | {:.0} |", scope.as_str(), rows as f64 / seconds);
        }
    }
    if let Some(peak) = peak_memory() {
        println!("\nat most {peak} of memory");
    }
}

async fn table(store: &SqliteStore, rows: i64) -> Vec<Column> {
    let smart = SmartColumn {
        kind: SmartKind::Formula,
        config: json!({}),
        rate_limit: json!(null),
        version: 0,
    };
    let column = |name: &str, smart| {
        let (kind, options) = (ColumnType::Number, Vec::new());
        NewColumn { name: name.into(), title: None, kind, options, smart }
    };
    let columns = vec![column("n", None), column("double", Some(smart))];
    let table = NewTable { name: "t".into(), description: String::new(), columns };
    let table = store.create_table(table).await.unwrap();
    let numbers: Vec<i64> = (1..=rows).collect();
    for part in numbers.chunks(limits::INSERT_ROWS_MAX) {
        let rows = part.iter().map(|n| vec![Value::Int(*n)]).collect();
        store.insert_rows(table.id, &[table.columns[0].id], rows).await.unwrap();
    }
    table.columns
}

/// Reads the next batch while the last one is written, and fills in between.
async fn fill(store: &Arc<SqliteStore>, columns: &[Column], scope: Scope, batch: usize) {
    let inputs = [columns[0].id];
    let run = NewRun::new(columns[1].table, columns[1].id, scope);
    let run = store.create_run(run).await.unwrap();
    let mut next = store.next_cells(run.id, &inputs, None, batch).await.unwrap();
    loop {
        let (after, exhausted) = (next.cursor, next.exhausted);
        let write = store.fill_cells(run.id, doubled(next));
        let read = store.next_cells(run.id, &inputs, Some(after), batch);
        let (written, ahead) = tokio::join!(write, read);
        next = ahead.unwrap();
        if exhausted {
            return end(store, written.unwrap()).await;
        }
    }
}

async fn end(store: &Arc<SqliteStore>, run: Run) {
    assert_eq!(run.counts.completed, run.counts.total);
    let completed = paceline_model::RunStatus::Completed;
    store.set_run_status(run.id, completed, None).await.unwrap();
}

fn doubled(next: NextCells) -> FilledCells {
    let fill = |task: Task| {
        let value = match task.inputs[0] {
            Value::Int(n) => Value::Int(2 * n),
            _ => Value::Null,
        };
        let fingerprint = Some(Fingerprint { key: None, parts: vec![1, 2] });
        let (state, value) = (CellState::Completed, Some(value));
        Filled { row: task.row, state, value, error: None, fingerprint }
    };
    let cells = next.tasks.into_iter().map(fill).collect();
    FilledCells { after: next.after, cursor: next.cursor, cells, left: 0 }
}

/// As Linux tells it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
