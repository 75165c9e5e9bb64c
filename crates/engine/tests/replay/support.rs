//! A table, a vendor that does as it is told, a recording in memory, and its replay.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_clock::{Clock, Random, SimClock};
use paceline_engine::replay::{Altered, Report, replay};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, OutboundGuard, Provider, ProviderFactory,
    Recording, RecordingFile, Recordings, Reply, Request, Sealer, SmartSpec,
};
use paceline_governor::{Ceilings, Transport};
use paceline_model::{
    ColumnType, NewColumn, NewTable, Run, RunOptions, Scope, SmartKind, Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

pub(crate) const COLUMN: &str = "answer";

/// What the vendor does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with this status, this header and this body, after so many ms.
    Say(u16, (&'static str, &'static str), String, u64),
    /// Says nothing until the call's time is over.
    Silence,
    /// The head comes, and then the connection breaks.
    Cut(u16),
}

/// A value as JSON, after 40 ms.
pub(crate) fn value(json: &Json) -> Act {
    Act::Say(200, ("content-type", "application/json"), json.to_string(), 40)
}

/// A status and nothing else, after 20 ms.
pub(crate) fn status(status: u16) -> Act {
    Act::Say(status, ("x-nothing", "-"), String::new(), 20)
}

type Script = Arc<dyn Fn(u32, &Request) -> Act + Send + Sync>;

/// Does what a function says of the attempt's number and the request.
pub(crate) struct Vendor {
    clock: Clock,
    script: Script,
}

#[async_trait]
impl Provider for Vendor {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let (_, attempt) = events.cell().unwrap();
        let act = (self.script)(attempt, &request);
        events.sent();
        let fail = |kind, message: &str| CallError::Transport { kind, message: message.to_owned() };
        match act {
            Act::Say(status, (name, value), body, after_ms) => {
                self.clock.sleep(Duration::from_millis(after_ms)).await;
                let headers: HeaderMap =
                    [(HeaderName::from_static(name), HeaderValue::from_static(value))]
                        .into_iter()
                        .collect();
                events.head(status, &headers);
                self.clock.sleep(Duration::from_millis(3)).await;
                Ok(Reply { status, headers, body: body.into_bytes().into() })
            }
            Act::Silence => {
                self.clock.sleep(request.timeout).await;
                Err(fail(Transport::Timeout, "no whole reply"))
            }
            Act::Cut(status) => {
                events.head(status, &HeaderMap::new());
                Err(fail(Transport::Broken, "the reply broke off"))
            }
        }
    }
}

/// Recordings in memory: one file for every run.
#[derive(Clone)]
pub(crate) struct InMemory {
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    pub(crate) bytes_max: u64,
}

impl Default for InMemory {
    fn default() -> Self {
        Self { bytes: Arc::default(), bytes_max: 64 * 1024 * 1024 }
    }
}

impl InMemory {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn read(&self) -> Recording {
        Recording::read(self.bytes.lock().unwrap().as_slice()).unwrap()
    }
}

impl Recordings for InMemory {
    fn open(&self, _: &Run) -> io::Result<RecordingFile> {
        let bytes = self.bytes.lock().unwrap().len() as u64;
        Ok(RecordingFile::new(Shared(Arc::clone(&self.bytes)), bytes, self.bytes_max))
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is recorded: a column over the rows of [`table`].
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) kind: SmartKind,
    pub(crate) column: ColumnType,
    pub(crate) config: Json,
    pub(crate) rate_limit: Json,
    pub(crate) rows: i64,
    pub(crate) files: InMemory,
}

impl Case {
    /// A GET for each of so many rows, six at once.
    pub(crate) fn get(rows: i64) -> Self {
        Self {
            kind: SmartKind::Http,
            column: ColumnType::Json,
            config: json!({"url": "https://vendor.example/{{n}}", "timeout_ms": 5000}),
            rate_limit: rate(6),
            rows,
            files: InMemory::default(),
        }
    }

    pub(crate) fn config(self, config: Json) -> Self {
        Self { config, ..self }
    }
}

/// Moderate retries, no limit.
pub(crate) fn rate(concurrent_max: u32) -> Json {
    json!({
        "limits": [], "max_concurrent": concurrent_max, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}

pub(crate) fn engine(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    files: Option<&InMemory>,
    script: impl Fn(u32, &Request) -> Act + Send + Sync + 'static,
) -> Engine {
    let vendor = Vendor { clock: clock.clone(), script: Arc::new(script) };
    let random = Random::seeded(7);
    let config = EngineConfig {
        ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
        outbound: OutboundGuard::private(true),
        sealer: Some(Sealer::new(&[9; 32], random.clone())),
        providers: ProviderFactory::Fixed(Arc::new(vendor)),
        recordings: files.map(|files| Arc::new(files.clone()) as Arc<dyn Recordings>),
        ..EngineConfig::default()
    };
    Engine::new(Arc::clone(store) as Arc<dyn Store>, clock.clone(), random, config)
}

/// The case's table; `word` is `wN`, `token` is `row-token-N`, and there are four groups.
pub(crate) async fn table(engine: &Engine, case: &Case) -> Table {
    let column = |name: &str, kind| NewColumn {
        name: name.to_owned(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let columns = vec![
        column("n", ColumnType::Number),
        column("word", ColumnType::Text),
        column("token", ColumnType::Text),
        column("group", ColumnType::Text),
    ];
    let new = NewTable { name: "rows".to_owned(), description: String::new(), columns };
    let table = engine.store().create_table(new).await.unwrap();
    let ids: Vec<_> = table.columns.iter().map(|column| column.id).collect();
    let row = |n| {
        let text = |text: String| Value::Text(text);
        let (word, token, group) =
            (format!("w{n}"), format!("row-token-{n}"), format!("g{}", n % 4));
        vec![Value::Int(n), text(word), text(token), text(group)]
    };
    engine.store().insert_rows(table.id, &ids, (1..=case.rows).map(row).collect()).await.unwrap();
    let spec = SmartSpec {
        name: COLUMN.to_owned(),
        title: None,
        kind: case.column,
        options: Vec::new(),
        smart: case.kind,
        config: case.config.clone(),
        rate_limit: case.rate_limit.clone(),
    };
    engine.add_smart_column(&table, spec).await.unwrap();
    engine.store().table("rows").await.unwrap().unwrap()
}

pub(crate) async fn run(engine: &Engine, table: &Table) -> Run {
    let options = RunOptions { record: true, ..RunOptions::default() };
    let runs = engine.start_runs(table, &[COLUMN], Scope::All, options).await.unwrap();
    engine.wait(runs[0].id).await.unwrap()
}

/// Records a run of the case against the vendor; answers how the run ended.
pub(crate) fn record(
    case: &Case,
    script: impl Fn(u32, &Request) -> Act + Send + Sync + 'static,
) -> Run {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, Some(&case.files), script);
        let table = table(&engine, case).await;
        run(&engine, &table).await
    })
}

pub(crate) fn replayed(recording: &Recording, altered: Altered) -> paceline_engine::Result<Report> {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        replay(recording, altered, store, &clock).await
    })
}
