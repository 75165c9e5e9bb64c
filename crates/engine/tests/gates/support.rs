//! A vendor that outlives processes, and tables whose columns call it with one key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_clock::{Clock, Random, Tick};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, Provider, ProviderFactory, Reply, Request, Sealer,
    SmartSpec,
};
use paceline_governor::{Ceilings, Transport};
use paceline_lab::{Enforcer, Policy, Verdict};
use paceline_model::{
    ColumnId, ColumnType, NewColumn, NewTable, RowId, SmartKind, Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

/// One call, as the vendor saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When it left.
    pub(crate) sent: Tick,
    /// The first segment of its path: the column that made it.
    pub(crate) column: String,
    pub(crate) status: u16,
}

/// As a status: nobody answers at that address, so that nothing leaves.
pub(crate) const DEAD: u16 = 0;

/// What decides about a call that its limit lets pass: the moment of its arrival and its path.
type Law = Box<dyn Fn(Tick, &str) -> u16 + Send + Sync>;

/// A vendor that enforces a limit: a sliding log of at most so many calls in a window, refused ones not counted, if nothing
/// else is said. Its memory is not the process's: engines and clocks come and go.
pub(crate) struct Vendor {
    law: Law,
    state: Mutex<State>,
}

struct State {
    enforcer: Option<Enforcer>,
    seen: Vec<Seen>,
}

impl Vendor {
    pub(crate) fn new(
        limit: Option<(usize, Duration)>,
        law: impl Fn(Tick, &str) -> u16 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let limit = limit.map(|(calls, window)| format!("{calls}/{}s", window.as_secs()));
        let enforcer =
            limit.map(|limit| Enforcer::new(&[limit.parse().unwrap()], &Policy::LOG).unwrap());
        let state = Mutex::new(State { enforcer, seen: Vec::new() });
        Arc::new(Self { law: Box::new(law), state })
    }

    /// One that answers whatever its limit lets pass.
    pub(crate) fn enforcing(limit: &str, policy: &Policy) -> Arc<Self> {
        let enforcer = Enforcer::new(&[limit.parse().unwrap()], policy).unwrap();
        let state = Mutex::new(State { enforcer: Some(enforcer), seen: Vec::new() });
        Arc::new(Self { law: Box::new(|_, _| 200), state })
    }

    pub(crate) fn per_second(calls: usize) -> Arc<Self> {
        Self::new(Some((calls, Duration::from_secs(1))), |_, _| 200)
    }

    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(None, |_, _| 200)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.lock().unwrap().seen.len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.seen().iter().filter(|seen| seen.status == 429).count()
    }

    pub(crate) fn by_column(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for seen in self.seen().iter().filter(|seen| seen.status == 200) {
            *counts.entry(seen.column.clone()).or_default() += 1;
        }
        counts
    }

    fn answer(&self, at: Tick, path: &str) -> u16 {
        let status = (self.law)(at, path);
        let mut state = self.state.lock().unwrap();
        match &mut state.enforcer {
            Some(enforcer) if status != 429 => match enforcer.decide(at) {
                Verdict::Accepted => status,
                Verdict::Refused(_) => 429,
            },
            _ => status,
        }
    }
}

/// The way to a [`Vendor`]: 5 to 24 ms there, 40 to 99 ms at the vendor, 5 ms back.
pub(crate) struct Way {
    pub(crate) vendor: Arc<Vendor>,
    pub(crate) clock: Clock,
}

#[async_trait]
impl Provider for Way {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let path = request.url.path().to_owned();
        let number = {
            let mut state = self.vendor.state.lock().unwrap();
            let column = path.split('/').nth(1).unwrap_or_default().to_owned();
            state.seen.push(Seen { sent: self.clock.now(), column, status: 0 });
            state.seen.len() - 1
        };
        if (self.vendor.law)(self.clock.now(), &path) == DEAD {
            self.clock.sleep(Duration::from_millis(2)).await;
            let message = "connection refused".to_owned();
            return Err(CallError::Transport { kind: Transport::Connect, message });
        }
        events.sent();
        let number_ms = number as u64;
        self.clock.sleep(Duration::from_millis(5 + number_ms * 7 % 20)).await;
        let status = self.vendor.answer(self.clock.now(), &path);
        self.vendor.state.lock().unwrap().seen[number].status = status;
        self.clock.sleep(Duration::from_millis(45 + number_ms * 13 % 60)).await;
        let headers: HeaderMap =
            [(http::header::CONTENT_TYPE, "application/json".parse().unwrap())]
                .into_iter()
                .collect();
        events.head(status, &headers);
        Ok(Reply { status, headers, body: "\"ok\"".into() })
    }
}

/// An engine whose calls go to the vendor.
pub(crate) fn engine(store: &Arc<SqliteStore>, clock: &Clock, vendor: &Arc<Vendor>) -> Engine {
    let way = Way { vendor: Arc::clone(vendor), clock: clock.clone() };
    let config = EngineConfig {
        ceilings: Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true },
        providers: ProviderFactory::Fixed(Arc::new(way)),
        sealer: Some(Sealer::new(&[7; 32], Random::seeded(3))),
        ..EngineConfig::default()
    };
    Engine::new(Arc::clone(store) as Arc<dyn Store>, clock.clone(), Random::seeded(1), config)
}

/// A rate object.
pub(crate) fn rate(limits: &[&str], concurrent_max: u32) -> Json {
    json!({
        "limits": limits, "max_concurrent": concurrent_max, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}

/// A rate object with more fields.
pub(crate) fn rate_with(limits: &[&str], concurrent_max: u32, more: &Json) -> Json {
    let mut rate = rate(limits, concurrent_max);
    rate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rate
}

/// A table of `rows` rows, whose column `n` counts from 1.
pub(crate) async fn table(engine: &Engine, name: &str, rows: usize) -> Table {
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
    table
}

/// A GET to `/{name}/{{n}}` with this key, and whatever more its configuration says.
pub(crate) fn call(name: &str, key: Option<&str>, more: &Json) -> Json {
    let mut config = json!({"url": format!("http://vendor.example/{name}/{{{{n}}}}")});
    let fields = config.as_object_mut().unwrap();
    if let Some(key) = key {
        fields.insert("headers".to_owned(), json!({"Authorization": format!("Bearer {key}")}));
    }
    fields.extend(more.as_object().unwrap().clone());
    config
}

/// Adds a column of that call; answers the table as it then is.
pub(crate) async fn add(
    engine: &Engine,
    table: &Table,
    name: &str,
    config: Json,
    rate_limit: Json,
) -> Table {
    try_add(engine, table, name, config, rate_limit).await.unwrap();
    engine.store().table(&table.name).await.unwrap().unwrap()
}

pub(crate) async fn try_add(
    engine: &Engine,
    table: &Table,
    name: &str,
    config: Json,
    rate_limit: Json,
) -> paceline_engine::Result<()> {
    let spec = SmartSpec {
        name: name.to_owned(),
        title: None,
        kind: ColumnType::Json,
        options: Vec::new(),
        smart: SmartKind::Http,
        config,
        rate_limit,
    };
    engine.add_smart_column(table, spec).await.map(|_| ())
}

/// How many of a column's cells are in each state.
pub(crate) async fn states(engine: &Engine, column: ColumnId) -> BTreeMap<&'static str, u64> {
    let counts = engine.store().count_cells(column).await.unwrap();
    counts.into_iter().map(|(state, count)| (state.as_str(), count)).collect()
}

/// Attempts on record of a column's first rows.
pub(crate) async fn attempts(engine: &Engine, column: ColumnId, rows: usize) -> usize {
    let mut found = 0;
    for row in 1..=rows {
        found += engine.store().attempts(column, RowId(row as i64)).await.unwrap().len();
    }
    found
}
