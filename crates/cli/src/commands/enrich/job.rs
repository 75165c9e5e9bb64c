//! The enrichment as the engine sees it: a table with the columns that templates refer to, and one smart column.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use paceline_clock::Timestamp;
use paceline_engine::{Engine, HttpColumn, HttpSpec, OutboundGuard, SmartSpec};
use paceline_model::{
    CellState, Column, ColumnId, ColumnType, Counts, NewColumn, NewTable, RunStatus, Scope,
    SmartKind, Table, TableId, limits,
};
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::state::StateDir;
use super::step::Step;
use crate::exit::{Failure, usage};
use paceline_files::{Format, Source, Spooled, check_new_column, spool};

const TABLE: &str = "input";
/// The smart column's inner name; its title is what the person called it.
pub(super) const COLUMN: &str = "enriched";
/// Where what the job was made from is kept.
const JOB: &str = "enrich_job";

/// What the state was made from: the input's copy, and what must be the same for a command to resume.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    spooled: Spooled,
    column: String,
    /// Keyed hashes: nothing of a secret can be guessed from them.
    call: String,
}

/// An enrichment that can run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) table: Table,
    pub(crate) column: Column,
    pub(crate) spooled: Spooled,
}

/// Where the job's cells stand, over all its runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) unknown: u64,
    pub(crate) calls: u64,
    pub(crate) throttled: u64,
    pub(crate) retries: u64,
}

impl Job {
    /// The job that the state holds, if it is the same one; a new one if there is none.
    pub(crate) async fn open_or_make(
        engine: &Engine,
        request: &Request,
        state: &StateDir,
        key: &[u8; 32],
    ) -> Result<Self, Failure> {
        let spooled = match engine.store().setting(JOB).await? {
            Some(made) => {
                let made: Made = serde_json::from_str(&made)?;
                check_same(&made, request, key)?;
                made.spooled.check_kept()?;
                let kept = Self::load(engine, made.spooled).await?;
                kept.bring_up_to_date(engine, request).await?;
                kept.spooled
            }
            None => Self::make(engine, request, state, key).await?,
        };
        Self::load(engine, spooled).await
    }

    async fn load(engine: &Engine, spooled: Spooled) -> Result<Self, Failure> {
        let table = engine.store().table(TABLE).await?.ok_or_else(damaged)?;
        let column = table.column(COLUMN).cloned().ok_or_else(damaged)?;
        Ok(Self { table, column, spooled })
    }

    async fn make(
        engine: &Engine,
        request: &Request,
        state: &StateDir,
        key: &[u8; 32],
    ) -> Result<Spooled, Failure> {
        let source = Source::open(&request.input)?;
        let spooled = tokio::task::block_in_place(|| spool(source, &state.spool_path()))?;
        check_new_column(&spooled.columns, &request.column)?;
        let used = used_columns(request, &spooled)?;
        let table = engine.store().create_table(new_table(&spooled, &used)).await?;
        let spec = SmartSpec {
            name: COLUMN.to_owned(),
            title: Some(request.column.clone()),
            kind: ColumnType::Json,
            options: Vec::new(),
            smart: SmartKind::Http,
            config: request.spec.to_json(),
            rate_limit: request.rate_json.clone(),
        };
        engine.add_smart_column(&table, spec).await?;
        import(engine, &table, &spooled, &used).await?;
        let made =
            Made { spooled, column: request.column.clone(), call: call_hash(&request.spec, key) };
        engine.store().set_setting(JOB, &serde_json::to_string(&made)?).await?;
        state.is_ready()?;
        Ok(made.spooled)
    }

    /// Takes over what may change between two runs: the rate, the time-out and the secrets of the headers.
    async fn bring_up_to_date(&self, engine: &Engine, request: &Request) -> Result<(), Failure> {
        let smart = self.column.smart.as_ref().ok_or_else(damaged)?;
        let kept = HttpSpec::from_json(&smart.config)?.masked();
        let same_config = kept == request.spec.clone().masked() && request.spec.headers.is_empty();
        if same_config && smart.rate_limit == request.rate_json {
            return Ok(());
        }
        let config = (!same_config).then(|| request.spec.to_json());
        engine
            .update_smart_column(&self.table, COLUMN, config, Some(request.rate_json.clone()))
            .await?;
        Ok(())
    }

    /// What is to be done: go on with an unfinished run; else all rows, if none was made; and the failed cells, if asked.
    pub(crate) async fn steps(
        &self,
        engine: &Engine,
        retry_failed: bool,
    ) -> Result<Vec<Step>, Failure> {
        let last = engine.store().runs(self.table.id, 1).await?.into_iter().next();
        let mut steps = Vec::new();
        match last {
            None => steps.push(Step::Begin(Scope::All)),
            Some(run) if run.status == RunStatus::Cancelled => {
                steps.push(Step::Begin(Scope::Empty));
            }
            Some(run) if !run.status.is_final() => steps.push(Step::GoOn(run.id)),
            Some(_) => {}
        }
        let had_runs = !matches!(steps.first(), Some(Step::Begin(_)));
        if retry_failed && had_runs {
            steps.push(Step::Begin(Scope::Failed));
        }
        Ok(steps)
    }

    /// Counts over all runs of the job.
    pub(crate) async fn totals(&self, engine: &Engine) -> Result<Totals, Failure> {
        let mut totals = Totals { rows: self.spooled.rows, ..Totals::default() };
        for run in engine.store().runs(self.table.id, usize::MAX).await? {
            let Counts { calls, throttled, retries, .. } = run.counts;
            totals.calls += calls;
            totals.throttled += throttled;
            totals.retries += retries;
        }
        for (state, count) in engine.store().count_cells(self.column.id).await? {
            match state {
                CellState::Completed => totals.completed = count,
                CellState::Failed => totals.failed = count,
                CellState::Skipped => totals.skipped = count,
                CellState::Unknown => totals.unknown = count,
            }
        }
        Ok(totals)
    }
}

pub(super) fn damaged() -> Failure {
    usage("the state is incomplete; run again with --restart")
}

/// The columns that templates refer to, as positions in the input.
fn used_columns(request: &Request, spooled: &Spooled) -> Result<Vec<usize>, Failure> {
    let columns = spooled.columns.iter().enumerate().map(|(index, title)| Column {
        id: ColumnId(index as i64),
        table: TableId(0),
        name: inner_name(index),
        title: Some(title.clone()),
        kind: ColumnType::Text,
        options: Vec::new(),
        smart: None,
    });
    let table = Table {
        id: TableId(0),
        name: TABLE.to_owned(),
        description: String::new(),
        columns: columns.collect(),
        created_at: Timestamp::default(),
    };
    let guard = OutboundGuard::private(request.allow_private);
    let column = HttpColumn::new(&request.spec, &table, COLUMN, &guard)
        .map_err(|error| usage(in_flags(&error)))?;
    Ok(column.inputs().iter().map(|id| id.0 as usize).collect())
}

/// What is wrong with the call, with the flag in place of the field that it sets.
fn in_flags(error: &paceline_engine::Error) -> String {
    let paceline_engine::Error::Config { field, problem, .. } = error else {
        return error.to_string();
    };
    match field.strip_prefix("config.").map(|field| field.strip_prefix("headers.").ok_or(field)) {
        Some(Err(field)) => format!("--{}: {problem}", field.replace('_', "-")),
        Some(Ok(header)) => format!("--header {header}: {problem}"),
        None => format!("--header {field}: {problem}"),
    }
}

fn inner_name(index: usize) -> String {
    format!("c{}", index + 1)
}

fn new_table(spooled: &Spooled, used: &[usize]) -> NewTable {
    let kind = if spooled.format == Format::Jsonl { ColumnType::Json } else { ColumnType::Text };
    let columns = used.iter().map(|index| NewColumn {
        name: inner_name(*index),
        title: Some(spooled.columns[*index].clone()),
        kind,
        options: Vec::new(),
        smart: None,
    });
    NewTable {
        name: TABLE.to_owned(),
        description: format!("the columns of {} that templates refer to", spooled.name),
        columns: columns.collect(),
    }
}

async fn import(
    engine: &Engine,
    table: &Table,
    spooled: &Spooled,
    used: &[usize],
) -> Result<(), Failure> {
    let store = Arc::clone(engine.store());
    let columns: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
    let mut batches = spooled.batches(used, limits::INSERT_ROWS_MAX)?;
    while let Some(batch) = tokio::task::block_in_place(|| batches.next()) {
        store.insert_rows(table.id, &columns, batch?).await?;
    }
    Ok(())
}

/// Of everything that decides what is called for a row, but not of the secrets of its headers: a new key must not make a
/// job another one.
fn call_hash(spec: &HttpSpec, key: &[u8; 32]) -> String {
    blake3::keyed_hash(key, spec.identity().as_bytes()).to_hex().to_string()
}

/// Refuses a command that is not the one the state was made from, with the way out.
fn check_same(made: &Made, request: &Request, key: &[u8; 32]) -> Result<(), Failure> {
    let mut changed = Vec::new();
    let given = tokio::task::block_in_place(|| fingerprint(&request.input))?;
    if given.is_some_and(|given| given != made.spooled.fingerprint) {
        changed.push(format!("the content of {}", made.spooled.name));
    }
    if made.column != request.column {
        changed.push("--column".to_owned());
    }
    if made.call != call_hash(&request.spec, key) {
        changed.push("the call (--url, --method, --header, --body or --extract)".to_owned());
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(usage(format!(
        "{} changed since the run that is kept beside {}; give the same again to resume it, choose another OUT, or throw \
         it away with --restart",
        changed.join(" and "),
        request.output.display()
    )))
}

/// What is in the input, to be compared with the kept copy. Nothing, where it is not given a second time: whoever goes on
/// with what came down a pipe need not send it again.
fn fingerprint(input: &Path) -> Result<Option<String>, Failure> {
    if input == Path::new("-") && std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let given = Source::open(input)?.fingerprint()?;
    let is_nothing = given == blake3::hash(b"").to_hex().as_str();
    Ok((!is_nothing || input.is_file()).then_some(given))
}
