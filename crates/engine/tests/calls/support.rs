//! A table with one smart column of any kind, and vendors that remember every effect over the deaths of those who call them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_clock::{Clock, Random, SimClock, Tick};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request, Sealer,
    SmartSpec,
};
use paceline_governor::Ceilings;
use paceline_model::{
    Attempt, CellState, ColumnId, ColumnType, NewColumn, NewTable, RowId, RowQuery, SmartKind,
    Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

pub(crate) const COLUMN: &str = "answer";

/// What came in at the vendors.
#[derive(Default)]
pub(crate) struct Seen {
    /// Every call, in the order in which they took effect: where to, with which key, and what was in it.
    pub(crate) calls: Vec<Call>,
    /// How often each key took effect.
    pub(crate) effects: HashMap<String, u32>,
}

#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

/// What a vendor says to a call.
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
}

pub(crate) fn says(status: u16, body: impl Into<String>) -> Says {
    Says { status, headers: vec![("content-type", "application/json")], body: body.into() }
}

type Answers = Arc<dyn Fn(&Call, usize) -> Says + Send + Sync>;

/// Vendors that live on when their callers die.
#[derive(Clone)]
pub(crate) struct Vendors {
    pub(crate) seen: Arc<Mutex<Seen>>,
    answers: Answers,
    random: Random,
    /// The longest way to them and back, each, in ms.
    way_ms: u64,
}

impl Vendors {
    /// `answers` is told the call and how many came before it.
    pub(crate) fn new(
        way_ms: u64,
        answers: impl Fn(&Call, usize) -> Says + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::default();
        Self { seen, answers: Arc::new(answers), random: Random::seeded(9), way_ms }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    pub(crate) fn per_host(&self) -> BTreeMap<String, usize> {
        let mut hosts = BTreeMap::new();
        for call in self.calls() {
            *hosts.entry(call.host).or_default() += 1;
        }
        hosts
    }
}

/// They, as one process meets them.
struct Line {
    vendors: Vendors,
    clock: Clock,
}

impl Line {
    async fn way(&self) {
        let ms = self.vendors.random.next_u64() % (self.vendors.way_ms + 1);
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}

#[async_trait]
impl Provider for Line {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        events.sent();
        self.way().await;
        let headers: HeaderMap = request.headers.into_iter().collect();
        let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let call = Call {
            host: request.url.host_str().unwrap_or_default().to_owned(),
            path: request.url.path().to_owned(),
            key: text("idempotency-key"),
            body: String::from_utf8(request.body.unwrap_or_default().to_vec()).unwrap(),
            headers,
        };
        let said = {
            let mut seen = self.vendors.seen.lock().unwrap();
            let said = (self.vendors.answers)(&call, seen.calls.len());
            if said.status < 300 {
                *seen.effects.entry(call.key.clone()).or_default() += 1;
            }
            seen.calls.push(call);
            said
        };
        self.way().await;
        let headers: HeaderMap = said
            .headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect();
        events.head(said.status, &headers);
        Ok(Reply { status: said.status, headers, body: said.body.into() })
    }
}

/// An engine that calls these vendors, with the operator's ceilings and a key for secrets.
pub(crate) fn engine(store: &Arc<SqliteStore>, clock: &Clock, vendors: &Vendors) -> Engine {
    engine_over(store, clock, Arc::new(Line { vendors: vendors.clone(), clock: clock.clone() }))
}

/// The same, calling whoever this provider takes its calls to.
pub(crate) fn engine_over(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    provider: Arc<dyn Provider>,
) -> Engine {
    let config = EngineConfig {
        ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
        providers: ProviderFactory::Fixed(provider),
        sealer: Some(Sealer::new(&[7; 32], Random::seeded(3))),
        ..EngineConfig::default()
    };
    Engine::new(Arc::clone(store) as Arc<dyn Store>, clock.clone(), Random::seeded(1), config)
}

/// No limit, so many at once, retries after a second.
pub(crate) fn rate(concurrent_max: u32) -> Json {
    json!({
        "limits": [], "max_concurrent": concurrent_max, "retry_strategy": "fixed", "max_retries": 3,
        "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}

pub(crate) fn smart(kind: SmartKind, config: Json, rate_limit: Json, of: ColumnType) -> SmartSpec {
    SmartSpec {
        name: COLUMN.to_owned(),
        title: None,
        kind: of,
        options: Vec::new(),
        smart: kind,
        config,
        rate_limit,
    }
}

/// A table of `rows` rows (column `n` counts from 1, `name` is a text) with a smart column.
pub(crate) async fn table(engine: &Engine, rows: usize, spec: SmartSpec) -> Table {
    let plain = |name: &str, kind| NewColumn {
        name: name.to_owned(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let columns = vec![plain("n", ColumnType::Number), plain("name", ColumnType::Text)];
    let new = NewTable { name: "rows".to_owned(), description: String::new(), columns };
    let table = engine.store().create_table(new).await.unwrap();
    let ids: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
    let row = |n: usize| vec![Value::Int(n as i64), Value::Text(format!("<row {n}> & co"))];
    for from in (0..rows).step_by(1_000) {
        let values = (from + 1..=rows.min(from + 1_000)).map(row).collect();
        engine.store().insert_rows(table.id, &ids, values).await.unwrap();
    }
    engine.add_smart_column(&table, spec).await.unwrap();
    engine.store().table("rows").await.unwrap().unwrap()
}

pub(crate) fn column(table: &Table) -> ColumnId {
    table.column(COLUMN).unwrap().id
}

pub(crate) async fn values(engine: &Engine, table: &Table) -> Vec<Value> {
    let query = RowQuery { columns: vec![column(table)], limit: 10_000, ..RowQuery::of(table.id) };
    let rows = engine.store().rows(query).await.unwrap();
    rows.into_iter().map(|row| row.values.into_iter().next().unwrap()).collect()
}

pub(crate) async fn states(engine: &Engine, table: &Table) -> BTreeMap<&'static str, u64> {
    let counts = engine.store().count_cells(column(table)).await.unwrap();
    counts.into_iter().map(|(state, count): (CellState, u64)| (state.as_str(), count)).collect()
}

/// Every attempt that is on record, by row.
pub(crate) async fn attempts(engine: &Engine, table: &Table, rows: i64) -> Vec<Vec<Attempt>> {
    let mut all = Vec::new();
    for row in 1..=rows {
        all.push(engine.store().attempts(column(table), RowId(row)).await.unwrap());
    }
    all
}

/// Lives one life of at most `die_after` with the store in `dir`, then drops everything in the middle of whatever it does.
pub(crate) fn life<T>(
    dir: &Path,
    at: Tick,
    die_after: Duration,
    vendors: &Vendors,
    live: impl AsyncFnOnce(Engine) -> T,
) -> (Option<T>, Tick) {
    let sim = SimClock::starting_at(at);
    sim.run(|clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendors);
        let lived = tokio::select! {
            lived = live(engine) => Some(lived),
            () = clock.sleep(die_after) => None,
        };
        (lived, clock.now())
    })
}
