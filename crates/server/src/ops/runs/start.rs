//! Runs are asked for: planned first where they make many calls, narrowed, held back by caps.

use std::collections::BTreeMap;

use paceline_engine::{Asked, Plan};
use paceline_model::{Caps, RunOptions, Scope, Table, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{RunView, begun, in_the_way};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::ops::rows::filters::filter;
use crate::ops::{iso, smart_column, table};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RunColumn {
    table: String,
    column: String,
    scope: Option<Scope>,
    first: Option<u64>,
    #[serde(rename = "where")]
    filter: Option<Json>,
    max_calls: Option<u64>,
    max_cost: Option<Json>,
    #[serde(default)]
    dependents: bool,
    plan: Option<String>,
}

/// What a run would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlanView {
    /// Cells it takes up,
    cells: u64,
    /// calls it makes for them if none has to be repeated,
    calls: u64,
    /// and if every source of a waterfall has to be asked,
    calls_max: u64,
    /// cells that get the value of another one's call, because their inputs are the same,
    shared: u64,
    /// that are filled from a cell filled before,
    reused: u64,
    /// that are skipped, by the code of the reason,
    skipped: BTreeMap<String, u64>,
    /// and that stay as they are.
    unchanged: u64,
    /// From the first call to the last answer, if nobody else calls.
    seconds: f64,
    /// How long one call is thought to take; null if none is on record, and then `seconds` leaves it out.
    call_ms: Option<f64>,
    /// Of `calls_max`, in whole units of the currency of the column's price; null without a price.
    cost: Option<f64>,
    /// With `dependents`: calls that the columns computed from this one make at most, as if every cell moved, and what those
    /// cost. They are not in what stands above.
    following_calls_max: u64,
    following_cost: f64,
    /// For `plan` of run_column: needed above `calls_without_plan` calls.
    plan: String,
    calls_without_plan: u64,
    holds_until: Option<String>,
}

pub(crate) async fn start(app: App, input: RunColumn) -> Result<Outcome<RunView>> {
    let table = table(&app, &input.table).await?;
    let (column, _) = smart_column(&table, &input.column)?;
    let column = column.name.clone();
    let (scope, options) = asked(&table, &input)?;
    let token = input.plan.as_deref();
    let wanted = Asked { scope, options: &options, dependents: input.dependents };
    check(&app, &table, &column, wanted, token).await.map_err(|error| plan_first(error, &input))?;
    let runs = if input.dependents {
        app.engine.start_with_dependents(&table, &column, scope, options).await
    } else {
        app.engine.start_runs(&table, &[&column], scope, options).await
    };
    let mut runs = runs.map_err(|error| in_the_way(&table, error))?.into_iter();
    let first = runs.next().ok_or_else(|| ApiError::internal("a run was made and is not there"))?;
    let mut outcome = begun(&app, &table, first);
    outcome.data.followed_by = runs.map(|run| run.id).collect();
    Ok(outcome)
}

async fn check(
    app: &App,
    table: &Table,
    column: &str,
    asked: Asked<'_>,
    token: Option<&str>,
) -> Result<()> {
    let calls_max = app.config.limits.run_unplanned_calls_max;
    Ok(app.engine.check_plan(table, column, asked, token, calls_max).await?)
}

/// Refuses to retry so many failed cells that a plan is asked for: the run that the plan's token lets begin does the same.
pub(super) async fn check_retry(app: &App, table: &Table, column: &str) -> Result<()> {
    let options = RunOptions::default();
    let asked = Asked { scope: Scope::Failed, options: &options, dependents: true };
    check(app, table, column, asked, None).await.map_err(|error| {
        let retry = RunColumn {
            table: table.name.clone(),
            column: column.to_owned(),
            scope: Some(Scope::Failed),
            dependents: true,
            ..RunColumn::default()
        };
        plan_first(error, &retry)
    })
}

pub(crate) async fn plan(app: App, input: RunColumn) -> Result<Outcome<PlanView>> {
    let table = table(&app, &input.table).await?;
    let (column, _) = smart_column(&table, &input.column)?;
    let (scope, options) = asked(&table, &input)?;
    let wanted = Asked { scope, options: &options, dependents: input.dependents };
    let plan = app.engine.plan(&table, &column.name, wanted).await?;
    let run = call("run_column", &input, "do what this plan says");
    let token = plan.token.clone();
    let now = app.clock.wall();
    let view = PlanView {
        holds_until: iso(now + limits::PLAN_LIFETIME),
        calls_without_plan: app.config.limits.run_unplanned_calls_max,
        ..PlanView::from(plan)
    };
    Ok(Outcome::new(view).meta("table", table.name.as_str()).hint(run.with("plan", token)))
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            cells: plan.cells,
            calls: plan.calls,
            calls_max: plan.calls_max,
            shared: plan.shared,
            reused: plan.reused,
            skipped: plan.skipped,
            unchanged: plan.unchanged,
            seconds: plan.duration.as_secs_f64(),
            call_ms: plan.call_time.map(|time| time.as_secs_f64() * 1e3),
            cost: plan.cost_micros.map(|micros| micros as f64 / 1e6),
            following_calls_max: plan.following_calls_max,
            following_cost: plan.following_cost_micros as f64 / 1e6,
            plan: plan.token,
            calls_without_plan: 0,
            holds_until: None,
        }
    }
}

/// The scope and what narrows it.
fn asked(table: &Table, input: &RunColumn) -> Result<(Scope, RunOptions)> {
    let caps = Caps { calls: input.max_calls, cost_micros: cost(input.max_cost.as_ref())? };
    let filter = filter(table, input.filter.as_ref())?;
    let options = RunOptions { first: input.first, filter, caps, ..RunOptions::default() };
    Ok((input.scope.unwrap_or(Scope::Empty), options))
}

fn cost(given: Option<&Json>) -> Result<Option<u64>> {
    let Some(given) = given else { return Ok(None) };
    let number = given.as_f64().or_else(|| given.as_str()?.parse().ok());
    match number.filter(|cost| (0.0..=1e9).contains(cost)) {
        Some(cost) => Ok(Some((cost * 1e6).round() as u64)),
        None => Err(ApiError::field("max_cost", "must be a number from 0 to 1,000,000,000")),
    }
}

/// What was asked for, as a call.
fn call(operation: &'static str, input: &RunColumn, why: &str) -> Hint {
    let mut given = Map::new();
    given.insert("table".into(), input.table.clone().into());
    given.insert("column".into(), input.column.clone().into());
    given.extend(input.scope.map(|scope| ("scope".to_owned(), scope.as_str().into())));
    given.extend(input.first.map(|first| ("first".to_owned(), first.into())));
    given.extend(input.filter.clone().map(|filter| ("where".to_owned(), filter)));
    given.extend(input.max_calls.map(|most| ("max_calls".to_owned(), most.into())));
    given.extend(input.max_cost.clone().map(|most| ("max_cost".to_owned(), most)));
    if input.dependents {
        given.insert("dependents".into(), true.into());
    }
    given.into_iter().fold(Hint::new(operation, why), |hint, (name, value)| hint.with(&name, value))
}

fn plan_first(error: ApiError, input: &RunColumn) -> ApiError {
    if !matches!(error.0.code, Code::PlanRequired | Code::PlanOutdated) {
        return error;
    }
    error.hint(call("plan_run", input, "see what the run would do; its plan's token lets it begin"))
}
