//! Rows: insert, page through, count.

use std::borrow::Cow;

use paceline_model::{Cell, Column, RowId, RowQuery, Table, Value, limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value as Json};

use super::insert::incoming;
use super::{column, cursor, table};
use crate::App;
use crate::app::PAGE_BYTES_MAX;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Result};

/// Rows read from the store at first, when nothing is known of their size, and at the most.
const STEP_ROWS_FIRST: usize = 16;
const STEP_ROWS_MAX: usize = 2_048;

#[derive(Debug, Deserialize)]
pub(crate) struct InsertRows {
    table: String,
    rows: Vec<Map<String, Json>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueryRows {
    table: String,
    limit: Option<usize>,
    cursor: Option<String>,
    columns: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CountRows {
    table: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Inserted {
    inserted: usize,
    first_id: Option<RowId>,
    last_id: Option<RowId>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Count {
    count: u64,
}

pub(crate) async fn insert(app: App, input: InsertRows) -> Result<Outcome<Inserted>> {
    let table = table(&app, &input.table).await?;
    let incoming = incoming(&table, input.rows)?;
    let inserted = incoming.rows.len();
    let ids = app.engine.store().insert_rows(table.id, &incoming.columns, incoming.rows).await?;
    let data = Inserted {
        inserted,
        first_id: ids.map(|(first, _)| first),
        last_id: ids.map(|(_, last)| last),
    };
    let mut outcome =
        Outcome::new(data).meta("table", table.name.as_str()).meta("rows_affected", inserted);
    let smart = table.columns.iter().find(|column| column.smart.is_some());
    let hint = match smart {
        Some(smart) if inserted > 0 => {
            Hint::new("run_column", "fill the smart column of the new rows")
                .with("table", table.name.as_str())
                .with("column", smart.name.as_str())
        }
        _ => Hint::new("query_rows", "look at the rows").with("table", table.name.as_str()),
    };
    outcome.hints.push(hint);
    Ok(outcome)
}

pub(crate) async fn count(app: App, input: CountRows) -> Result<Outcome<Count>> {
    let table = table(&app, &input.table).await?;
    let count = app.engine.store().count_rows(table.id, None).await?;
    Ok(Outcome::new(Count { count }).meta("table", table.name))
}

pub(crate) async fn query(app: App, input: QueryRows) -> Result<Outcome<Vec<RawRow>>> {
    let table = table(&app, &input.table).await?;
    let columns = wanted(&table, input.columns.as_deref())?;
    let limit = input.limit.unwrap_or(limits::PAGE_ROWS_DEFAULT).min(limits::PAGE_ROWS_MAX);
    let after = match &input.cursor {
        None => RowId(0),
        Some(text) => cursor::decode(table.id, text).ok_or_else(|| {
            ApiError::field("cursor", "is not a cursor that this server gave for this table")
                .fix("take `meta.next_cursor` of the page before, or leave it out to begin at the first row")
                .hint(Hint::new("query_rows", "begin at the first row").with("table", table.name.as_str()))
        })?,
    };
    let page = page(&app, &table, &columns, after, limit).await?;
    let next = page.next.map(|after| cursor::encode(table.id, after));
    let mut outcome = Outcome::new(page.rows)
        .meta("table", table.name.as_str())
        .meta("limit", limit)
        .meta("next_cursor", next.clone());
    if let Some(next) = next {
        let mut hint = Hint::new("query_rows", "the next page")
            .with("table", table.name.as_str())
            .with("limit", limit)
            .with("cursor", next);
        if let Some(names) = input.columns {
            hint = hint.with("columns", names);
        }
        outcome.hints.push(hint);
    }
    Ok(outcome)
}

fn wanted<'t>(table: &'t Table, names: Option<&[String]>) -> Result<Vec<&'t Column>> {
    let Some(names) = names else {
        return Ok(table.columns.iter().collect());
    };
    let mut columns: Vec<&Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = column(table, name)?;
        if columns.iter().any(|known| known.id == column.id) {
            return Err(ApiError::field("columns", format!("{name:?} is named twice")));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// A row as JSON, written once.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RawRow(Box<RawValue>);

impl JsonSchema for RawRow {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {"_ht_id": {"type": "integer"}},
            "required": ["_ht_id"],
            "additionalProperties": true,
        })
    }
}

struct Page {
    rows: Vec<RawRow>,
    /// The last row of the page, if there are more.
    next: Option<RowId>,
}

/// Reads in steps as large as what is left of the page's bytes allows, so that a page of large values is neither held
/// in memory nor sent whole.
async fn page(
    app: &App,
    table: &Table,
    columns: &[&Column],
    after: RowId,
    limit: usize,
) -> Result<Page> {
    let ids: Vec<_> = columns.iter().map(|column| column.id).collect();
    let (mut rows, mut bytes, mut last): (Vec<RawRow>, usize, RowId) = (Vec::new(), 0, after);
    let mut step = STEP_ROWS_FIRST.min(limit + 1);
    loop {
        let query =
            RowQuery { columns: ids.clone(), after: last, limit: step, ..RowQuery::of(table.id) };
        let read = app.engine.store().rows(query).await?;
        let is_last = read.len() < step;
        let cells =
            cells(app, columns, read.first().map(|row| row.id), read.last().map(|row| row.id))
                .await?;
        for row in &read {
            let view = RowView { columns, id: row.id, values: &row.values, cells: &cells };
            let raw = to_raw_value(&view)
                .map_err(|error| ApiError::internal(format!("a row is not JSON: {error}")))?;
            let full = rows.len() == limit
                || (!rows.is_empty() && bytes + raw.get().len() > PAGE_BYTES_MAX);
            if full {
                return Ok(Page { rows, next: Some(last) });
            }
            bytes += raw.get().len();
            last = row.id;
            rows.push(RawRow(raw));
        }
        if is_last {
            return Ok(Page { rows, next: None });
        }
        // One more than the limit tells whether there is a next page.
        let mean = bytes / rows.len().max(1) + 1;
        let fitting = (PAGE_BYTES_MAX.saturating_sub(bytes) / mean).clamp(1, STEP_ROWS_MAX);
        step = fitting.min(limit + 1 - rows.len());
    }
}

/// The records of the smart columns' cells, by the place of the column.
async fn cells(
    app: &App,
    columns: &[&Column],
    first: Option<RowId>,
    last: Option<RowId>,
) -> Result<Vec<Vec<Cell>>> {
    let mut all = Vec::with_capacity(columns.len());
    for column in columns {
        let found = match (&column.smart, first, last) {
            (Some(_), Some(first), Some(last)) => {
                app.engine.store().cells(column.id, first, last).await?
            }
            _ => Vec::new(),
        };
        all.push(found);
    }
    Ok(all)
}

/// A row as it leaves: `_ht_id`, the values by name, and under `_ht_cells` how the smart ones came about.
struct RowView<'a> {
    columns: &'a [&'a Column],
    id: RowId,
    values: &'a [Value],
    /// By the place of the column; ascending by row.
    cells: &'a [Vec<Cell>],
}

impl Serialize for RowView<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_ht_id", &self.id)?;
        for (column, value) in self.columns.iter().zip(self.values) {
            match value {
                Value::Null => map.serialize_entry(&column.name, &())?,
                Value::Bool(b) => map.serialize_entry(&column.name, b)?,
                Value::Int(n) => map.serialize_entry(&column.name, n)?,
                Value::Number(x) => map.serialize_entry(&column.name, x)?,
                Value::Text(text) => map.serialize_entry(&column.name, text)?,
                Value::Json(json) => map.serialize_entry(&column.name, json)?,
            }
        }
        if self.columns.iter().any(|column| column.smart.is_some()) {
            map.serialize_entry("_ht_cells", &CellsView(self))?;
        }
        map.end()
    }
}

struct CellsView<'a>(&'a RowView<'a>);

impl Serialize for CellsView<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cells) in self.0.columns.iter().zip(self.0.cells) {
            if column.smart.is_some() {
                let found = cells.binary_search_by_key(&self.0.id, |cell| cell.row);
                map.serialize_entry(&column.name, &CellView(found.ok().map(|at| &cells[at])))?;
            }
        }
        map.end()
    }
}

/// A cell without a record is idle: nobody asked for it yet.
struct CellView<'a>(Option<&'a Cell>);

impl Serialize for CellView<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("state", self.0.map_or("idle", |cell| cell.state.as_str()))?;
        if let Some(error) = self.0.and_then(|cell| cell.error.as_ref()) {
            map.serialize_entry("error", error)?;
        }
        map.end()
    }
}
