//! Filters and orders in the words of PostgreSQL, so that they find what SQLite finds: text by its code points, NULs
//! among them (see [`super::text`]), numbers exactly, the values inside JSON by their kinds.

use std::borrow::Cow;

use paceline_model::{CellState, ColumnId, Filter, PathStep, Sort, TableId, Value};

use super::db::Db;
use super::param::Param;
use super::schema::places;
use super::text::{escaped, order_key, order_key_sql, readable_json};
use super::value::decimal;
use crate::error::Result;
use crate::filter::{Dialect, Kind, Known, Place, Writer, columns_of};

/// Parts of a statement, and the parameters that they name by their numbers.
#[derive(Debug, Default)]
pub(super) struct Postgres {
    pub(super) parameters: Vec<Param<'static>>,
}

/// A writer of filters and orders of that table.
///
/// Fails with `Invalid` if they are too large, with `Missing` if they name a column of another table.
pub(super) async fn writer(
    db: &Db,
    table: TableId,
    filter: Option<&Filter>,
    sort: &[Sort],
) -> Result<Writer<Postgres>> {
    let named = columns_of(filter, sort)?;
    let columns = places(db, table, &named).await?.into_iter();
    let known = columns.map(|place| {
        let sql = format!("t.{}", place.quoted());
        Known { id: place.id, sql, kind: place.kind }
    });
    Ok(Writer { dialect: Postgres::default(), columns: known.collect() })
}

impl Postgres {
    /// A parameter.
    pub(super) fn push(&mut self, parameter: impl Into<Param<'static>>) -> String {
        self.parameters.push(parameter.into());
        format!("${}", self.parameters.len())
    }

    fn push_text(&mut self, text: String) -> String {
        self.push(Param::Text(Some(Cow::Owned(text))))
    }

    /// The JSON value at the end of a path; NULL if there is none.
    fn inside(&mut self, place: Place<'_>) -> String {
        let mut sql = format!("({})", readable_json(place.sql));
        for step in place.path {
            // The type of the parameter says whether the step is into an object or into a list.
            let step = match step {
                PathStep::Key(name) => self.push_text(escaped(name).into_owned()),
                // Beyond this there is nothing.
                PathStep::Index(index) => {
                    let index = i32::try_from(*index).unwrap_or(i32::MAX);
                    format!("{}::integer", self.push(i64::from(index)))
                }
            };
            sql = format!("({sql} -> {step})");
        }
        sql
    }
}

impl Dialect for Postgres {
    fn operand(&mut self, place: Place<'_>, kind: Kind) -> String {
        if place.path.is_empty() {
            return match kind {
                Kind::Json => format!("{}::text", place.sql),
                _ => place.sql.to_owned(),
            };
        }
        let inside = self.inside(place);
        match kind {
            Kind::Boolean => scalar(&inside, "boolean", "s.v::boolean"),
            Kind::Int | Kind::Number => scalar(&inside, "number", JSON_NUMBER),
            Kind::Text | Kind::Json => scalar(&inside, "string", "s.v COLLATE \"C\""),
        }
    }

    fn is_null(&mut self, place: Place<'_>) -> String {
        if place.path.is_empty() {
            return format!("({} IS NULL)", place.sql);
        }
        format!("(coalesce(json_typeof({}), 'null') = 'null')", self.inside(place))
    }

    fn bind(&mut self, kind: Kind, value: &Value) -> String {
        let text = bare(value);
        match kind {
            Kind::Int => format!("{}::bigint", self.push_text(text)),
            Kind::Number => format!("{}::numeric", self.push_text(text)),
            Kind::Boolean => format!("{}::boolean", self.push_text(text)),
            Kind::Text | Kind::Json => self.push_text(text),
        }
    }

    fn one_of(&mut self, operand: &str, kind: Kind, values: &[&Value]) -> String {
        let texts = values.iter().map(|value| Some(Cow::Owned(bare(value)))).collect();
        let list = self.push(Param::Texts(texts));
        let list = match kind {
            Kind::Int => format!("{list}::bigint[]"),
            Kind::Number => format!("{list}::numeric[]"),
            Kind::Boolean => format!("{list}::boolean[]"),
            Kind::Text | Kind::Json => list,
        };
        format!("{operand} = ANY ({list})")
    }

    fn differ(&self, one: &str, other: &str) -> String {
        format!("{one} IS DISTINCT FROM {other}")
    }

    fn ordered(&self, operand: &str, kind: Kind) -> String {
        match kind {
            Kind::Text => order_key_sql(operand),
            _ => operand.to_owned(),
        }
    }

    fn bind_ordered(&mut self, kind: Kind, value: &Value) -> String {
        match value {
            Value::Text(text) => self.push_text(order_key(text)),
            value => self.bind(kind, value),
        }
    }

    fn contains(&mut self, operand: &str, needle: &str) -> String {
        // In the locale C all but ASCII is left alone.
        let mut lower = format!("lower({operand} COLLATE \"C\")");
        let mut needle = escaped(&needle.to_ascii_lowercase()).into_owned();
        if needle.starts_with(['0', '1']) {
            // The second half of an escape must not be taken for the digit.
            needle = needle.replace("\u{FDD0}0", "\u{FDD0}a").replace("\u{FDD0}1", "\u{FDD0}b");
            lower = format!(
                "replace(replace({lower}, E'\\uFDD00', E'\\uFDD0a'), E'\\uFDD01', E'\\uFDD0b')"
            );
        }
        format!("strpos({lower}, {}) > 0", self.push_text(needle))
    }

    fn starts_with(&mut self, operand: &str, start: &str) -> String {
        format!("starts_with({operand}, {})", self.push_text(escaped(start).into_owned()))
    }

    fn has_item(&mut self, column: &str, item: &str) -> String {
        let item = self.push_text(escaped(item).into_owned());
        let list = readable_json(column);
        format!(
            "EXISTS (SELECT 1 FROM json_array_elements(CASE json_typeof({column}) WHEN 'array' \
             THEN {list} END) AS e (v) WHERE json_typeof(e.v) = 'string' AND e.v #>> '{{}}' = {item})"
        )
    }

    fn cell_in(&mut self, column: ColumnId, states: &[CellState]) -> String {
        let names: Vec<String> =
            states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let (column, names) = (self.push(column.0), names.join(", "));
        format!(
            "EXISTS (SELECT 1 FROM paceline._ht_cells AS c WHERE c.column_id = {column} \
             AND c.row_id = t._ht_id AND c.state IN ({names}))"
        )
    }

    fn cell_idle(&mut self, column: ColumnId) -> String {
        let column = self.push(column.0);
        format!(
            "NOT EXISTS (SELECT 1 FROM paceline._ht_cells AS c WHERE c.column_id = {column} \
             AND c.row_id = t._ht_id)"
        )
    }
}

/// A number of JSON, `s.v` being its text: as whole as it is written if it fits 64 bits, else the nearest double, as in
/// SQLite, and that as [`decimal`] writes one.
const JSON_NUMBER: &str = "CASE WHEN s.v !~ '[.eE]' \
     AND s.v::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN s.v::numeric \
     WHEN abs(s.v::float8) >= 9007199254740992 AND s.v::float8 >= -9223372036854775808 \
     AND s.v::float8 < 9223372036854775808 THEN s.v::float8::bigint::numeric \
     ELSE s.v::float8::text::numeric END";

/// A JSON value of that kind as what `as_what` makes of its text `s.v`. OFFSET 0 keeps the parts apart: each is computed
/// once.
fn scalar(json: &str, kind: &str, as_what: &str) -> String {
    format!(
        "(SELECT {as_what} FROM (SELECT CASE json_typeof(d.j) WHEN '{kind}' THEN d.j #>> '{{}}' END AS v \
         FROM (SELECT {json} AS j OFFSET 0) AS d OFFSET 0) AS s)"
    )
}

/// A value as text, as it is kept.
fn bare(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Number(x) => decimal(*x),
        Value::Text(text) => escaped(text).into_owned(),
        Value::Json(json) => escaped(&json.to_string()).into_owned(),
    }
}
