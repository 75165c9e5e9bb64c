//! Rows as they come in, against the columns of their table: names resolved, values checked, every fault with its place.

use std::collections::HashMap;

use paceline_model::{ColumnId, Table, Value, limits, suggest};
use serde_json::{Map, Value as Json};

use super::{SYSTEM_PREFIX, schema_hint};
use crate::app::{FAULTS_TOLD_MAX, INSERT_VALUES_MAX};
use crate::error::{ApiError, Code, Detail, Result, format_meant};

/// Rows as the store takes them.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The columns that any row names, in the order they came up.
    pub(crate) columns: Vec<ColumnId>,
    /// The values of each row in that order; what a row does not name is empty.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Checks a whole call; nothing is inserted if anything is wrong.
///
/// # Errors
/// `BATCH_TOO_LARGE` with the limit; else the first fault about names, or the first ten about values.
pub(crate) fn incoming(table: &Table, given: Vec<Map<String, Json>>) -> Result<Incoming> {
    if given.len() > limits::INSERT_ROWS_MAX {
        let message = format!(
            "{} rows in one call; at most {} are taken",
            given.len(),
            limits::INSERT_ROWS_MAX
        );
        let calls = given.len().div_ceil(limits::INSERT_ROWS_MAX);
        let fix = format!(
            "split it into {calls} calls of up to {} rows; nothing was inserted",
            limits::INSERT_ROWS_MAX
        );
        return Err(ApiError::new(Code::BatchTooLarge, message).fix(fix));
    }
    let mut names = Names { table, columns: Vec::new(), places: HashMap::new() };
    let total = given.len();
    let mut rows = Vec::with_capacity(total);
    let mut faults = Vec::new();
    for (index, fields) in given.into_iter().enumerate() {
        rows.push(names.row(index, fields, &mut faults)?);
        if faults.len() > FAULTS_TOLD_MAX {
            break;
        }
        if total.saturating_mul(names.columns.len()) > INSERT_VALUES_MAX {
            let message = format!(
                "{total} rows times the {} columns that they name so far are more than {INSERT_VALUES_MAX} values",
                names.columns.len()
            );
            return Err(ApiError::new(Code::BatchTooLarge, message));
        }
    }
    if !faults.is_empty() {
        return Err(ApiError::faults(faults));
    }
    let width = names.columns.len();
    for row in &mut rows {
        row.resize(width, Value::Null);
    }
    Ok(Incoming { columns: names.columns, rows })
}

/// The names that came up so far and where their values go.
struct Names<'t> {
    table: &'t Table,
    columns: Vec<ColumnId>,
    /// From a name as written to the place among `columns` and the place in the table.
    places: HashMap<String, (usize, usize)>,
}

impl Names<'_> {
    fn row(
        &mut self,
        index: usize,
        fields: Map<String, Json>,
        faults: &mut Vec<Detail>,
    ) -> Result<Vec<Value>> {
        let mut values = vec![Value::Null; self.columns.len()];
        let mut filled = vec![false; self.columns.len()];
        for (name, json) in fields {
            let (place, at) = self.place(index, &name)?;
            if values.len() <= place {
                values.resize(place + 1, Value::Null);
                filled.resize(place + 1, false);
            }
            if std::mem::replace(&mut filled[place], true) {
                let column = &self.table.columns[at].name;
                let problem = format!(
                    "names the column {column:?} a second time, once by its name and once by its title"
                );
                return Err(ApiError::field(format!("rows[{index}].{}", short(&name)), problem));
            }
            match Value::of(&self.table.columns[at], json) {
                Ok(value) => values[place] = value,
                Err(error) => faults.push(Detail {
                    field: format!("rows[{index}].{}", short(&name)),
                    problem: error.to_string(),
                }),
            }
        }
        Ok(values)
    }

    fn place(&mut self, index: usize, name: &str) -> Result<(usize, usize)> {
        if let Some(known) = self.places.get(name) {
            return Ok(*known);
        }
        let column = self.table.column(name).ok_or_else(|| self.unknown(index, name))?;
        if column.smart.is_some() {
            let problem = "is a smart column; its cells are filled by its runs, so leave it out";
            return Err(ApiError::field(format!("rows[{index}].{}", short(name)), problem));
        }
        let id = column.id;
        // Found by name or by title: one column either way.
        let place = self.columns.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.columns.push(id);
            self.columns.len() - 1
        });
        let at = self.table.columns.iter().position(|column| column.id == id).unwrap_or_default();
        self.places.insert(name.to_owned(), (place, at));
        Ok((place, at))
    }

    fn unknown(&self, index: usize, name: &str) -> ApiError {
        let field = format!("rows[{index}].{}", short(name));
        if name.starts_with(SYSTEM_PREFIX) {
            let message = format!("{field}: system columns cannot be written");
            return ApiError::new(Code::SystemColumnImmutable, message);
        }
        let plain = || self.table.columns.iter().filter(|column| column.smart.is_none());
        let meant = suggest(name, plain().map(|column| column.name.as_str()));
        let suffix = meant.map_or_else(String::new, format_meant);
        let message =
            format!("{field}: table {:?} has no column of that name{suffix}", self.table.name);
        ApiError::new(Code::ColumnNotFound, message)
            .fix("use the names of the table's columns; nothing was inserted")
            .meant_as_said(meant.map(str::to_owned))
            .hint(schema_hint(self.table))
    }
}

/// A name as it is told back.
fn short(name: &str) -> String {
    name.chars().take(limits::NAME_BYTES_MAX).collect()
}
