//! The cells of a table that failed, or of which nobody knows: one by one with their errors, and how often each code came.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paceline_model::{Cell, CellState, Column, ColumnId, Filter, RowId, RowQuery, Table, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{iso, smart_column, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Result};

/// Cells of one page at the most, and when the caller names no limit.
pub(crate) const ERRORS_MAX: u64 = 1_000;
const ERRORS_DEFAULT: usize = 25;
/// Failed cells that are looked at for the counts by code, at the most.
const COUNTED_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
pub(crate) struct ListErrors {
    table: String,
    column: Option<String>,
    state: Option<CellState>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The states that are listed; the first if the caller names none.
pub(crate) const LISTED: [CellState; 2] = [CellState::Failed, CellState::Unknown];

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Errors {
    /// In the order of columns, then of rows.
    errors: Vec<ErrorLine>,
    /// Cells in that state, altogether.
    failed: u64,
    /// How often each code came; on the first page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<Vec<CodeCount>>,
    /// Whether `codes` counts all failed cells, or only the first 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_counted: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ErrorLine {
    column: String,
    row: RowId,
    code: String,
    message: String,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CodeCount {
    column: String,
    code: String,
    count: u64,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    column: ColumnId,
    row: RowId,
}

pub(crate) async fn list(app: App, input: ListErrors) -> Result<Outcome<Errors>> {
    let table = table(&app, &input.table).await?;
    let columns: Vec<&Column> = match &input.column {
        Some(name) => vec![smart_column(&table, name)?.0],
        None => table.columns.iter().filter(|column| column.smart.is_some()).collect(),
    };
    let limit = input.limit.unwrap_or(ERRORS_DEFAULT);
    let state = input.state.unwrap_or(LISTED[0]);
    let after = match &input.cursor {
        Some(text) => Some(decode(&table, &columns, text).ok_or_else(|| wrong_cursor(&table))?),
        None => None,
    };
    let (errors, next) = page(&app, &table, (&columns, state), after, limit).await?;
    let (mut failed, mut codes, mut all_counted) = (0, None, None);
    for column in &columns {
        let states = app.engine.store().count_cells(column.id).await?;
        let of_failed = states.iter().filter(|(known, _)| *known == state);
        failed += of_failed.map(|(_, count)| count).sum::<u64>();
    }
    if after.is_none() {
        let counted = counts(&app, &table, &columns, state).await?;
        all_counted = Some(counted.iter().map(|line| line.count).sum::<u64>() >= failed);
        codes = Some(counted);
    }
    let next = next.map(|place| encode(&table, place));
    let mut outcome = Outcome::new(Errors { errors, failed, codes, all_counted })
        .meta("table", table.name.as_str())
        .meta("next_cursor", next.clone());
    if let Some(line) = outcome.data.errors.first() {
        let hint = Hint::new("explain_cell", "see every call that was made for the first of them")
            .with("table", table.name.as_str())
            .with("column", line.column.as_str())
            .with("row", line.row.0);
        outcome.hints.push(hint);
    }
    if let Some(next) = next {
        let mut hint = Hint::new("list_errors", "the next page")
            .with("table", table.name.as_str())
            .with("state", state.as_str())
            .with("limit", limit)
            .with("cursor", next);
        if let Some(column) = input.column {
            hint = hint.with("column", column);
        }
        outcome.hints.push(hint);
    }
    Ok(outcome)
}

async fn page(
    app: &App,
    table: &Table,
    (columns, state): (&[&Column], CellState),
    after: Option<Place>,
    limit: usize,
) -> Result<(Vec<ErrorLine>, Option<Place>)> {
    let begin = after.map_or(0, |place| {
        columns.iter().position(|column| column.id == place.column).unwrap_or(columns.len())
    });
    let mut row = after.map_or(RowId(0), |place| place.row);
    let mut lines = Vec::new();
    let mut last = None;
    for column in columns.iter().skip(begin) {
        // One more than the limit tells whether there is a next page.
        for cell in listed(app, table, (column.id, state), row, limit + 1 - lines.len()).await? {
            if lines.len() == limit {
                return Ok((lines, last));
            }
            last = Some(Place { column: column.id, row: cell.row });
            lines.push(line(column, cell));
        }
        row = RowId(0);
    }
    Ok((lines, None))
}

fn line(column: &Column, cell: Cell) -> ErrorLine {
    let (code, message) =
        cell.error.map_or_else(Default::default, |error| (error.code, error.message));
    ErrorLine {
        column: column.name.clone(),
        row: cell.row,
        code,
        message,
        updated_at: iso(cell.updated_at),
    }
}

async fn counts(
    app: &App,
    table: &Table,
    columns: &[&Column],
    state: CellState,
) -> Result<Vec<CodeCount>> {
    let mut counts = Vec::new();
    let mut left = COUNTED_MAX;
    for column in columns {
        let mut codes: BTreeMap<String, u64> = BTreeMap::new();
        let mut after = RowId(0);
        while left > 0 {
            let most = left.min(ERRORS_MAX as usize);
            let cells = listed(app, table, (column.id, state), after, most).await?;
            let Some(last) = cells.last() else { break };
            after = last.row;
            left -= cells.len();
            for cell in cells {
                let code = cell.error.map_or_else(String::new, |error| error.code);
                *codes.entry(code).or_default() += 1;
            }
        }
        let of_column = |(code, count)| CodeCount { column: column.name.clone(), code, count };
        counts.extend(codes.into_iter().map(of_column));
    }
    counts.sort_by_key(|line| std::cmp::Reverse(line.count));
    Ok(counts)
}

/// Cells of a column in that state, in the order of their rows: the first ones after `after`.
async fn listed(
    app: &App,
    table: &Table,
    (column, state): (ColumnId, CellState),
    after: RowId,
    limit: usize,
) -> Result<Vec<Cell>> {
    let store = app.engine.store();
    let filter = Filter::Cell { column, states: vec![Some(state)] };
    let query = RowQuery { filter: Some(filter), after, limit, ..RowQuery::of(table.id) };
    let rows: Vec<RowId> = store.rows(query).await?.into_iter().map(|row| row.id).collect();
    let mut cells = Vec::with_capacity(rows.len());
    let mut rest = rows.as_slice();
    // As many rows at once as lie in a span that the store answers whole.
    while let Some(first) = rest.first() {
        let span = rest.partition_point(|row| row.0 - first.0 < limits::PAGE_ROWS_MAX as i64);
        let (now, later) = rest.split_at(span.max(1));
        let last = now.last().copied().unwrap_or(*first);
        let found = store.cells(column, *first, last).await?;
        cells.extend(found.into_iter().filter(|cell| cell.state == state));
        rest = later;
    }
    Ok(cells)
}

fn wrong_cursor(table: &Table) -> ApiError {
    ApiError::field("cursor", "is not a cursor that this server gave for the errors of this table")
        .fix("take `meta.next_cursor` of the page before, or leave it out to begin at the first")
        .hint(Hint::new("list_errors", "begin at the first").with("table", table.name.as_str()))
}

fn encode(table: &Table, place: Place) -> String {
    URL_SAFE_NO_PAD.encode(format!("errors.{}.{}.{}", table.id.0, place.column.0, place.row.0))
}

fn decode(table: &Table, columns: &[&Column], cursor: &str) -> Option<Place> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let rest = text.strip_prefix(&format!("errors.{}.", table.id.0))?;
    let (column, row) = rest.split_once('.')?;
    let place = Place { column: ColumnId(column.parse().ok()?), row: RowId(row.parse().ok()?) };
    let known = columns.iter().any(|column| column.id == place.column) && place.row.0 >= 0;
    known.then_some(place)
}
