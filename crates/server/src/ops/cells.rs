//! Why is this cell as it is? Its state, its error, and every call that was made for it (spec R7).

use paceline_model::{AttemptClass, CellError, RowId, RowQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rows::no_such_row;
use super::{iso, smart_column, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::Result;

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
    state: &'static str,
    value: Json,
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
}

pub(crate) async fn explain(app: App, input: ExplainCell) -> Result<Outcome<CellStory>> {
    let table = table(&app, &input.table).await?;
    let (column, _) = smart_column(&table, &input.column)?;
    let store = app.engine.store();
    // The first row after the one before it: this one, if it exists.
    let query = RowQuery {
        columns: vec![column.id],
        after: RowId(input.row.0.saturating_sub(1)),
        limit: 1,
        ..RowQuery::of(table.id)
    };
    let found = store.rows(query).await?.into_iter().next().filter(|row| row.id == input.row);
    let Some(row) = found else {
        return Err(no_such_row(&table, input.row));
    };
    let cell = store.cells(column.id, row.id, row.id).await?.into_iter().next();
    let attempts = store.attempts(column.id, row.id).await?;
    let state = cell.as_ref().map(|cell| cell.state);
    let story = CellStory {
        row: row.id,
        column: column.name.clone(),
        state: state.map_or("idle", |state| state.as_str()),
        value: row.values.first().map_or(Json::Null, paceline_model::Value::to_json),
        version: cell.as_ref().map(|cell| cell.version),
        updated_at: cell.as_ref().and_then(|cell| iso(cell.updated_at)),
        error: cell.and_then(|cell| cell.error),
        attempts: attempts
            .into_iter()
            .map(|attempt| AttemptView {
                number: attempt.number,
                sent_at: attempt.sent_at.and_then(iso),
                seen_at: iso(attempt.seen_at),
                status: attempt.status,
                class: attempt.class,
                error: attempt.error,
            })
            .collect(),
    };
    let next = match state {
        None => Some(("run_column", "nobody has asked for this cell yet: fill the empty ones")),
        Some(paceline_model::CellState::Failed) => {
            Some(("retry_failed_cells", "call again for the cells that failed"))
        }
        Some(_) => None,
    };
    let mut outcome = Outcome::new(story).meta("table", table.name.as_str());
    outcome.hints.extend(next.map(|(operation, why)| {
        Hint::new(operation, why)
            .with("table", table.name.as_str())
            .with("column", column.name.as_str())
    }));
    Ok(outcome)
}
