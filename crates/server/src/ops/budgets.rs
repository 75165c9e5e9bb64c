//! How fast each smart column may call, what is under way, and what holds the next call back (spec G4, G8).

use std::collections::HashMap;

use paceline_engine::ColumnBudget;
use paceline_governor::{BreakerState, LimitStatus};
use paceline_model::ColumnId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::table;
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::Result;

#[derive(Debug, Deserialize)]
pub(crate) struct ListBudgets {
    table: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BudgetsOf {
    table: String,
    column: String,
    kind: &'static str,
    /// As it was given: a preset's name or an object.
    rate_limit: Json,
    /// The budgets that this process has made for it; none before its first run since the process began.
    budgets: Vec<BudgetView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct BudgetView {
    /// `calls`; of kind integration `triggers`, `reads` and `overall`.
    purpose: &'static str,
    /// Of kind waterfall, the source whose calls pass it.
    source: Option<String>,
    limits: Vec<LimitView>,
    in_flight: usize,
    /// Calls that wait for it.
    waiting: usize,
    /// Nothing more is sent before this has passed.
    waiting_ms: Option<f64>,
    /// What holds the next call back.
    held_by: Option<String>,
    /// Calls that the vendor refused for their rate since the process began.
    throttled: u64,
    /// Why it did, as far as can be told; the newest last.
    explanations: Vec<String>,
    /// `admitting`, `refusing` or `probing`.
    breaker: &'static str,
    /// Why the breaker does not admit.
    breaker_reason: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LimitView {
    /// As in `20/min`.
    limit: String,
    /// Slots that are held now.
    used: usize,
    /// Slots there are: fewer than the limit's count while cooling down.
    allowed: usize,
    /// How long after its sending a call may be counted at the latest.
    guard_ms: Option<f64>,
    /// What was learnt of how the vendor counts.
    learnt: LearntView,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LearntView {
    /// Calls that go at once at the most: the vendor is a token bucket smaller than its limit.
    burst_max: Option<u64>,
    /// The vendor weighs the last window too.
    sliding_counter: bool,
    /// The vendor keeps time in whole seconds.
    whole_seconds: bool,
}

pub(crate) async fn list(app: App, input: ListBudgets) -> Result<Outcome<Vec<BudgetsOf>>> {
    let tables = match &input.table {
        Some(name) => vec![table(&app, name).await?],
        None => app.engine.store().tables().await?,
    };
    let mut made: HashMap<ColumnId, Vec<BudgetView>> = HashMap::new();
    for budget in app.engine.budgets() {
        made.entry(budget.column).or_default().push(BudgetView::of(budget));
    }
    let mut lines = Vec::new();
    for table in &tables {
        for column in &table.columns {
            let Some(smart) = &column.smart else { continue };
            lines.push(BudgetsOf {
                table: table.name.clone(),
                column: column.name.clone(),
                kind: smart.kind.as_str(),
                rate_limit: smart.rate_limit.clone(),
                budgets: made.remove(&column.id).unwrap_or_default(),
            });
        }
    }
    Ok(Outcome::new(lines).hint(Hint::new("get_limits", "see what a rate may ask for")))
}

impl BudgetView {
    fn of(budget: ColumnBudget) -> Self {
        let status = budget.status;
        let (breaker, trip) = match status.breaker {
            BreakerState::Admitting => ("admitting", None),
            BreakerState::Refusing { trip, .. } => ("refusing", Some(trip)),
            BreakerState::Probing { trip } => ("probing", Some(trip)),
        };
        Self {
            purpose: budget.purpose,
            source: budget.source,
            limits: status.limits.iter().map(LimitView::of).collect(),
            in_flight: status.in_flight,
            waiting: status.waiting,
            waiting_ms: budget.wait.map(|wait| wait.as_secs_f64() * 1e3),
            held_by: budget.held_by,
            throttled: status.throttled,
            explanations: status.explanations.iter().map(ToString::to_string).collect(),
            breaker,
            breaker_reason: trip.map(|trip| trip.to_string()),
        }
    }
}

impl LimitView {
    pub(super) fn of(status: &LimitStatus) -> Self {
        let learnt = status.learnt;
        Self {
            limit: status.limit.to_string(),
            used: status.used,
            allowed: status.allowed,
            guard_ms: status.guard_ms,
            learnt: LearntView {
                burst_max: learnt.burst_max,
                sliding_counter: learnt.sliding_counter,
                whole_seconds: learnt.whole_seconds,
            },
        }
    }
}
