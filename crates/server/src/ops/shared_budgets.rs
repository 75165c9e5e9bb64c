//! Budgets that columns share (spec G2): those that people name, made, changed and deleted here, and those of one credential
//! at one host, which come about by themselves.

use std::collections::HashMap;

use paceline_engine::{BudgetSpec, SharedStatus};
use paceline_model::{Caps, ColumnId, Item, RunId, Spent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::budgets::LimitView;
use super::rows::unconfirmed;
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Result};

#[derive(Debug, Deserialize)]
pub(crate) struct CreateBudget {
    name: String,
    rate: Json,
    host: Option<String>,
    daily_caps: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateBudget {
    budget: String,
    rate: Option<Json>,
    host: Option<String>,
    daily_caps: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteBudget {
    budget: String,
    #[serde(default)]
    confirm: bool,
}

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct ListShared {}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedBudget {
    deleted: bool,
    name: String,
}

/// A named budget, or the one of a credential at a host.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SharedView {
    /// As columns name it in `rate_limit.budget`; none of a credential's.
    name: Option<String>,
    /// What it is, for people.
    about: String,
    /// As it was given.
    rate: Option<Json>,
    /// The host that its columns must call.
    host: Option<String>,
    /// How much its columns may do on one UTC day.
    daily_caps: Option<Caps>,
    /// What they have done of it today; none before the first run since the process began.
    spent_today: Option<Spent>,
    /// The columns that pass it, as `table.column`.
    columns: Vec<String>,
    /// Where it stands; none before its first run since the process began.
    status: Option<StandView>,
}

/// How a shared budget stands.
#[derive(Debug, Serialize, JsonSchema)]
struct StandView {
    limits: Vec<LimitView>,
    in_flight: usize,
    /// Who waits for it.
    waiting: Vec<WaitingView>,
    /// Nothing more is sent before this has passed.
    waiting_ms: Option<f64>,
    /// What holds the next call back.
    held_by: Option<String>,
    /// Calls that the vendor refused for their rate since the process began.
    throttled: u64,
    /// Why it did, as far as can be told; the newest last.
    explanations: Vec<String>,
}

/// A run whose calls wait.
#[derive(Debug, Serialize, JsonSchema)]
struct WaitingView {
    column: String,
    run: RunId,
    /// How many.
    calls: usize,
}

pub(crate) async fn create(app: App, input: CreateBudget) -> Result<Outcome<SharedView>> {
    let caps = caps("daily_caps", input.daily_caps)?.unwrap_or_default();
    let spec = BudgetSpec { rate: input.rate, host: input.host, daily_caps: caps };
    let item = app.engine.create_budget(&input.name, &spec).await?;
    let hint = Hint::new("list_shared_budgets", "see it; columns name it in rate_limit.budget");
    Ok(Outcome::new(of_item(&app, &item).await?).hint(hint))
}

pub(crate) async fn update(app: App, input: UpdateBudget) -> Result<Outcome<SharedView>> {
    let items = app.engine.named_budgets().await?;
    let before = items.iter().find(|item| item.name == input.budget);
    // Of a budget that there is not, the engine says which was probably meant.
    let before = before.map(BudgetSpec::from_item);
    let spec = BudgetSpec {
        rate: input.rate.or(before.as_ref().map(|spec| spec.rate.clone())).unwrap_or_default(),
        host: input.host.or(before.as_ref().and_then(|spec| spec.host.clone())),
        daily_caps: match caps("daily_caps", input.daily_caps)? {
            Some(caps) => caps,
            None => before.map(|spec| spec.daily_caps).unwrap_or_default(),
        },
    };
    let item = app.engine.update_budget(&input.budget, &spec).await?;
    Ok(Outcome::new(of_item(&app, &item).await?))
}

pub(crate) async fn delete(app: App, input: DeleteBudget) -> Result<Outcome<DeletedBudget>> {
    if !input.confirm {
        let again = Hint::new("delete_budget", "delete it").with("budget", input.budget.as_str());
        let message = format!("this deletes the budget {:?} for good", input.budget);
        return Err(unconfirmed(message, again.with("confirm", true)));
    }
    let item = app.engine.delete_budget(&input.budget).await?;
    Ok(Outcome::new(DeletedBudget { deleted: true, name: item.name }))
}

pub(crate) async fn list(app: App, _: ListShared) -> Result<Outcome<Vec<SharedView>>> {
    let names = names(&app).await?;
    let mut standing: HashMap<String, SharedStatus> =
        app.engine.shared_budgets().into_iter().map(|one| (one.key.clone(), one)).collect();
    let mut views = Vec::new();
    for item in app.engine.named_budgets().await? {
        let status = standing.remove(&format!("budget:{}", item.name));
        views.push(view(&app, Some(&item), status, &names).await?);
    }
    let mut others: Vec<SharedStatus> = standing.into_values().collect();
    others.sort_by(|one, other| one.key.cmp(&other.key));
    for status in others {
        views.push(view(&app, None, Some(status), &names).await?);
    }
    Ok(Outcome::new(views).hint(Hint::new("list_budgets", "see each column's own")))
}

/// Reads caps.
pub(super) fn caps(field: &str, given: Option<Json>) -> Result<Option<Caps>> {
    let read = given.map(Caps::deserialize).transpose();
    read.map_err(|error| {
        let problem = format!("is not as in {{\"calls\": 1000, \"cost_micros\": 500000}}: {error}");
        ApiError::field(field, problem)
    })
}

async fn of_item(app: &App, item: &Item) -> Result<SharedView> {
    let key = format!("budget:{}", item.name);
    let status = app.engine.shared_budgets().into_iter().find(|one| one.key == key);
    view(app, Some(item), status, &names(app).await?).await
}

async fn view(
    app: &App,
    item: Option<&Item>,
    status: Option<SharedStatus>,
    names: &HashMap<ColumnId, String>,
) -> Result<SharedView> {
    let spec = item.map(BudgetSpec::from_item);
    let name_of = |column: &ColumnId| names.get(column).cloned().unwrap_or_default();
    let columns = match (item, &status) {
        (Some(item), _) => {
            let columns = app.engine.columns_of_budget(&item.name).await?;
            columns.iter().map(|(table, column)| format!("{}.{column}", table.name)).collect()
        }
        (None, Some(status)) => status.columns.iter().map(name_of).collect(),
        (None, None) => Vec::new(),
    };
    let about = status.as_ref().map(|status| status.name.clone());
    Ok(SharedView {
        name: item.map(|item| item.name.clone()),
        about: about.or(item.map(|item| format!("the budget {}", item.name))).unwrap_or_default(),
        rate: spec.as_ref().map(|spec| spec.rate.clone()),
        host: spec.as_ref().and_then(|spec| spec.host.clone()),
        daily_caps: spec.map(|spec| spec.daily_caps),
        spent_today: status.as_ref().and_then(|status| Some(status.today?.1)),
        columns,
        status: status.map(|one| StandView {
            limits: one.status.limits.iter().map(LimitView::of).collect(),
            in_flight: one.status.in_flight,
            waiting: one
                .waiting
                .iter()
                .map(|(column, run, calls)| WaitingView {
                    column: name_of(column),
                    run: *run,
                    calls: *calls,
                })
                .collect(),
            waiting_ms: one.wait.map(|wait| wait.as_secs_f64() * 1e3),
            held_by: one.held_by,
            throttled: one.status.throttled,
            explanations: one.status.explanations.iter().map(ToString::to_string).collect(),
        }),
    })
}

/// Every smart column as `table.column`.
async fn names(app: &App) -> Result<HashMap<ColumnId, String>> {
    let tables = app.engine.store().tables().await?;
    let columns = tables.iter().flat_map(|table| {
        table.columns.iter().map(|column| (column.id, format!("{}.{}", table.name, column.name)))
    });
    Ok(columns.collect())
}
