//! A table with one `ai` column, and the lab's vendors as its provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use paceline_clock::{Clock, Random};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request, Result,
    Sealer, SmartSpec,
};
use paceline_governor::{Ceilings, Transport};
use paceline_lab::{AiAnswer, AiConfig, AiDialect, AiDialectStats, AiRequest, AiVendor};
use paceline_model::{
    CellState, ColumnType, NewColumn, NewTable, RowId, RowQuery, Run, Scope, SmartKind, Store,
    Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

pub(crate) const COLUMN: &str = "answer";

/// The vendors, without the network.
pub(crate) struct Vendors(pub(crate) AiVendor);

#[async_trait]
impl Provider for Vendors {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> std::result::Result<Reply, CallError> {
        let asked = AiRequest {
            method: request.method,
            path: request.url.path().to_owned(),
            headers: request.headers.into_iter().collect(),
            body: request.body.unwrap_or_default(),
        };
        events.sent();
        match self.0.handle(asked).await {
            AiAnswer::Reply { status, headers, body } => {
                events.head(status, &headers);
                Ok(Reply { status, headers, body })
            }
            AiAnswer::Dropped => {
                let message = "the connection broke".to_owned();
                Err(CallError::Transport { kind: Transport::Broken, message })
            }
        }
    }
}

/// An engine whose calls go to the vendors.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) vendors: Arc<Vendors>,
}

impl World {
    pub(crate) fn new(config: AiConfig, clock: &Clock) -> Self {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let vendors = Arc::new(Vendors(AiVendor::new(config, clock.clone()).unwrap()));
        Self::of(store, vendors, clock)
    }

    /// Another process with the same data, after this one has stopped.
    pub(crate) async fn restarted(self, clock: &Clock) -> Self {
        self.engine.shutdown().await;
        let store = Arc::clone(self.engine.store());
        Self::of(store, self.vendors, clock)
    }

    fn of(store: Arc<dyn Store>, vendors: Arc<Vendors>, clock: &Clock) -> Self {
        let provider = Arc::clone(&vendors) as Arc<dyn Provider>;
        let config = EngineConfig {
            ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
            providers: ProviderFactory::Fixed(provider),
            sealer: Some(Sealer::new(&[7; 32], Random::seeded(2))),
            ..EngineConfig::default()
        };
        Self { engine: Engine::new(store, clock.clone(), Random::seeded(1), config), vendors }
    }

    /// A table of `rows` rows (column `n` counts from 1) without a smart column.
    pub(crate) async fn rows(&self, rows: usize) -> Table {
        let n = NewColumn {
            name: "n".to_owned(),
            title: None,
            kind: ColumnType::Number,
            options: Vec::new(),
            smart: None,
        };
        let new =
            NewTable { name: "rows".to_owned(), description: String::new(), columns: vec![n] };
        let table = self.engine.store().create_table(new).await.unwrap();
        let values = (1..=rows).map(|n| vec![Value::Int(n as i64)]).collect();
        self.engine.store().insert_rows(table.id, &[table.columns[0].id], values).await.unwrap();
        table
    }

    /// The same with an `ai` column of text.
    pub(crate) async fn table(&self, rows: usize, config: Json, rate_limit: Json) -> Table {
        let table = self.rows(rows).await;
        self.add(&table, ColumnType::Text, &[], config, rate_limit).await.unwrap();
        self.engine.store().table("rows").await.unwrap().unwrap()
    }

    /// Adds an `ai` column.
    pub(crate) async fn add(
        &self,
        table: &Table,
        kind: ColumnType,
        options: &[&str],
        config: Json,
        rate_limit: Json,
    ) -> Result<Table> {
        let spec = SmartSpec {
            name: COLUMN.to_owned(),
            title: None,
            kind,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            smart: SmartKind::Ai,
            config,
            rate_limit,
        };
        self.engine.add_smart_column(table, spec).await?;
        Ok(self.engine.store().table("rows").await.unwrap().unwrap())
    }

    /// Runs all cells to the run's end or its pause.
    pub(crate) async fn run(&self, table: &Table) -> Run {
        let run = self.engine.start_run(table, COLUMN, Scope::All).await.unwrap();
        self.engine.wait(run.id).await.unwrap()
    }

    pub(crate) async fn values(&self, table: &Table) -> Vec<Value> {
        let column = table.column(COLUMN).unwrap().id;
        let query = RowQuery {
            columns: vec![column],
            after: RowId(0),
            limit: 10_000,
            ..RowQuery::of(table.id)
        };
        let rows = self.engine.store().rows(query).await.unwrap();
        rows.into_iter().map(|row| row.values.into_iter().next().unwrap()).collect()
    }

    /// How many cells are in each state.
    pub(crate) async fn states(&self, table: &Table) -> BTreeMap<&'static str, u64> {
        let column = table.column(COLUMN).unwrap().id;
        let counts = self.engine.store().count_cells(column).await.unwrap();
        counts.into_iter().map(|(state, count): (CellState, u64)| (state.as_str(), count)).collect()
    }

    /// The code and the message of each cell's error.
    pub(crate) async fn errors(&self, table: &Table) -> Vec<(String, String)> {
        let column = table.column(COLUMN).unwrap().id;
        let cells = self.engine.store().cells(column, RowId(1), RowId(100)).await.unwrap();
        let errors = cells.into_iter().filter_map(|cell| cell.error);
        errors.map(|error| (error.code, error.message)).collect()
    }

    pub(crate) fn stats(&self, dialect: AiDialect) -> AiDialectStats {
        let stats = self.vendors.0.stats();
        match dialect {
            AiDialect::OpenAi => stats.openai,
            AiDialect::Anthropic => stats.anthropic,
            AiDialect::Google => stats.google,
        }
    }
}

/// A column's configuration for a vendor, with a key of its own.
pub(crate) fn config(dialect: AiDialect, prompt: &str) -> Json {
    json!({"provider": dialect.name(), "api_key": "good", "model": "m", "prompt": prompt, "max_tokens": 200})
}

/// A rate object: moderate retries, no limit but those given.
pub(crate) fn rate(limits: &[&str], concurrent_max: u32) -> Json {
    json!({
        "limits": limits, "max_concurrent": concurrent_max, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}
