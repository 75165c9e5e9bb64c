//! Runs: start, retry, follow, pause, resume, cancel.

mod start;

use paceline_engine::Progress;
use paceline_model::{ColumnId, Counts, Run, RunId, RunStatus, Scope, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{iso, shared_budgets, smart_column, table};
use crate::App;
use crate::app::{RUNS_DEFAULT, RUNS_MAX};
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
pub(crate) use start::{plan, start};

#[derive(Debug, Deserialize)]
pub(crate) struct RetryColumn {
    table: String,
    column: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListRuns {
    table: String,
    limit: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ResumeRun {
    run: RunId,
    caps: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneRun {
    run: RunId,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunView {
    id: RunId,
    /// Names; null if what they name is gone.
    table: Option<String>,
    column: Option<String>,
    scope: Scope,
    status: RunStatus,
    reason: Option<String>,
    counts: Counts,
    /// Runs of columns that this one needs: a row comes to its turn when they are done with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<RunId>,
    /// Runs of columns that need this one, made with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    followed_by: Vec<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

/// How a run at work is coming along; see [`Progress`].
#[derive(Debug, Serialize, JsonSchema)]
struct ProgressView {
    in_flight: usize,
    waiting: Option<Waiting>,
    /// The run whose rows it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
    rate_per_second: f64,
    eta_ms: Option<f64>,
    elapsed_ms: f64,
    call_ms: f64,
    explanations: Vec<String>,
    /// Of kind `integration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Jobs>,
}

/// Where the jobs of a run stand.
#[derive(Debug, Serialize, JsonSchema)]
struct Jobs {
    triggered: u64,
    pending: usize,
    running: usize,
    ended: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Waiting {
    ms: f64,
    reason: String,
}

impl RunView {
    pub(crate) fn of(app: &App, table: Option<&Table>, run: Run) -> Self {
        let live = app.engine.progress(run.id);
        let column_name = |id: ColumnId| {
            let column = table?.columns.iter().find(|column| column.id == id);
            column.map(|column| column.name.clone())
        };
        Self {
            id: run.id,
            table: table.map(|table| table.name.clone()),
            column: column_name(run.column),
            scope: run.scope,
            status: run.status,
            reason: run.reason,
            counts: live.as_ref().map_or(run.counts, |live| live.counts),
            after: run.options.after,
            followed_by: Vec::new(),
            progress: live.map(ProgressView::from),
            created_at: iso(run.created_at),
            updated_at: iso(run.updated_at),
        }
    }
}

impl From<Progress> for ProgressView {
    fn from(live: Progress) -> Self {
        Self {
            in_flight: live.in_flight,
            waiting: live.waiting_ms.map(|(ms, reason)| Waiting { ms, reason }),
            waits_for: live.waits_for,
            rate_per_second: live.rate_per_second,
            eta_ms: live.eta_ms,
            elapsed_ms: live.elapsed_ms,
            call_ms: live.call_ms,
            explanations: live.explanations,
            jobs: live.jobs.map(|jobs| Jobs {
                triggered: jobs.triggered,
                pending: jobs.pending,
                running: jobs.running,
                ended: jobs.ended,
            }),
        }
    }
}

/// After a breaker has tripped, the run of the column is paused and a new one would be a conflict. What the caller
/// wants is that the column goes on, so the paused run does.
pub(crate) async fn retry(app: App, input: RetryColumn) -> Result<Outcome<RunView>> {
    let table = table(&app, &input.table).await?;
    let (column, _) = smart_column(&table, &input.column)?;
    let runs = app.engine.store().runs(table.id, RUNS_MAX as usize).await?;
    // Only the newest run of a column can be short of its end.
    let newest = runs.into_iter().find(|run| run.column == column.id);
    let Some(paused) = newest.filter(|run| run.status == RunStatus::Paused) else {
        return retry_failed(&app, &table, &column.name).await;
    };
    let run = app.engine.resume_run(paused.id).await?;
    let why = format!(
        "run {} of this column was paused and goes on now; when it has ended, retry again for the cells that failed before",
        run.id
    );
    let again = Hint::new(
        "retry_failed_cells",
        "once that run has ended: the cells that failed before it was paused",
    )
    .with("table", table.name.as_str())
    .with("column", column.name.as_str());
    let watch = Hint::new("get_run", why).with("run", run.id.0);
    let outcome =
        Outcome::new(RunView::of(&app, Some(&table), run)).meta("table", table.name.as_str());
    Ok(outcome.meta("resumed", true).hint(watch).hint(again))
}

/// The failed cells of the column, and what was computed from them.
async fn retry_failed(app: &App, table: &Table, column: &str) -> Result<Outcome<RunView>> {
    start::check_retry(app, table, column).await?;
    let runs = app.engine.retry_failed(table, column).await;
    let mut runs = runs.map_err(|error| in_the_way(table, error))?.into_iter();
    let first = runs.next().ok_or_else(|| ApiError::internal("a run was made and is not there"))?;
    let mut outcome = begun(app, table, first);
    outcome.data.followed_by = runs.map(|run| run.id).collect();
    Ok(outcome)
}

/// What to do about another run that is not at its end.
fn in_the_way(table: &Table, error: paceline_engine::Error) -> ApiError {
    let error = ApiError::from(error);
    if error.0.code != Code::Conflict {
        return error;
    }
    error.fix("wait for that run to end, or pause or cancel it").hint(
        Hint::new("list_runs", "find the run that is in the way")
            .with("table", table.name.as_str()),
    )
}

fn begun(app: &App, table: &Table, run: Run) -> Outcome<RunView> {
    let watch = Hint::new("get_run", "watch it until it ends").with("run", run.id.0);
    Outcome::new(RunView::of(app, Some(table), run)).meta("table", table.name.as_str()).hint(watch)
}

pub(crate) async fn list(app: App, input: ListRuns) -> Result<Outcome<Vec<RunView>>> {
    let table = table(&app, &input.table).await?;
    let limit = input.limit.unwrap_or(RUNS_DEFAULT).min(RUNS_MAX) as usize;
    let runs = app.engine.store().runs(table.id, limit).await?;
    let views = runs.into_iter().map(|run| RunView::of(&app, Some(&table), run)).collect();
    Ok(Outcome::new(views).meta("table", table.name.as_str()).meta("limit", limit))
}

pub(crate) async fn get(app: App, input: OneRun) -> Result<Outcome<RunView>> {
    let run = find(&app, input.run).await?;
    shown(&app, run).await
}

pub(crate) async fn pause(app: App, input: OneRun) -> Result<Outcome<RunView>> {
    find(&app, input.run).await?;
    let run = app.engine.pause_run(input.run).await?;
    let mut outcome = shown(&app, run).await?;
    let settled = outcome.data.status == RunStatus::Paused;
    if !settled {
        // What is in flight ends first; saying "paused" before would be untrue.
        let why = "it is stopping: what is in flight ends first, then its status is paused";
        outcome.hints = vec![Hint::new("get_run", why).with("run", input.run.0)];
    }
    Ok(outcome)
}

pub(crate) async fn resume(app: App, input: ResumeRun) -> Result<Outcome<RunView>> {
    find(&app, input.run).await?;
    let run = match shared_budgets::caps("caps", input.caps)? {
        Some(caps) => app.engine.resume_run_within(input.run, caps).await?,
        None => app.engine.resume_run(input.run).await?,
    };
    shown(&app, run).await
}

pub(crate) async fn cancel(app: App, input: OneRun) -> Result<Outcome<RunView>> {
    find(&app, input.run).await?;
    let run = app.engine.cancel_run(input.run).await?;
    shown(&app, run).await
}

async fn find(app: &App, run: RunId) -> Result<Run> {
    app.engine.store().run(run).await?.ok_or_else(|| {
        ApiError::new(Code::RunNotFound, format!("there is no run {run}"))
            .hint(Hint::new("list_tables", "see which tables there are, then list the runs of one"))
    })
}

/// A run with what can be done about it next.
async fn shown(app: &App, run: Run) -> Result<Outcome<RunView>> {
    let table = app.engine.store().table(&run.table.to_string()).await?;
    let view = RunView::of(app, table.as_ref(), run);
    let hint = next_step(&view);
    let mut outcome = Outcome::new(view);
    if let Some(name) = table.map(|table| table.name) {
        outcome = outcome.meta("table", name);
    }
    outcome.hints.extend(hint);
    Ok(outcome)
}

fn next_step(run: &RunView) -> Option<Hint> {
    let (table, column) = (run.table.as_deref()?, run.column.as_deref()?);
    let hint = match run.status {
        RunStatus::Queued | RunStatus::Running => {
            Hint::new("get_run", "watch it until it ends").with("run", run.id.0)
        }
        RunStatus::Paused => Hint::new("resume_run", "let it go on, once the reason is dealt with")
            .with("run", run.id.0),
        RunStatus::CompletedWithErrors if run.counts.failed > 0 => {
            Hint::new("retry_failed_cells", "call again for the cells that failed")
                .with("table", table)
                .with("column", column)
        }
        RunStatus::Cancelled => Hint::new("run_column", "fill the cells that are still empty")
            .with("table", table)
            .with("column", column),
        RunStatus::Completed | RunStatus::CompletedWithErrors => {
            Hint::new("query_rows", "look at the values").with("table", table)
        }
    };
    Some(hint)
}
