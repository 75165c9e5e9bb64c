//! Why is this cell as it is? In one sentence, with its state, its error, and every call that was made for it (spec R7).
//! And a person's word on a cell of which nobody knows.

mod because;

use paceline_engine::Settle;
use paceline_model::{
    Attempt, AttemptClass, Cell, CellError, Column, Row, RowId, RowQuery, RunId, Scope, Table,
    Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rows::no_such_row;
use super::{column, iso, smart_column, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Result};

/// The state of a cell that no call fills.
const PLAIN: &str = "plain";
/// The state of a cell that has no record.
const IDLE: &str = "idle";

#[derive(Debug, Deserialize)]
pub(crate) struct ExplainCell {
    table: String,
    column: String,
    row: RowId,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CellStory {
    row: RowId,
    column: String,
    /// `idle`, `completed`, `failed`, `skipped` or `unknown`; `plain` if the column holds data and no call fills it.
    state: &'static str,
    value: Json,
    /// Why it is as it is, in a sentence.
    because: String,
    error: Option<CellError>,
    /// The version of the column's configuration that it was made with; the column may have gone on since.
    version: Option<i64>,
    updated_at: Option<String>,
    attempts: Vec<AttemptView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AttemptView {
    number: u32,
    sent_at: Option<String>,
    seen_at: Option<String>,
    status: Option<u16>,
    class: AttemptClass,
    error: Option<CellError>,
    /// What was sent, in one line; secrets are masked.
    request: Option<String>,
    /// Of kind waterfall: which source was asked.
    source: Option<String>,
    /// What it cost, in millionths of the column's currency.
    cost_micros: u64,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            sent_at: attempt.sent_at.and_then(iso),
            seen_at: iso(attempt.seen_at),
            status: attempt.status,
            class: attempt.class,
            error: attempt.error,
            request: attempt.request,
            source: attempt.source,
            cost_micros: attempt.cost_micros,
        }
    }
}

/// A person's word on a cell whose outcome nobody knows.
#[derive(Debug, Deserialize)]
pub(crate) struct SettleCell {
    table: String,
    column: String,
    row: RowId,
    outcome: SettledAs,
    value: Option<Json>,
    run: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SettledAs {
    Done,
    Failed,
    Resend,
    Attach,
}

/// What `outcome` may say.
pub(crate) const SETTLED_AS: [&str; 4] = ["done", "failed", "resend", "attach"];

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Settled {
    row: RowId,
    column: String,
    /// `idle`, `completed`, `failed` or `unknown`, as it stands now.
    state: &'static str,
    /// The run that sends it again, if one was started.
    run: Option<RunId>,
}

pub(crate) async fn settle(app: App, input: SettleCell) -> Result<Outcome<Settled>> {
    let table = table(&app, &input.table).await?;
    let (column, smart) = smart_column(&table, &input.column)?;
    let word = match (input.outcome, input.value, input.run) {
        (SettledAs::Done, value, None) => {
            let value = value.filter(|value| !value.is_null());
            let typed = value.map(|value| Value::of(column, value)).transpose();
            Settle::Done(typed.map_err(|error| ApiError::field("value", error.to_string()))?)
        }
        (SettledAs::Attach, None, Some(run)) => Settle::Attach(run),
        (SettledAs::Attach, None, None) => {
            return Err(ApiError::field("run", "is required: the id of the run at Hex"));
        }
        (_, _, Some(_)) => return Err(ApiError::field("run", "goes with attach, and then alone")),
        (_, Some(_), None) => {
            return Err(ApiError::field("value", "goes with the outcome done only"));
        }
        (SettledAs::Failed, None, None) => Settle::Failed,
        (SettledAs::Resend, None, None) => Settle::Resend,
    };
    let sends = word == Settle::Resend && !smart.is_job();
    app.engine.settle(&table, &column.name, input.row, word).await?;
    let run = match sends {
        true => match app.engine.send_again(&table, &column.name, input.row).await {
            Ok(run) => Some(run.id),
            // Another run of the column is at work, which is no failure: the cell waits for the next one.
            Err(error) if error.code() == "CONFLICT" => None,
            Err(error) => return Err(error.into()),
        },
        false => None,
    };
    let store = app.engine.store();
    let cell = store.cells(column.id, input.row, input.row).await?.into_iter().next();
    let state = cell.map_or(IDLE, |cell| cell.state.as_str());
    let of_column = |name, why: &str| {
        Hint::new(name, why).with("table", table.name.as_str()).with("column", column.name.as_str())
    };
    let hint = match (run, state) {
        (Some(run), _) => Hint::new("get_run", "watch it being sent").with("run", run.0),
        (None, IDLE) => {
            of_column("run_column", "send it once no other run of the column is at work")
        }
        (None, "unknown") => {
            let scope = Scope::Unknown.as_str();
            of_column("run_column", "acts on it").with("scope", scope)
        }
        _ => of_column("explain_cell", "see the cell with every call that was made for it")
            .with("row", input.row.0),
    };
    let settled = Settled { row: input.row, column: column.name.clone(), state, run };
    Ok(Outcome::new(settled).meta("table", table.name.as_str()).hint(hint))
}

pub(crate) async fn explain(app: App, input: ExplainCell) -> Result<Outcome<CellStory>> {
    let table = table(&app, &input.table).await?;
    let column = column(&table, &input.column)?;
    let row = row(&app, &table, column, input.row).await?;
    let value = row.values.first().unwrap_or(&Value::Null);
    let store = app.engine.store();
    let (mut cell, mut attempts, mut newest, mut moved) = (None, Vec::new(), None, Vec::new());
    if column.smart.is_some() {
        cell = store.cells(column.id, input.row, input.row).await?.into_iter().next();
        // A configuration that cannot be read any more is told by whoever runs it.
        moved = app.engine.staleness(&table, &column.name, input.row).await.unwrap_or_default();
        attempts = store.attempts(column.id, input.row).await?;
        newest = store.newest_run(column.id).await?;
    }
    if let Some(run) = newest.as_mut().filter(|run| !run.status.is_final()) {
        // As it is now, not as it was when it last changed its status.
        run.counts = app.engine.progress(run.id).map_or(run.counts, |live| live.counts);
    }
    let seen = because::Seen {
        table: &table,
        column,
        row: &row,
        value,
        cell: cell.as_ref(),
        last: attempts.last(),
        newest: newest.as_ref(),
        moved: &moved,
    };
    let (because, hint) = (seen.sentence(), seen.hint());
    let story = story(input.row, column, value.to_json(), because, cell, attempts);
    Ok(Outcome::new(story).meta("table", table.name.as_str()).hint(hint))
}

fn story(
    row: RowId,
    column: &Column,
    value: Json,
    because: String,
    cell: Option<Cell>,
    attempts: Vec<Attempt>,
) -> CellStory {
    let idle = if column.smart.is_some() { IDLE } else { PLAIN };
    CellStory {
        row,
        column: column.name.clone(),
        state: cell.as_ref().map_or(idle, |cell| cell.state.as_str()),
        value,
        because,
        version: cell.as_ref().map(|cell| cell.version),
        updated_at: cell.as_ref().and_then(|cell| iso(cell.updated_at)),
        error: cell.and_then(|cell| cell.error),
        attempts: attempts.into_iter().map(AttemptView::from).collect(),
    }
}

/// The row of that id, with the column's value.
async fn row(app: &App, table: &Table, column: &Column, id: RowId) -> Result<Row> {
    // The first row after the one before it: this one, if it exists.
    let query = RowQuery {
        columns: vec![column.id],
        after: RowId(id.0.saturating_sub(1)),
        limit: 1,
        ..RowQuery::of(table.id)
    };
    let found = app.engine.store().rows(query).await?.into_iter().find(|row| row.id == id);
    found.ok_or_else(|| no_such_row(table, id))
}
