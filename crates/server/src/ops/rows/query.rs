//! Rows out: a page, a stream of all, one row, a count.

use std::sync::Arc;

use paceline_model::{RowId, RowQuery, Table, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::filters::{filter, order};
use super::reader::{Reader, step_rows};
use super::stream::{self, Format};
use super::view::{RawRow, View};
use crate::App;
use crate::app::PAGE_BYTES_MAX;
use crate::catalog::MaybeStream;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::ops::{cursor, table};

#[derive(Debug, Deserialize)]
pub(crate) struct QueryRows {
    table: String,
    #[serde(rename = "where")]
    filter: Option<Json>,
    order_by: Option<Json>,
    limit: Option<usize>,
    offset: Option<u64>,
    cursor: Option<String>,
    columns: Option<Vec<String>>,
    format: Option<Format>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CountRows {
    table: String,
    #[serde(rename = "where")]
    filter: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetRow {
    table: String,
    row: RowId,
    columns: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Count {
    count: u64,
}

pub(crate) async fn count(app: App, input: CountRows) -> Result<Outcome<Count>> {
    let table = table(&app, &input.table).await?;
    let filter = filter(&table, input.filter.as_ref())?;
    let count = app.engine.store().count_rows(table.id, filter).await?;
    Ok(Outcome::new(Count { count }).meta("table", table.name))
}

pub(crate) async fn get(app: App, input: GetRow) -> Result<Outcome<RawRow>> {
    let table = table(&app, &input.table).await?;
    let view = View::of(&table, input.columns.as_deref())?;
    // The first row after the one before it: this one, if it exists.
    let query = RowQuery {
        columns: view.columns.iter().map(|column| column.id).collect(),
        after: RowId(input.row.0.saturating_sub(1)),
        limit: 1,
        ..RowQuery::of(table.id)
    };
    let found = app.engine.store().rows(query).await?;
    let Some(row) = found.first().filter(|row| row.id == input.row) else {
        return Err(no_such_row(&table, input.row));
    };
    let cells = view.cells(&app, &found).await?;
    Ok(Outcome::new(view.raw(row, &cells)?).meta("table", table.name))
}

/// That there is no row of that id.
pub(crate) fn no_such_row(table: &Table, row: RowId) -> ApiError {
    let message = format!("table {:?} has no row {row}", table.name);
    let hint = Hint::new("query_rows", "see which rows there are");
    ApiError::new(Code::RowNotFound, message).hint(hint.with("table", table.name.as_str()))
}

pub(crate) async fn query(app: App, input: QueryRows) -> Result<MaybeStream<Vec<RawRow>>> {
    read(app, input, "query_rows").await
}

pub(crate) async fn search(app: App, input: QueryRows) -> Result<MaybeStream<Vec<RawRow>>> {
    read(app, input, "search_rows").await
}

/// Of `operation`, which a stream says at its end.
async fn read(
    app: App,
    input: QueryRows,
    operation: &'static str,
) -> Result<MaybeStream<Vec<RawRow>>> {
    let table = table(&app, &input.table).await?;
    let view = Arc::new(View::of(&table, input.columns.as_deref())?);
    let sort = order(&table, input.order_by.as_ref())?;
    let keys = sort.len();
    let wanted = filter(&table, input.filter.as_ref())?;
    let asked = cursor::digest(input.filter.as_ref(), input.order_by.as_ref());
    let mut reader = Reader::new(app.clone(), &table, view, wanted, sort);
    match (&input.cursor, input.offset) {
        (Some(_), Some(_)) => {
            return Err(ApiError::field("offset", "is given beside cursor; give one of them"));
        }
        (Some(text), None) => {
            let cursor = cursor::decode(table.id, asked, keys, text);
            reader.go_on(cursor.ok_or_else(|| wrong_cursor(&table, &input))?).await?;
        }
        (None, offset) => reader.skip(offset.unwrap_or(0)),
    }
    let limit = input.limit.unwrap_or(limits::PAGE_ROWS_DEFAULT);
    if limit == 0 {
        let format = input.format.unwrap_or(Format::Json);
        return Ok(MaybeStream::Stream(stream::of(reader, &table, format, operation).await?));
    }
    if input.format == Some(Format::Ndjson) {
        return Err(ApiError::field("format", "ndjson is for streams; give limit=0 with it"));
    }
    let page = page(&mut reader, limit).await?;
    let next = page.more.then(|| cursor::encode(table.id, asked, &reader.cursor()));
    let mut outcome = Outcome::new(page.rows)
        .meta("table", table.name.as_str())
        .meta("limit", limit)
        .meta("next_cursor", next.clone());
    if let Some(next) = next {
        let hint = same_query(Hint::new("query_rows", "the next page"), &table, input, limit);
        outcome.hints.push(hint.with("cursor", next));
    }
    Ok(MaybeStream::Outcome(outcome))
}

fn wrong_cursor(table: &Table, input: &QueryRows) -> ApiError {
    let first = Hint::new("query_rows", "begin at the first row");
    let mut first = first.with("table", table.name.as_str());
    for (name, given) in [("where", &input.filter), ("order_by", &input.order_by)] {
        if let Some(given) = given {
            first = first.with(name, given.clone());
        }
    }
    ApiError::field(
        "cursor",
        "is not a cursor that this server gave for this table with this where and this order_by",
    )
    .fix("take `meta.next_cursor` of the page before and ask for the same, or leave it out to begin at the first row")
    .hint(first)
}

/// A hint that asks for the same rows.
fn same_query(hint: Hint, table: &Table, input: QueryRows, limit: usize) -> Hint {
    let mut hint = hint.with("table", table.name.as_str());
    for (name, given) in [("where", input.filter), ("order_by", input.order_by)] {
        if let Some(given) = given {
            hint = hint.with(name, given);
        }
    }
    hint = hint.with("limit", limit);
    match input.columns {
        Some(names) => hint.with("columns", names),
        None => hint,
    }
}

struct Page {
    rows: Vec<RawRow>,
    /// Whether there are more; the reader stands after the last row of the page.
    more: bool,
}

/// Reads in steps as large as what is left of the page's bytes allows, so that a page of large values is neither held
/// in memory nor sent whole.
async fn page(reader: &mut Reader, limit: usize) -> Result<Page> {
    let (mut rows, mut bytes): (Vec<RawRow>, usize) = (Vec::new(), 0);
    loop {
        // One more than the limit tells whether there is a next page.
        let room = PAGE_BYTES_MAX.saturating_sub(bytes);
        let step = step_rows(room, rows.len(), bytes).min(limit + 1 - rows.len());
        let (read, more) = reader.read(step).await?;
        for step in read {
            let length = step.raw.0.get().len();
            if rows.len() == limit || (!rows.is_empty() && bytes + length > PAGE_BYTES_MAX) {
                return Ok(Page { rows, more: true });
            }
            bytes += length;
            reader.advance(&step.row);
            rows.push(step.raw);
        }
        if !more {
            return Ok(Page { rows, more: false });
        }
    }
}
