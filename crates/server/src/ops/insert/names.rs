//! The names of a call's rows: which column each stands for, and where its values go.

use std::collections::HashMap;

use paceline_model::{Column, ColumnId, Nearest, Table, Value, limits, nearest};
use serde_json::{Map, Value as Json};

use super::{Incoming, Told};
use crate::error::{ApiError, Code, Detail, Result};
use crate::ops::{SYSTEM_PREFIX, schema_hint};

/// Names that were corrected or ignored, told at once.
const NAMES_TOLD_MAX: usize = 100;

/// Where a value goes: the place among the columns named, and the place in the table.
pub(super) type Slot = (usize, usize);

/// The names that came up so far and where their values go.
pub(super) struct Names<'t> {
    table: &'t Table,
    /// The argument that they stand in.
    argument: &'static str,
    ignore_unknown: bool,
    pub(super) columns: Vec<ColumnId>,
    /// By name as written; nowhere if it is ignored.
    slots: HashMap<String, Option<Slot>>,
    /// The names of the last row in their order: the next one has mostly the same.
    last: Vec<(String, Option<Slot>)>,
    /// The row that last filled each of `columns`, counted from 1.
    filled: Vec<usize>,
    row: usize,
    pub(super) faults: Vec<Detail>,
    told: Told,
}

impl<'t> Names<'t> {
    pub(super) fn of(table: &'t Table, argument: &'static str, ignore_unknown: bool) -> Self {
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
    pub(super) fn end(self, mut rows: Vec<Vec<Value>>) -> Result<Incoming> {
        if !self.faults.is_empty() {
            return Err(ApiError::faults(self.faults));
        }
        for row in &mut rows {
            row.resize(self.columns.len(), Value::Null);
        }
        Ok(Incoming { columns: self.columns, rows, names: self.told })
    }

    pub(super) fn row(
        &mut self,
        index: Option<usize>,
        fields: Map<String, Json>,
    ) -> Result<Vec<Value>> {
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
    pub(super) fn begin(&mut self) -> Vec<Value> {
        self.row += 1;
        vec![Value::Null; self.columns.len()]
    }

    /// Where the value of the row's `nth` name goes; nowhere if the name is ignored.
    pub(super) fn slot_at(
        &mut self,
        nth: usize,
        index: Option<usize>,
        name: &str,
    ) -> Result<Option<Slot>> {
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
    pub(super) fn put(
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
        let slot = column.map(|column| self.slot_of(column));
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
