//! What finding rows costs in a table of a million on SQLite, none of its columns indexed, and how much memory it takes:
//! `cargo bench -p paceline-store --bench rows`. Each figure is the median of several rounds.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on may panic")]
#![expect(clippy::print_stdout, reason = "the report of a bench")]

use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{
    ColumnId, ColumnType, Filter, NewColumn, NewTable, RowId, RowQuery, Sort, Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

const ROUNDS: usize = 5;
const ROWS: i64 = 1_000_000;
const PART: i64 = 10_000;
const TAGS: [&str; 2] = ["a", "b"];

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let rows = if quick { PART } else { ROWS };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(measure(rows, if quick { 1 } else { ROUNDS }));
}

struct Bench {
    clock: Clock,
    store: std::sync::Arc<SqliteStore>,
    table: Table,
    rounds: usize,
}

async fn measure(rows: i64, rounds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
    let table = make(store.as_ref()).await;
    fill(store.as_ref(), &table, rows).await;
    let bench = Bench { clock, store, table, rounds };
    println!("{rows} rows; peak {} MB", peak_mb());
    bench.finding(rows).await;
    bench.paging(rows).await;
    bench.writing(rows).await;
}

impl Bench {
    async fn finding(&self, rows: i64) {
        let needle = format!("{}@example.com", rows - 1);
        let filters = [
            ("text eq, one row", json!({"email": needle})),
            ("text contains, one row", json!({"email": {"contains": &needle[1..]}})),
            ("number between, half of them", json!({"score": {"between": [0, rows / 2]}})),
            ("inside JSON, one in 1,000", json!({"data.n": 7})),
            ("options contain, one in 3", json!({"tags": {"contains": "a"}})),
            ("10,000 ids", json!({"_ht_id": {"in": (1..=PART).collect::<Vec<_>>()}})),
        ];
        for (name, filter) in filters {
            let filter = Filter::parse(&self.table, &filter).unwrap();
            let found = self.store.count_rows(self.table.id, Some(filter.clone())).await.unwrap();
            self.report(&format!("count: {name} ({found})"), async || {
                self.store.count_rows(self.table.id, Some(filter.clone())).await.unwrap();
            })
            .await;
        }
        self.report("count: all", async || {
            self.store.count_rows(self.table.id, None).await.unwrap();
        })
        .await;
    }

    async fn paging(&self, rows: i64) {
        let page = self.query(&json!({}), &json!(null));
        self.page(
            "page of 100 in id order, at the end",
            RowQuery { after: RowId(rows - 100), ..page.clone() },
        )
        .await;
        self.page("page of 100 in id order, backwards", self.query(&json!({}), &json!("-_ht_id")))
            .await;
        self.page(
            "page of 100, offset half",
            RowQuery { offset: rows.cast_unsigned() / 2, ..page },
        )
        .await;
        self.page(
            "page of 100 by filter, one row at the end",
            self.query(&json!({"email": format!("{}@example.com", rows - 1)}), &json!(null)),
        )
        .await;
        for sort in [json!({"score": "desc"}), json!({"city": "asc", "score": "desc"})] {
            let query = self.query(&json!({}), &sort);
            self.page(&format!("page of 100 by {sort}"), query.clone()).await;
            let keys = query.sort.iter().map(|key| match key.subject {
                paceline_model::Subject::Column(id) if id == self.column("city") => {
                    Value::Text("city 500".into())
                }
                _ => Value::Int(rows / 2),
            });
            let after_keys = keys.collect();
            self.page(
                "  the page after the middle",
                RowQuery { after: RowId(rows / 2), after_keys, ..query.clone() },
            )
            .await;
            self.page("  offset half", RowQuery { offset: rows.cast_unsigned() / 2, ..query })
                .await;
        }
    }

    async fn writing(&self, rows: i64) {
        let half = Filter::parse(&self.table, &json!({"_ht_id": {"lte": rows / 2}})).unwrap();
        let columns = [self.column("city")];
        self.once("update half", async || {
            self.store
                .update_rows(self.table.id, half.clone(), &columns, vec![Value::Text("new".into())])
                .await
                .unwrap();
        })
        .await;
        let upsert = |first: i64| (first..first + PART).map(row).collect::<Vec<_>>();
        let columns: Vec<ColumnId> = self.table.columns.iter().map(|column| column.id).collect();
        self.once("upsert 10,000 that are there, by text", async || {
            self.store
                .upsert_rows(self.table.id, &columns[..1], &columns, upsert(rows - PART))
                .await
                .unwrap();
        })
        .await;
        self.once("upsert 10,000 that are new, by text", async || {
            self.store
                .upsert_rows(self.table.id, &columns[..1], &columns, upsert(rows + 1))
                .await
                .unwrap();
        })
        .await;
        self.once("delete half", async || {
            self.store.delete_rows(self.table.id, half.clone()).await.unwrap();
        })
        .await;
    }

    fn column(&self, name: &str) -> ColumnId {
        self.table.column(name).unwrap().id
    }

    fn query(&self, filter: &Json, sort: &Json) -> RowQuery {
        RowQuery {
            columns: self.table.columns.iter().map(|column| column.id).collect(),
            filter: Some(Filter::parse(&self.table, filter).unwrap())
                .filter(|f| *f != Filter::All(vec![])),
            sort: Sort::parse(&self.table, sort).unwrap(),
            limit: 100,
            ..RowQuery::of(self.table.id)
        }
    }

    async fn page(&self, name: &str, query: RowQuery) {
        self.report(name, async || {
            self.store.rows(query.clone()).await.unwrap();
        })
        .await;
    }

    async fn report(&self, name: &str, work: impl AsyncFn()) {
        let mut times = Vec::new();
        for _ in 0..self.rounds {
            times.push(self.time(&work).await);
        }
        times.sort_unstable();
        print(name, times[times.len() / 2]);
    }

    async fn once(&self, name: &str, work: impl AsyncFn()) {
        print(name, self.time(&work).await);
    }

    async fn time(&self, work: &impl AsyncFn()) -> Duration {
        let began = self.clock.now();
        work().await;
        self.clock.now() - began
    }
}

fn print(name: &str, time: Duration) {
    println!("{name:<60} {:>10.2} ms, peak {} MB", time.as_secs_f64() * 1e3, peak_mb());
}

async fn make(store: &dyn Store) -> Table {
    let column = |name: &str, kind| NewColumn {
        name: name.into(),
        title: None,
        kind,
        options: vec![],
        smart: None,
    };
    let columns = vec![
        column("email", ColumnType::Email),
        column("score", ColumnType::Number),
        column("city", ColumnType::Text),
        column("paid", ColumnType::Boolean),
        column("data", ColumnType::Json),
        NewColumn {
            options: TAGS.map(str::to_owned).to_vec(),
            ..column("tags", ColumnType::MultiSelect)
        },
    ];
    store
        .create_table(NewTable { name: "people".into(), description: String::new(), columns })
        .await
        .unwrap()
}

fn row(n: i64) -> Vec<Value> {
    let tag = if n % 3 == 0 { TAGS[0] } else { TAGS[1] };
    vec![
        Value::Text(format!("{n}@example.com")),
        // Neighbours in one order are none in the other.
        Value::Int(n * 7_919 % 1_000_003),
        Value::Text(format!("city {}", n % 1_000)),
        Value::Bool(n % 2 == 0),
        Value::Json(json!({"n": n % 1_000, "name": "somebody"})),
        Value::Json(json!([tag])),
    ]
}

async fn fill(store: &dyn Store, table: &Table, rows: i64) {
    let columns: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
    for part in 0..rows / PART {
        let first = part * PART + 1;
        let part = (first..first + PART).map(row).collect();
        store.insert_rows(table.id, &columns, part).await.unwrap();
    }
}

/// The most memory that this process has had; 0 where there is no /proc.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}
