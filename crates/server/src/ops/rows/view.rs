//! Rows as they leave: `_ht_id`, the values by name, and the system columns that were asked for.

use std::borrow::Cow;

use paceline_model::{Cell, CellState, Column, Row, RowId, Table, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::{RawValue, to_raw_value};

use crate::App;
use crate::error::{ApiError, Result};
use crate::ops::{column, iso};

/// Rows so far apart are not looked up in one range: the cells of those between them would be read for nothing.
const GAP_MAX: i64 = 16;

/// The system columns beside `_ht_id`, as they are called.
const CREATED_AT: &str = "_ht_created_at";
const UPDATED_AT: &str = "_ht_updated_at";
const STATUS: &str = "_ht_status";
const ERROR: &str = "_ht_error";
const ID: &str = "_ht_id";

/// A row as JSON, written once.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RawRow(pub(super) Box<RawValue>);

impl JsonSchema for RawRow {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A row: its values by the names of their columns, and the system's. `_ht_id` is always there, the others if no columns were named or they were.",
            "properties": {
                "_ht_id": {"type": "integer"},
                "_ht_created_at": {"type": ["string", "null"], "format": "date-time"},
                "_ht_updated_at": {"type": ["string", "null"], "format": "date-time"},
                "_ht_status": {"enum": ["idle", "completed", "failed", "skipped", "unknown", null]},
                "_ht_error": {
                    "type": ["object", "null"],
                    "properties": {
                        "column": {"type": "string"},
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
                "_ht_cells": {"type": "object"},
            },
            "required": ["_ht_id"],
            "additionalProperties": true,
        })
    }
}

/// What of a row is shown.
#[derive(Debug)]
pub(super) struct View {
    /// The columns wanted, in their order.
    pub(super) columns: Vec<Column>,
    /// The smart columns whose cells are looked at: all, where the status of the row is wanted.
    smart: Vec<Column>,
    created_at: bool,
    updated_at: bool,
    status: bool,
    error: bool,
}

impl View {
    /// Everything, or the columns of these names; the system's may be among them.
    pub(super) fn of(table: &Table, names: Option<&[String]>) -> Result<Self> {
        let all = names.is_none();
        let mut view = Self {
            columns: if all { table.columns.clone() } else { Vec::new() },
            smart: Vec::new(),
            created_at: all,
            updated_at: all,
            status: all,
            error: all,
        };
        for name in names.unwrap_or_default() {
            let is_new = match name.as_str() {
                // Every row has it.
                ID => true,
                CREATED_AT => !std::mem::replace(&mut view.created_at, true),
                UPDATED_AT => !std::mem::replace(&mut view.updated_at, true),
                STATUS => !std::mem::replace(&mut view.status, true),
                ERROR => !std::mem::replace(&mut view.error, true),
                name => {
                    let column = column(table, name)?;
                    let is_new = view.columns.iter().all(|known| known.id != column.id);
                    view.columns.push(column.clone());
                    is_new
                }
            };
            if !is_new {
                return Err(ApiError::field("columns", format!("{name:?} is named twice")));
            }
        }
        let smart = if view.status || view.error { &table.columns } else { &view.columns };
        view.smart = smart.iter().filter(|column| column.smart.is_some()).cloned().collect();
        Ok(view)
    }

    /// The records of the cells of these rows.
    pub(super) async fn cells(&self, app: &App, rows: &[Row]) -> Result<Vec<Vec<Cell>>> {
        let mut ids: Vec<RowId> = rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        let ranges = ids.chunk_by(|one, next| next.0 - one.0 <= GAP_MAX);
        let ranges: Vec<(RowId, RowId)> =
            ranges.filter_map(|range| Some((*range.first()?, *range.last()?))).collect();
        let mut all = Vec::with_capacity(self.smart.len());
        for column in &self.smart {
            let mut cells = Vec::new();
            for (first, last) in &ranges {
                cells.extend(app.engine.store().cells(column.id, *first, *last).await?);
            }
            all.push(cells);
        }
        Ok(all)
    }

    /// The row as JSON. `cells` are those of [`View::cells`].
    pub(super) fn raw(&self, row: &Row, cells: &[Vec<Cell>]) -> Result<RawRow> {
        let cells: Vec<(&str, Option<&Cell>)> = self
            .smart
            .iter()
            .zip(cells)
            .map(|(column, cells)| {
                let found = cells.binary_search_by_key(&row.id, |cell| cell.row);
                (column.name.as_str(), found.ok().map(|at| &cells[at]))
            })
            .collect();
        to_raw_value(&RowView { view: self, row, cells: &cells })
            .map(RawRow)
            .map_err(|error| ApiError::internal(format!("a row is not JSON: {error}")))
    }
}

struct RowView<'a> {
    view: &'a View,
    row: &'a Row,
    /// Of the smart columns that are looked at, by name.
    cells: &'a [(&'a str, Option<&'a Cell>)],
}

impl Serialize for RowView<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let (view, row) = (self.view, self.row);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(ID, &row.id)?;
        for (column, value) in view.columns.iter().zip(&row.values) {
            match value {
                Value::Null => map.serialize_entry(&column.name, &())?,
                Value::Bool(b) => map.serialize_entry(&column.name, b)?,
                Value::Int(n) => map.serialize_entry(&column.name, n)?,
                Value::Number(x) => map.serialize_entry(&column.name, x)?,
                Value::Text(text) => map.serialize_entry(&column.name, text)?,
                Value::Json(json) => map.serialize_entry(&column.name, json)?,
            }
        }
        if view.created_at {
            map.serialize_entry(CREATED_AT, &iso(row.created_at))?;
        }
        if view.updated_at {
            map.serialize_entry(UPDATED_AT, &iso(row.updated_at))?;
        }
        if view.status {
            map.serialize_entry(STATUS, &status(self.cells))?;
        }
        if view.error {
            map.serialize_entry(ERROR, &RowError::of(self.cells))?;
        }
        if view.columns.iter().any(|column| column.smart.is_some()) {
            map.serialize_entry("_ht_cells", &CellsView(self))?;
        }
        map.end()
    }
}

/// How far the row's cells have come, by the one that asks for most attention; none without smart columns.
fn status(cells: &[(&str, Option<&Cell>)]) -> Option<&'static str> {
    let order = [
        Some(CellState::Failed),
        Some(CellState::Unknown),
        None,
        Some(CellState::Completed),
        Some(CellState::Skipped),
    ];
    let states: Vec<_> = cells.iter().map(|(_, cell)| cell.map(|cell| cell.state)).collect();
    let state = order.into_iter().find(|state| states.contains(state))?;
    Some(state.map_or("idle", CellState::as_str))
}

/// The first error among the row's cells; why one was skipped is none.
#[derive(Serialize)]
struct RowError<'a> {
    column: &'a str,
    code: &'a str,
    message: &'a str,
}

impl<'a> RowError<'a> {
    fn of(cells: &[(&'a str, Option<&'a Cell>)]) -> Option<Self> {
        cells.iter().find_map(|(column, cell)| {
            let wrong = |cell: &&Cell| matches!(cell.state, CellState::Failed | CellState::Unknown);
            let error = cell.filter(wrong).and_then(|cell| cell.error.as_ref())?;
            Some(Self { column, code: &error.code, message: &error.message })
        })
    }
}

struct CellsView<'a>(&'a RowView<'a>);

impl Serialize for CellsView<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let wanted = |name: &str| self.0.view.columns.iter().any(|column| column.name == name);
        for (name, cell) in self.0.cells.iter().filter(|(name, _)| wanted(name)) {
            map.serialize_entry(name, &CellView(*cell))?;
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
