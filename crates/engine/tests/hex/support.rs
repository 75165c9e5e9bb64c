//! A table of jobs with one `integration` column, and the simulated Hex as its provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use paceline_clock::{Clock, Random};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request, Result,
    Sealer, SmartSpec,
};
use paceline_governor::{Ceilings, Transport};
use paceline_hex::{Secret, TokenError, TokenSource};
use paceline_lab::{HexAnswer, HexProject, HexRequest, HexVendor};
use paceline_model::{
    Cell, CellState, Column, ColumnType, NewColumn, NewTable, RowId, RowQuery, SmartKind, Store,
    Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

pub(crate) const COLUMN: &str = "run";
/// The default projects of the simulated Hex.
const PROJECTS: u32 = 10;

/// The simulated Hex, without the network in between.
pub(crate) struct HexProvider {
    pub(crate) vendor: Arc<HexVendor>,
    clock: Clock,
}

#[async_trait]
impl Provider for HexProvider {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> std::result::Result<Reply, CallError> {
        let target = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let bearer = request.headers.iter().find(|(name, _)| name == "authorization");
        let bearer = bearer.and_then(|(_, value)| value.to_str().ok()?.strip_prefix("Bearer "));
        let call = HexRequest {
            method: request.method,
            target,
            bearer: bearer.map(str::to_owned),
            headers: request.headers.iter().cloned().collect(),
            body: request.body.clone().unwrap_or_default(),
        };
        events.sent();
        let answer = tokio::select! {
            biased;
            answer = self.vendor.handle(call) => answer,
            () = self.clock.sleep(request.timeout) => {
                let message = "no whole reply in time".to_owned();
                return Err(CallError::Transport { kind: Transport::Timeout, message });
            }
        };
        match answer {
            HexAnswer::Reply { status, headers, body } => {
                events.head(status, &headers);
                Ok(Reply { status, headers, body })
            }
            HexAnswer::Dropped => {
                let message = "the connection broke".to_owned();
                Err(CallError::Transport { kind: Transport::Broken, message })
            }
        }
    }
}

/// A token that a test may change, as a person rewrites a file.
#[derive(Clone, Default)]
pub(crate) struct TokenFile(Arc<Mutex<String>>);

impl TokenFile {
    pub(crate) fn of(token: &str) -> Self {
        let file = Self::default();
        file.write(token);
        file
    }

    pub(crate) fn write(&self, token: &str) {
        token.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[async_trait]
impl TokenSource for TokenFile {
    async fn read(&self) -> std::result::Result<Secret, TokenError> {
        Secret::new(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An engine with the operator's ceilings whose calls go to `vendor`.
pub(crate) fn engine(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    vendor: &Arc<HexVendor>,
    tokens: TokenFile,
) -> Engine {
    let provider = Arc::new(HexProvider { vendor: Arc::clone(vendor), clock: clock.clone() });
    let random = Random::seeded(1);
    let config = EngineConfig {
        ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
        providers: ProviderFactory::Fixed(provider),
        sealer: Some(Sealer::new(&[7; 32], random.clone())),
        tokens: Some(Arc::new(tokens)),
        ..EngineConfig::default()
    };
    Engine::new(Arc::clone(store) as Arc<dyn Store>, clock.clone(), random, config)
}

/// The usual configuration: the row's project with the row's number.
pub(crate) fn config(more: Json) -> Json {
    let mut config = json!({
        "provider": "hex", "project": "{{project_id}}", "params": {"n": "{{n}}"},
        "base_url": "https://hex.example",
    });
    if let (Some(config), Json::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    config
}

/// A table of `rows` jobs over the ten projects, without its column.
pub(crate) async fn jobs(engine: &Engine, rows: usize) -> Table {
    jobs_named(engine, "jobs", rows).await
}

/// The same under another name.
pub(crate) async fn jobs_named(engine: &Engine, name: &str, rows: usize) -> Table {
    let column = |name: &str, kind| NewColumn {
        name: name.into(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let columns = vec![column("project_id", ColumnType::Text), column("n", ColumnType::Number)];
    let new = NewTable { name: name.to_owned(), description: String::new(), columns };
    let table = engine.store().create_table(new).await.unwrap();
    let row = |n: usize| {
        let project = HexProject::numbered(n as u32 % PROJECTS + 1).id;
        vec![Value::Text(project), Value::Int(n as i64)]
    };
    let ids = [table.columns[0].id, table.columns[1].id];
    engine.store().insert_rows(table.id, &ids, (1..=rows).map(row).collect()).await.unwrap();
    table
}

pub(crate) async fn add_column(
    engine: &Engine,
    table: &Table,
    config: Json,
    rate_limit: Json,
) -> Result<Column> {
    let spec = SmartSpec {
        name: COLUMN.to_owned(),
        title: None,
        kind: ColumnType::Json,
        options: Vec::new(),
        smart: SmartKind::Integration,
        config,
        rate_limit,
    };
    engine.add_smart_column(table, spec).await
}

/// A table of `rows` jobs with its column.
pub(crate) async fn table(engine: &Engine, rows: usize, config: Json, rate_limit: Json) -> Table {
    let table = jobs(engine, rows).await;
    add_column(engine, &table, config, rate_limit).await.unwrap();
    engine.store().table("jobs").await.unwrap().unwrap()
}

/// The rate of a test that is not about the rate.
pub(crate) fn fast() -> Json {
    json!({"limits": ["1000/s"], "max_concurrent": 5})
}

/// The same, for a test in which it matters which job comes first.
pub(crate) fn one_at_a_time() -> Json {
    json!({"limits": ["1000/s"], "max_concurrent": 1})
}

/// Read limits for a test that is not about them, to go with [`fast`].
pub(crate) fn fast_reads() -> Json {
    json!({"poll_limits": ["1000/s"], "overall_limits": ["2000/s"], "poll_interval_ms": 1000})
}

/// What each row's cell holds.
pub(crate) async fn values(engine: &Engine, table: &Table) -> Vec<Json> {
    let column = table.column(COLUMN).unwrap().id;
    let query = RowQuery {
        columns: vec![column],
        after: RowId(0),
        limit: 10_000,
        ..RowQuery::of(table.id)
    };
    let rows = engine.store().rows(query).await.unwrap();
    rows.into_iter().map(|row| row.values[0].to_json()).collect()
}

pub(crate) async fn cells(engine: &Engine, table: &Table) -> Vec<Cell> {
    let column = table.column(COLUMN).unwrap().id;
    engine.store().cells(column, RowId(1), RowId(i64::MAX)).await.unwrap()
}

/// How many cells are in each state.
pub(crate) async fn states(engine: &Engine, table: &Table) -> BTreeMap<&'static str, u64> {
    let column = table.column(COLUMN).unwrap().id;
    let counts = engine.store().count_cells(column).await.unwrap();
    counts.into_iter().map(|(state, count): (CellState, u64)| (state.as_str(), count)).collect()
}

/// The code of a row's error.
pub(crate) fn code(cell: &Cell) -> &str {
    cell.error.as_ref().map_or("", |error| error.code.as_str())
}
