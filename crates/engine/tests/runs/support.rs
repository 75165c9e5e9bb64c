//! A table of rows with one smart column, on a store in memory, and providers that stand in for the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_clock::{Clock, Random};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request,
    SmartSpec,
};
use paceline_governor::{Ceilings, Transport};
use paceline_lab::{Call, Vendor, VendorConfig};
use paceline_model::{
    CellState, ColumnId, ColumnType, NewColumn, NewTable, RowId, RowQuery, SmartKind, Store, Table,
    Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

pub(crate) const COLUMN: &str = "answer";
const JSON: (&str, &str) = ("content-type", "application/json");

/// An engine whose calls go to `provider`, with the operator's ceilings.
pub(crate) fn engine(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    provider: Arc<dyn Provider>,
) -> Engine {
    let config = EngineConfig {
        ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
        providers: ProviderFactory::Fixed(provider),
        ..EngineConfig::default()
    };
    Engine::new(Arc::clone(store) as Arc<dyn Store>, clock.clone(), Random::seeded(1), config)
}

/// A rate object: moderate retries, no limit but those given.
pub(crate) fn rate(limits: &[&str], concurrent_max: u32) -> Json {
    json!({
        "limits": limits, "max_concurrent": concurrent_max, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}

/// A table of `rows` rows (column `n` counts from 1) with a smart column that calls `/{{n}}`.
pub(crate) async fn table(engine: &Engine, rows: usize, config: Json, rate_limit: Json) -> Table {
    table_called(engine, "rows", rows, config, rate_limit).await
}

/// As [`table`], under that name.
pub(crate) async fn table_called(
    engine: &Engine,
    name: &str,
    rows: usize,
    config: Json,
    rate_limit: Json,
) -> Table {
    let n = NewColumn {
        name: "n".to_owned(),
        title: None,
        kind: ColumnType::Number,
        options: Vec::new(),
        smart: None,
    };
    let new = NewTable { name: name.to_owned(), description: String::new(), columns: vec![n] };
    let table = engine.store().create_table(new).await.unwrap();
    let values = (1..=rows).map(|n| vec![Value::Int(n as i64)]).collect();
    engine.store().insert_rows(table.id, &[table.columns[0].id], values).await.unwrap();
    let spec = SmartSpec {
        name: COLUMN.to_owned(),
        title: None,
        kind: ColumnType::Json,
        options: Vec::new(),
        smart: SmartKind::Http,
        config,
        rate_limit,
    };
    engine.add_smart_column(&table, spec).await.unwrap();
    engine.store().table(name).await.unwrap().unwrap()
}

/// The usual configuration: a GET per row.
pub(crate) fn get() -> Json {
    json!({"url": "http://vendor.example/{{n}}"})
}

/// What a row's cell holds.
pub(crate) async fn values(engine: &Engine, table: &Table) -> Vec<Value> {
    let query = RowQuery {
        columns: vec![column(table)],
        after: RowId(0),
        limit: 10_000,
        ..RowQuery::of(table.id)
    };
    let rows = engine.store().rows(query).await.unwrap();
    rows.into_iter().map(|row| row.values.into_iter().next().unwrap()).collect()
}

/// How many cells are in each state.
pub(crate) async fn states(engine: &Engine, table: &Table) -> BTreeMap<&'static str, u64> {
    let counts = engine.store().count_cells(column(table)).await.unwrap();
    counts.into_iter().map(|(state, count): (CellState, u64)| (state.as_str(), count)).collect()
}

pub(crate) fn column(table: &Table) -> ColumnId {
    table.column(COLUMN).unwrap().id
}

/// The vendor of the lab, without the network.
pub(crate) struct VendorProvider {
    pub(crate) vendor: Vendor,
}

impl VendorProvider {
    pub(crate) fn new(config: VendorConfig, clock: &Clock) -> Arc<Self> {
        Arc::new(Self { vendor: Vendor::new(config, clock.clone()).unwrap() })
    }
}

#[async_trait]
impl Provider for VendorProvider {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let key = request.headers.iter().find(|(name, _)| name == "idempotency-key");
        let call = key.map_or_else(Call::new, |(_, value)| Call::new().key(value.as_bytes()));
        events.sent();
        let answer = self.vendor.call(call).await;
        let Some(status) = answer.status() else {
            let message = "the connection broke".to_owned();
            return Err(CallError::Transport { kind: Transport::Broken, message });
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        events.head(status, &headers);
        Ok(Reply {
            status,
            headers,
            body: format!("\"{}\"", request.url.path()).into_bytes().into(),
        })
    }
}

/// What a scripted provider does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with this status after so many ms.
    Answer(u16, u64),
    /// Breaks in this way after so many ms.
    Break(Transport, u64),
    /// Answers 200 with something that is not JSON.
    Garbage,
    /// Answers at once with this status, this header and this body.
    Say(u16, (&'static str, &'static str), &'static str),
    /// The head comes with this status and this header; then the connection breaks.
    Cut(u16, (&'static str, &'static str)),
}

type Script = Box<dyn Fn(usize, &Request) -> Act + Send + Sync>;

/// Does what a function of the call's number (from 0) and its request says, and remembers what was called.
pub(crate) struct Scripted {
    clock: Clock,
    script: Script,
    pub(crate) calls: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(
        clock: &Clock,
        script: impl Fn(usize, &Request) -> Act + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { clock: clock.clone(), script: Box::new(script), calls: Mutex::default() })
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(request.url.path().to_owned());
            calls.len() - 1
        };
        let reply = |status, (name, value): (&'static str, &'static str), body: String| Reply {
            status,
            headers: [(HeaderName::from_static(name), HeaderValue::from_static(value))]
                .into_iter()
                .collect(),
            body: body.into_bytes().into(),
        };
        match (self.script)(number, &request) {
            Act::Answer(status, after_ms) => {
                events.sent();
                self.clock.sleep(Duration::from_millis(after_ms)).await;
                let reply = reply(status, JSON, format!("\"{}\"", request.url.path()));
                events.head(status, &reply.headers);
                Ok(reply)
            }
            Act::Break(kind, after_ms) => {
                events.sent();
                self.clock.sleep(Duration::from_millis(after_ms)).await;
                Err(CallError::Transport { kind, message: "as scripted".to_owned() })
            }
            Act::Garbage => {
                events.sent();
                let reply = reply(200, JSON, "<html>".to_owned());
                events.head(200, &reply.headers);
                Ok(reply)
            }
            Act::Say(status, header, body) => {
                events.sent();
                let reply = reply(status, header, body.to_owned());
                events.head(status, &reply.headers);
                Ok(reply)
            }
            Act::Cut(status, header) => {
                events.sent();
                events.head(status, &reply(status, header, String::new()).headers);
                let message = "the reply broke off".to_owned();
                Err(CallError::Transport { kind: Transport::Broken, message })
            }
        }
    }
}
