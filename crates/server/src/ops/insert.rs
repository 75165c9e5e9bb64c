//! Rows as they come in, against the columns of their table: names resolved, values checked, every fault with its place.

mod text;

use std::collections::HashMap;

use bytes::Bytes;
use paceline_model::{Column, ColumnId, Nearest, Table, Value, limits, nearest};
use serde_json::{Map, Value as Json};

use super::{SYSTEM_PREFIX, schema_hint};
use crate::app::{FAULTS_TOLD_MAX, INSERT_VALUES_MAX};
use crate::catalog::check_rows;
use crate::error::{ApiError, Code, Detail, Result};

/// Names that were corrected or ignored, told at once.
const NAMES_TOLD_MAX: usize = 100;

/// Rows as the store takes them.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The columns that any row names, in the order they came up.
    pub(crate) columns: Vec<ColumnId>,
    /// The values of each row in that order; what a row does not name is empty.
    pub(crate) rows: Vec<Vec<Value>>,
    /// What was made of the names.
    pub(crate) names: Told,
}

/// What was made of names that no column has.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Each with the column that was taken for it.
    pub(crate) corrected: Map<String, Json>,
    /// Each as it was given; no value of it was kept.
    pub(crate) ignored: Vec<String>,
}

/// Rows as a face has them.
pub(crate) enum GivenRows {
    /// As JSON; each is an object.
    Parsed(Vec<Json>),
    /// As text that begins a list, well formed and not looked at more closely.
    Text(Bytes),
}

/// Checks a whole call; nothing is inserted if anything is wrong. Of a name that no column has, and that no correction is
/// beyond doubt for, the values are left out if the caller says so (`ignore_unknown`), else the call is refused: nothing is
/// lost silently.
///
/// # Errors
/// `BATCH_TOO_LARGE` with the limit; else the first fault about names, or the first ten about values.
pub(crate) fn incoming(
    table: &Table,
    given: GivenRows,
    rows_max: usize,
    ignore_unknown: bool,
) -> Result<Incoming> {
    let given = match given {
        GivenRows::Parsed(rows) => rows,
        GivenRows::Text(text) => {
            if let Some(incoming) = text::incoming(table, &text, rows_max, ignore_unknown) {
                return Ok(incoming);
            }
            parsed(&text)?
        }
    };
    let total = given.len();
    if total > rows_max {
        let message = format!("{total} rows in one call; at most {rows_max} are taken");
        let calls = total.div_ceil(rows_max);
        let fix =
            format!("split it into {calls} calls of up to {rows_max} rows; nothing was inserted");
        return Err(ApiError::new(Code::BatchTooLarge, message).fix(fix));
    }
    let mut names = Names::of(table, "rows", ignore_unknown);
    let mut rows = Vec::with_capacity(total);
    for (index, row) in given.into_iter().enumerate() {
        let Json::Object(fields) = row else { continue };
        rows.push(names.row(Some(index), fields)?);
        if names.faults.len() > FAULTS_TOLD_MAX {
            break;
        }
        if is_too_wide(total, names.columns.len()) {
            let message = format!(
                "{total} rows times the {} columns that they name so far are more than {INSERT_VALUES_MAX} values",
                names.columns.len()
            );
            return Err(ApiError::new(Code::BatchTooLarge, message));
        }
    }
    names.end(rows)
}

/// Rows that are not as they should be, as JSON.
fn parsed(text: &[u8]) -> Result<Vec<Json>> {
    let json = serde_json::from_slice(text).map_err(|error| {
        ApiError::new(Code::InvalidJson, format!("rows: cannot be read as JSON: {error}"))
    })?;
    match json {
        Json::Array(rows) => check_rows(rows),
        _ => Err(ApiError::field("rows", "is not a list of objects")),
    }
}

fn is_too_wide(rows: usize, columns: usize) -> bool {
    rows.saturating_mul(columns) > INSERT_VALUES_MAX
}

/// The values of an update, checked as those of a row.
///
/// # Errors
/// As [`incoming`].
pub(crate) fn values(
    table: &Table,
    given: Map<String, Json>,
) -> Result<(Vec<ColumnId>, Vec<Value>, Told)> {
    let mut names = Names::of(table, "values", false);
    let values = names.row(None, given)?;
    let mut one = names.end(vec![values])?;
    Ok((one.columns, one.rows.pop().unwrap_or_default(), one.names))
}

/// Where a value goes: the place among the columns named, and the place in the table.
type Slot = (usize, usize);

/// The names that came up so far and where their values go.
struct Names<'t> {
    table: &'t Table,
    /// The argument that they stand in.
    argument: &'static str,
    ignore_unknown: bool,
    columns: Vec<ColumnId>,
    /// By name as written; nowhere if it is ignored.
    slots: HashMap<String, Option<Slot>>,
    /// The names of the last row in their order: the next one has mostly the same.
    last: Vec<(String, Option<Slot>)>,
    /// The row that last filled each of `columns`, counted from 1.
    filled: Vec<usize>,
    row: usize,
    faults: Vec<Detail>,
    told: Told,
}

impl<'t> Names<'t> {
    fn of(table: &'t Table, argument: &'static str, ignore_unknown: bool) -> Self {
        Self {
            table,
            argument,
            ignore_unknown,
            columns: Vec::new(),
            slots: HashMap::new(),
            last: Vec::new(),
            filled: Vec::new(),
            row: 0,
            faults: Vec::new(),
            told: Told::default(),
        }
    }

    /// All rows, each with a value for every column that any of them names.
    fn end(self, mut rows: Vec<Vec<Value>>) -> Result<Incoming> {
        if !self.faults.is_empty() {
            return Err(ApiError::faults(self.faults));
        }
        for row in &mut rows {
            row.resize(self.columns.len(), Value::Null);
        }
        Ok(Incoming { columns: self.columns, rows, names: self.told })
    }

    fn row(&mut self, index: Option<usize>, fields: Map<String, Json>) -> Result<Vec<Value>> {
        let mut values = self.begin();
        for (nth, (name, json)) in fields.into_iter().enumerate() {
            let Some(slot) = self.slot_at(nth, index, &name)? else { continue };
            match self.put(&mut values, slot, json) {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let field = self.field(index, &name);
                    self.faults.push(Detail { field, problem: error.to_string() });
                }
                None => {
                    let column = &self.table.columns[slot.1].name;
                    let problem =
                        format!("names the column {column:?} a second time in the same row");
                    return Err(ApiError::field(self.field(index, &name), problem));
                }
            }
        }
        Ok(values)
    }

    /// Begins a row.
    fn begin(&mut self) -> Vec<Value> {
        self.row += 1;
        vec![Value::Null; self.columns.len()]
    }

    /// Where the value of the row's `nth` name goes; nowhere if the name is ignored.
    fn slot_at(&mut self, nth: usize, index: Option<usize>, name: &str) -> Result<Option<Slot>> {
        match self.last.get(nth) {
            Some((known, slot)) if known == name => Ok(*slot),
            _ => {
                let slot = self.slot(index, name)?;
                self.last.truncate(nth);
                self.last.push((name.to_owned(), slot));
                Ok(slot)
            }
        }
    }

    /// Checks a value and puts it in its place; `None` if the row has one there already.
    fn put(
        &mut self,
        values: &mut Vec<Value>,
        (place, at): Slot,
        json: Json,
    ) -> Option<paceline_model::Result<()>> {
        if std::mem::replace(&mut self.filled[place], self.row) == self.row {
            return None;
        }
        if values.len() <= place {
            values.resize(place + 1, Value::Null);
        }
        Some(Value::of(&self.table.columns[at], json).map(|value| values[place] = value))
    }

    fn field(&self, index: Option<usize>, name: &str) -> String {
        match index {
            Some(index) => format!("{}[{index}].{}", self.argument, short(name)),
            None => format!("{}.{}", self.argument, short(name)),
        }
    }

    fn slot(&mut self, index: Option<usize>, name: &str) -> Result<Option<Slot>> {
        if let Some(known) = self.slots.get(name) {
            return Ok(*known);
        }
        let column = match self.table.column(name) {
            Some(column) => Some(column),
            None => self.corrected(index, name)?,
        };
        let slot = match column {
            Some(column) if column.smart.is_some() => {
                let problem =
                    "is a smart column; its cells are filled by its runs, so leave it out";
                return Err(ApiError::field(self.field(index, name), problem));
            }
            Some(column) => Some(self.slot_of(column)),
            None => None,
        };
        self.slots.insert(name.to_owned(), slot);
        Ok(slot)
    }

    fn slot_of(&mut self, column: &Column) -> Slot {
        // Found by name, by title or by correction: one column either way.
        let place = self.columns.iter().position(|known| *known == column.id);
        let place = place.unwrap_or_else(|| {
            self.columns.push(column.id);
            self.filled.push(0);
            self.columns.len() - 1
        });
        let at = self.table.columns.iter().position(|known| known.id == column.id);
        (place, at.unwrap_or_default())
    }

    /// The column that a misspelt name stands for; none if the name is to be ignored.
    fn corrected(&mut self, index: Option<usize>, name: &str) -> Result<Option<&'t Column>> {
        if name.starts_with(SYSTEM_PREFIX) {
            let message = format!("{}: system columns cannot be written", self.field(index, name));
            return Err(ApiError::new(Code::SystemColumnImmutable, message));
        }
        let names = self.table.columns.iter().map(|column| column.name.as_str());
        match nearest(name, names) {
            Nearest::One(meant) => {
                if self.told.corrected.len() < NAMES_TOLD_MAX {
                    self.told.corrected.insert(short(name), meant.into());
                }
                Ok(self.table.column(meant))
            }
            _ if self.ignore_unknown => {
                if self.told.ignored.len() < NAMES_TOLD_MAX {
                    self.told.ignored.push(short(name));
                }
                Ok(None)
            }
            Nearest::Tie(near) => {
                let problem = format!("could be any of the columns {}", near.join(", "));
                Err(self.unknown(index, name, &problem, None))
            }
            Nearest::None => {
                let plain = self.table.columns.iter().filter(|column| column.smart.is_none());
                let names = plain.map(|column| column.name.as_str());
                let meant = paceline_model::suggest(name, names);
                Err(self.unknown(index, name, "there is no column of that name", meant))
            }
        }
    }

    fn unknown(
        &self,
        index: Option<usize>,
        name: &str,
        problem: &str,
        meant: Option<&str>,
    ) -> ApiError {
        let message =
            format!("{}: {problem} in table {:?}", self.field(index, name), self.table.name);
        let fix = if self.argument == "rows" {
            "use the names of the table's columns, add the column first, or send ignore_unknown: true to leave such values out; nothing was inserted"
        } else {
            "use the names of the table's columns; nothing was changed"
        };
        ApiError::new(Code::ColumnNotFound, message)
            .meant(meant)
            .fix(fix)
            .hint(schema_hint(self.table))
    }
}

/// A name as it is told back.
fn short(name: &str) -> String {
    name.chars().take(limits::NAME_BYTES_MAX).collect()
}
