//! A table of rows numbered from 1, smart columns that call a server named after them, and that server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_clock::{Clock, Random, Tick};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request, Result,
    SmartSpec,
};
use paceline_governor::Ceilings;
use paceline_model::{
    Cell, Column, ColumnType, Filter, NewColumn, NewTable, Operator, RowId, RowQuery, Run,
    RunOptions, Scope, SmartKind, Store, Subject, Table, Test, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

/// Answers `a1` to `/a/1`, `ba1` to `/b/a1`: what was asked of whom, without the slashes.
pub(crate) struct Server {
    clock: Clock,
    script: Script,
    calls: Mutex<Vec<(Tick, String)>>,
    /// How often each path was called, what was forgotten among it.
    asked: Mutex<BTreeMap<String, usize>>,
}

/// From a path, and how often it was called before, to a status and the ms that the answer takes.
type Script = Box<dyn Fn(&str, usize) -> (u16, u64) + Send + Sync>;

impl Server {
    pub(crate) fn new(
        clock: &Clock,
        script: impl Fn(&str, usize) -> (u16, u64) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            script: Box::new(script),
            calls: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Whatever is asked, after 100 ms.
    pub(crate) fn good(clock: &Clock) -> Arc<Self> {
        Self::new(clock, |_, _| (200, 100))
    }

    /// What was called, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(_, path)| path.clone()).collect()
    }

    /// How often each path was called.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for path in self.calls() {
            *counts.entry(path).or_default() += 1;
        }
        counts
    }

    /// When a path was first called.
    pub(crate) fn called_at(&self, path: &str) -> Option<Tick> {
        let calls = self.calls.lock().unwrap();
        calls.iter().find(|(_, called)| called == path).map(|(at, _)| *at)
    }

    pub(crate) fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }
}

#[async_trait]
impl Provider for Server {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> std::result::Result<Reply, CallError> {
        let path = request.url.path().to_owned();
        self.calls.lock().unwrap().push((self.clock.now(), path.clone()));
        let before = {
            let mut asked = self.asked.lock().unwrap();
            let asked = asked.entry(path.clone()).or_default();
            *asked += 1;
            *asked - 1
        };
        let (status, after_ms) = (self.script)(&path, before);
        events.sent();
        self.clock.sleep(Duration::from_millis(after_ms)).await;
        events.head(status, &HeaderMap::new());
        let body = json!(path.replace('/', "")).to_string();
        Ok(Reply { status, headers: HeaderMap::new(), body: body.into_bytes().into() })
    }
}

/// A table with the columns `n` (1, 2, 3, ...) and `word` (empty), and an engine over it.
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) server: Arc<Server>,
    pub(crate) clock: Clock,
}

impl Scene {
    pub(crate) async fn new(clock: &Clock, server: Arc<Server>, rows: usize) -> Self {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let scene = Self::over(clock, server, store);
        scene.fill(rows).await;
        scene
    }

    /// On a store that outlives it.
    pub(crate) fn open(clock: &Clock, server: Arc<Server>, dir: &Path) -> Self {
        Self::over(clock, server, SqliteStore::open(dir, clock.clone()).unwrap())
    }

    fn over(clock: &Clock, server: Arc<Server>, store: Arc<SqliteStore>) -> Self {
        let config = EngineConfig {
            ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
            providers: ProviderFactory::Fixed(Arc::clone(&server) as Arc<dyn Provider>),
            ..EngineConfig::default()
        };
        let random = Random::seeded(clock.wall().as_micros().unsigned_abs());
        let engine = Engine::new(store as Arc<dyn Store>, clock.clone(), random, config);
        Self { engine, server, clock: clock.clone() }
    }

    /// Makes the table.
    pub(crate) async fn fill(&self, rows: usize) {
        let plain = |name: &str, kind| NewColumn {
            name: name.to_owned(),
            title: None,
            kind,
            options: Vec::new(),
            smart: None,
        };
        let columns = vec![plain("n", ColumnType::Number), plain("word", ColumnType::Text)];
        let new = NewTable { name: "rows".to_owned(), description: String::new(), columns };
        let table = self.engine.store().create_table(new).await.unwrap();
        let values = (1..=rows).map(|n| vec![Value::Int(n as i64)]).collect();
        self.engine.store().insert_rows(table.id, &[table.columns[0].id], values).await.unwrap();
    }

    pub(crate) async fn table(&self) -> Table {
        self.engine.store().table("rows").await.unwrap().unwrap()
    }

    /// Adds a smart column of that configuration.
    pub(crate) async fn try_add(&self, name: &str, config: Json) -> Result<Column> {
        let spec = SmartSpec {
            name: name.to_owned(),
            title: None,
            kind: ColumnType::Text,
            options: Vec::new(),
            smart: SmartKind::Http,
            config,
            rate_limit: json!({
                "limits": [], "max_concurrent": 4, "retry_strategy": "fixed", "max_retries": 0,
                "retry_delay_ms": 1000, "cool_down_on_429": true
            }),
        };
        self.engine.add_smart_column(&self.table().await, spec).await
    }

    /// Adds a smart column that calls `/NAME/` and the given template.
    pub(crate) async fn add(&self, name: &str, asks: &str, more: Json) {
        self.try_add(name, config(name, asks, more)).await.unwrap();
    }

    /// A diamond: `a` from `n`, `b` and `c` from `a`, `d` from both.
    pub(crate) async fn add_diamond(&self) {
        for (name, asks) in [("a", "{{n}}"), ("b", "{{a}}"), ("c", "{{a}}"), ("d", "{{b}}/{{c}}")] {
            self.add(name, asks, json!({})).await;
        }
    }

    pub(crate) async fn start(&self, columns: &[&str], scope: Scope) -> Vec<Run> {
        let table = self.table().await;
        self.engine.start_runs(&table, columns, scope, RunOptions::default()).await.unwrap()
    }

    /// Waits for the end of runs.
    pub(crate) async fn wait(&self, runs: Vec<Run>) -> Vec<Run> {
        let mut ended = Vec::new();
        for run in runs {
            ended.push(self.engine.wait(run.id).await.unwrap());
        }
        ended
    }

    /// Runs columns to their end.
    pub(crate) async fn run(&self, columns: &[&str], scope: Scope) -> Vec<Run> {
        let runs = self.start(columns, scope).await;
        self.wait(runs).await
    }

    pub(crate) async fn cells(&self, column: &str) -> Vec<Cell> {
        let id = self.table().await.column(column).unwrap().id;
        self.engine.store().cells(id, RowId(1), RowId(i64::MAX)).await.unwrap()
    }

    /// The state of each cell of a column that has one, with the code of its error.
    pub(crate) async fn states(&self, column: &str) -> Vec<(i64, String)> {
        let cells = self.cells(column).await.into_iter();
        let told = cells.map(|cell| {
            let code = cell.error.map_or_else(String::new, |error| format!(" {}", error.code));
            (cell.row.0, format!("{}{code}", cell.state.as_str()))
        });
        told.collect()
    }

    /// What is told of the cell of a row.
    pub(crate) async fn message(&self, column: &str, row: i64) -> String {
        let cells = self.cells(column).await.into_iter();
        let mut found = cells.filter(|cell| cell.row.0 == row);
        found.next().and_then(|cell| cell.error).map(|error| error.message).unwrap_or_default()
    }

    /// The values of a column, as text.
    pub(crate) async fn values(&self, column: &str) -> Vec<String> {
        let table = self.table().await;
        let query = RowQuery {
            columns: vec![table.column(column).unwrap().id],
            limit: 10_000,
            ..RowQuery::of(table.id)
        };
        let rows = self.engine.store().rows(query).await.unwrap();
        rows.into_iter().map(|row| row.values[0].to_text()).collect()
    }

    /// Writes a value into a row.
    pub(crate) async fn edit(&self, column: &str, row: i64, value: Value) {
        let table = self.table().await;
        let id = table.column(column).unwrap().id;
        let operator = Operator::Eq(Value::Int(row));
        let filter = Filter::Test(Test { subject: Subject::Id, path: vec![], operator });
        self.engine.store().update_rows(table.id, filter, &[id], vec![value]).await.unwrap();
    }
}

/// The configuration of a column that calls `/NAME/` and the given template.
pub(crate) fn config(name: &str, asks: &str, more: Json) -> Json {
    let mut config = json!({"url": format!("http://vendor.example/{name}/{asks}")});
    let fields = config.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    config
}
