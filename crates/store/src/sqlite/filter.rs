//! Filters and orders in the words of SQLite. Text compares by its bytes, which is by code points; numbers of columns
//! and of JSON compare exactly, whole or not.

use paceline_model::{CellState, ColumnId, Filter, PathStep, Sort, TableId, Value};
use rusqlite::types::Value as Owned;

use super::connection::Db;
use super::schema::{places, quote};
use crate::codec::signed;
use crate::error::Result;
use crate::filter::{Dialect, Kind, Known, Place, Writer, columns_of};

/// Parts of a statement, and the parameters that they name by their numbers.
#[derive(Debug, Default)]
pub(super) struct Sqlite {
    pub(super) parameters: Vec<Owned>,
}

/// A writer of filters and orders of that table.
///
/// Fails with `Invalid` if they are too large, with `Missing` if they name a column of another table.
pub(super) fn writer(
    db: &Db<'_>,
    table: TableId,
    filter: Option<&Filter>,
    sort: &[Sort],
) -> Result<Writer<Sqlite>> {
    let named = columns_of(filter, sort)?;
    let columns = places(db, table, &named)?.into_iter();
    let known = columns.map(|place| {
        let sql = format!("t.{}", quote(&place.name));
        Known { id: place.id, sql, kind: place.kind }
    });
    Ok(Writer { dialect: Sqlite::default(), columns: known.collect() })
}

impl Sqlite {
    /// A parameter.
    pub(super) fn push(&mut self, value: impl Into<Owned>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.parameters.len())
    }
}

impl Dialect for Sqlite {
    fn operand(&mut self, place: Place<'_>, kind: Kind) -> String {
        let sql = place.sql;
        if place.path.is_empty() {
            return sql.to_owned();
        }
        let path = self.push(path(place.path));
        match kind {
            Kind::Boolean => {
                format!("CASE json_type({sql}, {path}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END")
            }
            Kind::Int | Kind::Number => format!(
                "CASE WHEN json_type({sql}, {path}) IN ('integer', 'real') \
                 THEN json_extract({sql}, {path}) END"
            ),
            Kind::Text | Kind::Json => format!(
                "CASE json_type({sql}, {path}) WHEN 'text' THEN json_extract({sql}, {path}) END"
            ),
        }
    }

    fn is_null(&mut self, place: Place<'_>) -> String {
        if place.path.is_empty() {
            return format!("({} IS NULL)", place.sql);
        }
        let path = self.push(path(place.path));
        format!("(coalesce(json_type({}, {path}), 'null') = 'null')", place.sql)
    }

    fn bind(&mut self, _: Kind, value: &Value) -> String {
        self.push(match value {
            Value::Null => Owned::Null,
            Value::Bool(b) => Owned::Integer(i64::from(*b)),
            Value::Int(n) => Owned::Integer(*n),
            Value::Number(x) => Owned::Real(*x),
            Value::Text(text) => Owned::Text(text.clone()),
            Value::Json(json) => Owned::Text(json.to_string()),
        })
    }

    fn one_of(&mut self, operand: &str, kind: Kind, values: &[&Value]) -> String {
        let list: Vec<String> = values.iter().map(|value| self.bind(kind, value)).collect();
        format!("{operand} IN ({})", list.join(", "))
    }

    fn differ(&self, one: &str, other: &str) -> String {
        format!("{one} IS NOT {other}")
    }

    fn ordered(&self, operand: &str, _: Kind) -> String {
        operand.to_owned()
    }

    fn bind_ordered(&mut self, kind: Kind, value: &Value) -> String {
        self.bind(kind, value)
    }

    fn contains(&mut self, operand: &str, needle: &str) -> String {
        // SQLite's own lower() leaves all but ASCII alone. LIKE would stop at a NUL.
        let needle = self.push(needle.to_ascii_lowercase());
        format!("instr(lower({operand}), {needle}) > 0")
    }

    fn starts_with(&mut self, operand: &str, start: &str) -> String {
        let from = format!("{operand} >= {}", self.push(start.to_owned()));
        match next_text(start) {
            Some(end) => format!("({from} AND {operand} < {})", self.push(end)),
            None => from,
        }
    }

    fn has_item(&mut self, column: &str, item: &str) -> String {
        let item = self.push(item.to_owned());
        format!(
            "(json_type({column}) = 'array' AND EXISTS (SELECT 1 FROM json_each({column}) AS e \
             WHERE e.type = 'text' AND e.value = {item}))"
        )
    }

    fn cell_in(&mut self, column: ColumnId, states: &[CellState]) -> String {
        let names: Vec<String> =
            states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let (column, names) = (self.push(column.0), names.join(", "));
        format!(
            "EXISTS (SELECT 1 FROM _ht_cells AS c WHERE c.column_id = {column} \
             AND c.row_id = t._ht_id AND c.state IN ({names}))"
        )
    }

    fn cell_idle(&mut self, column: ColumnId) -> String {
        let column = self.push(column.0);
        format!(
            "NOT EXISTS (SELECT 1 FROM _ht_cells AS c WHERE c.column_id = {column} \
             AND c.row_id = t._ht_id)"
        )
    }
}

/// A path as SQLite writes it, each name in quotes.
fn path(steps: &[PathStep]) -> String {
    let mut path = "$".to_owned();
    for step in steps {
        match step {
            PathStep::Key(name) => {
                path.extend([".", &serde_json::Value::from(name.as_str()).to_string()]);
            }
            // Beyond this there is nothing, and SQLite would begin again at 0.
            PathStep::Index(index) => {
                path.extend(["[", &signed(*index).min(i64::from(i32::MAX)).to_string(), "]"]);
            }
        }
    }
    path
}

/// The first text after all that begin with this one, by code points; `None` if there is none.
fn next_text(start: &str) -> Option<String> {
    let mut next = start.to_owned();
    while let Some(last) = next.pop() {
        // The range of `char` knows of the hole among the code points.
        if let Some(after) = (last..=char::MAX).nth(1) {
            next.push(after);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests;
