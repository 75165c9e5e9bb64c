//! The account's table: every job ever asked for is a row of it, and one column starts and watches their runs. So what the
//! limits have seen is kept from one batch to the next.

use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, SmartSpec};
use paceline_governor::Ceilings;
use paceline_hex::{Note, RunReport, TokenSource};
use paceline_model::{
    Cell, CellError, CellState, Column, ColumnId, ColumnType, NewColumn, NewTable, RowId, RowQuery,
    SmartKind, Store, Table, Value, limits,
};
use serde_json::{Map, Value as Json};

use super::account::{Account, Settings};
use super::jobs::JobRow;
use super::state::State;
use crate::exit::{Failure, usage};

pub(super) const TABLE: &str = "runs";
pub(super) const COLUMN: &str = "run";
/// Which Hex the state is of.
const ORIGIN: &str = "hex_origin";
const CEILINGS: Ceilings = Ceilings {
    concurrent_max: limits::CLI_CONCURRENT_MAX,
    rate_max: limits::CLI_RATE_MAX,
    rate_optional: true,
};

/// The table and what fills it.
pub(super) struct Ledger {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) table: Table,
    pub(super) column: ColumnId,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobState {
    pub(super) row: RowId,
    pub(super) line: u64,
    pub(super) project: String,
    pub(super) params: Map<String, Json>,
    /// `None`: not at its end.
    pub(super) state: Option<CellState>,
    pub(super) error: Option<CellError>,
    /// Its run, as far as one was seen to end.
    pub(super) report: Option<RunReport>,
    /// What is on record of a job that is not at its end, or of which nobody knows.
    pub(super) note: Option<Note>,
}

impl Ledger {
    /// The ledger of a locked state, brought up to these settings; made if there is none.
    pub(super) async fn open(
        state: &State,
        account: &Account,
        settings: &Settings,
        tokens: Arc<dyn TokenSource>,
        (clock, random): (&Clock, &Random),
    ) -> Result<Self, Failure> {
        let config = EngineConfig {
            ceilings: CEILINGS,
            outbound: account.outbound.clone(),
            tokens: Some(tokens),
            ..EngineConfig::default()
        };
        let store: Arc<dyn Store> = state.store.clone();
        check_origin(store.as_ref(), account).await?;
        let engine = Engine::new(store, clock.clone(), random.clone(), config);
        let table = match engine.store().table(TABLE).await? {
            Some(table) => table,
            None => engine.store().create_table(new_table()).await?,
        };
        let column = column(&engine, &table, settings).await?;
        let table = engine.store().table(TABLE).await?.ok_or_else(damaged)?;
        let (clock, random) = (clock.clone(), random.clone());
        Ok(Self { engine, clock, random, table, column })
    }

    /// Adds rows; answers the first one's id.
    pub(super) async fn insert(
        &self,
        batch: u64,
        jobs: Vec<JobRow>,
    ) -> Result<Option<RowId>, Failure> {
        let store = self.engine.store();
        let columns: Vec<ColumnId> =
            self.table.columns.iter().filter(|c| c.smart.is_none()).map(|c| c.id).collect();
        let mut first = None;
        let mut jobs = jobs.into_iter().map(|job| row_of(batch, job));
        loop {
            let rows: Vec<_> = jobs.by_ref().take(limits::INSERT_ROWS_MAX).collect();
            if rows.is_empty() {
                return Ok(first);
            }
            let inserted = store.insert_rows(self.table.id, &columns, rows).await?;
            first = first.or(inserted.map(|(first, _)| first));
        }
    }

    /// Where every job stands whose row is `first` or a later one; of several rows of a line, the last.
    pub(super) async fn jobs(&self, first: RowId) -> Result<Vec<JobState>, Failure> {
        let mut found: Vec<JobState> = Vec::new();
        let mut after = RowId(first.0.saturating_sub(1));
        loop {
            let page = page(self.engine.store().as_ref(), &self.table, self.column, after).await?;
            let Some(last) = page.last() else { break };
            after = last.row;
            found.extend(page);
        }
        // Stable: rows of one line stay in the order in which they were made.
        found.sort_by_key(|job| job.line);
        found.reverse();
        found.dedup_by_key(|job| job.line);
        found.reverse();
        Ok(found)
    }
}

/// The project of a run that the state knows of.
pub(super) async fn project_of(
    store: &dyn Store,
    run_id: &str,
) -> paceline_model::Result<Option<String>> {
    let Some(table) = store.table(TABLE).await? else { return Ok(None) };
    let Some(column) = table.column(COLUMN).map(|column| column.id) else { return Ok(None) };
    let mut after = RowId(0);
    loop {
        let page = page(store, &table, column, after).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.row;
        let is_it = |job: &&JobState| job.run_id().is_some_and(|id| id == run_id);
        if let Some(job) = page.iter().find(is_it) {
            return Ok(Some(job.project.clone()));
        }
    }
}

/// The jobs of the rows after `after`; none if there are no more.
async fn page(
    store: &dyn Store,
    table: &Table,
    column: ColumnId,
    after: RowId,
) -> paceline_model::Result<Vec<JobState>> {
    let names = ["line", "project_id", "params", COLUMN];
    let columns = names.iter().filter_map(|name| table.column(name)).map(|column| column.id);
    let limit = limits::PAGE_ROWS_MAX;
    let query = RowQuery { columns: columns.collect(), after, limit, ..RowQuery::of(table.id) };
    let rows = store.rows(query).await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut cells = store.cells(column, first.id, last.id).await?.into_iter().peekable();
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let cell = cells.next_if(|cell| cell.row == row.id);
        let mut job = job_of(row.id, row.values, cell);
        if matches!(job.state, None | Some(CellState::Unknown)) {
            let note = store.note(column, row.id).await?;
            job.note = note.and_then(|note| serde_json::from_str(&note).ok());
        }
        jobs.push(job);
    }
    Ok(jobs)
}

fn job_of(row: RowId, values: Vec<Value>, cell: Option<Cell>) -> JobState {
    let mut values = values.into_iter().map(|value| value.to_json());
    let mut next = || values.next().unwrap_or_default();
    let (line, project, params, run) = (next(), next(), next(), next());
    JobState {
        row,
        line: line.as_f64().unwrap_or_default() as u64,
        project: project.as_str().unwrap_or_default().to_owned(),
        params: params.as_object().cloned().unwrap_or_default(),
        state: cell.as_ref().map(|cell| cell.state),
        error: cell.and_then(|cell| cell.error),
        report: serde_json::from_value(run).ok(),
        note: None,
    }
}

impl JobState {
    /// The run's id, as far as one is known.
    pub(super) fn run_id(&self) -> Option<&str> {
        match (&self.report, &self.note) {
            (Some(report), _) => Some(&report.run_id.0),
            (None, Some(Note::Started { run_id, .. })) => Some(&run_id.0),
            _ => None,
        }
    }
}

/// The origin of a state never changes: runs, projects and limits are that Hex's.
async fn check_origin(store: &dyn Store, account: &Account) -> Result<(), Failure> {
    match store.setting(ORIGIN).await? {
        Some(origin) if origin == account.base_url => Ok(()),
        Some(origin) => Err(usage(format!(
            "the state in {} is of {origin}, not of {}; give another --state",
            account.state.display(),
            account.base_url
        ))),
        None => Ok(store.set_setting(ORIGIN, &account.base_url).await?),
    }
}

/// The column, with these settings.
async fn column(engine: &Engine, table: &Table, settings: &Settings) -> Result<ColumnId, Failure> {
    let Some(Column { id, smart, .. }) = table.column(COLUMN) else {
        let spec = SmartSpec {
            name: COLUMN.to_owned(),
            title: None,
            kind: ColumnType::Json,
            options: Vec::new(),
            smart: SmartKind::Integration,
            config: settings.config.clone(),
            rate_limit: settings.rate.clone(),
        };
        return Ok(engine.add_smart_column(table, spec).await?.id);
    };
    let smart = smart.as_ref().ok_or_else(damaged)?;
    if (&smart.config, &smart.rate_limit) != (&settings.config, &settings.rate) {
        let (config, rate) = (settings.config.clone(), settings.rate.clone());
        engine.update_smart_column(table, COLUMN, Some(config), Some(rate)).await?;
    }
    Ok(*id)
}

fn new_table() -> NewTable {
    let columns = [
        ("batch", ColumnType::Number),
        ("line", ColumnType::Number),
        ("project_id", ColumnType::Text),
        ("params", ColumnType::Json),
    ];
    let column = |(name, kind): (&str, _)| NewColumn {
        name: name.to_owned(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    NewTable {
        name: TABLE.to_owned(),
        description: "every run that was asked for".to_owned(),
        columns: columns.into_iter().map(column).collect(),
    }
}

fn row_of(batch: u64, job: JobRow) -> Vec<Value> {
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let params = Value::Json(Json::Object(job.params));
    vec![number(batch), number(job.line), Value::Text(job.project), params]
}

pub(super) fn damaged() -> Failure {
    usage("the state is incomplete; give another --state, or remove it if no batch is under way")
}
