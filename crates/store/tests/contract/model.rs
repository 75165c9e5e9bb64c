//! Filters and orders as plain Rust says they are: what the databases are held against.

use std::borrow::Cow;
use std::cmp::Ordering;

use paceline_model::{
    CellState, ColumnId, Filter, FilterRow, Operator, PathStep, Row, Sort, Subject, Table, Test,
    Value,
};
use serde_json::Value as Json;

/// A row of a table, with a value for each column of it.
pub(crate) struct ModelRow<'r> {
    pub(crate) table: &'r Table,
    pub(crate) row: &'r Row,
}

impl ModelRow<'_> {
    /// Whether the row passes. Cell states are not part of this model.
    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        match filter {
            Filter::All(filters) => filters.iter().all(|filter| self.passes(filter)),
            Filter::Any(filters) => filters.iter().any(|filter| self.passes(filter)),
            Filter::Test(test) => self.test(test),
            Filter::Cell { .. } => false,
        }
    }

    fn test(&self, test: &Test) -> bool {
        let value = self.look(test.subject, &test.path);
        let against = |other: &Value, wanted: &[Ordering]| {
            compare(&value, other).is_some_and(|order| wanted.contains(&order))
        };
        let same = |other: &Value| same(&value, other);
        match &test.operator {
            Operator::IsNull(is) => value.is_null() == *is,
            Operator::Eq(other) => same(other),
            Operator::Neq(other) => !same(other),
            Operator::Gt(other) => against(other, &[Ordering::Greater]),
            Operator::Gte(other) => against(other, &[Ordering::Greater, Ordering::Equal]),
            Operator::Lt(other) => against(other, &[Ordering::Less]),
            Operator::Lte(other) => against(other, &[Ordering::Less, Ordering::Equal]),
            Operator::Between(first, last) => {
                against(first, &[Ordering::Greater, Ordering::Equal])
                    && against(last, &[Ordering::Less, Ordering::Equal])
            }
            Operator::In(others) => others.iter().any(same),
            Operator::Contains(part) => match &value {
                Value::Text(text) => text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()),
                // Of a column's options; a list somewhere inside JSON is no text and holds none.
                Value::Json(Json::Array(items)) if test.path.is_empty() => {
                    items.iter().any(|item| item.as_str() == Some(part))
                }
                _ => false,
            },
            Operator::StartsWith(start) => {
                matches!(&value, Value::Text(text) if text.starts_with(start))
            }
        }
    }

    fn look(&self, subject: Subject, path: &[PathStep]) -> Value {
        let value = match subject {
            Subject::Id => Value::Int(self.row.id.0),
            Subject::CreatedAt => Value::Int(self.row.created_at.as_micros()),
            Subject::UpdatedAt => Value::Int(self.row.updated_at.as_micros()),
            Subject::Column(id) => {
                let columns = self.table.columns.iter();
                let at = columns.map(|column| column.id).position(|known| known == id).unwrap();
                self.row.values[at].clone()
            }
        };
        if path.is_empty() {
            return value;
        }
        let Value::Json(mut json) = value else { return Value::Null };
        for step in path {
            let inside = match (step, &mut json) {
                (PathStep::Key(name), Json::Object(fields)) => fields.get_mut(name),
                (PathStep::Index(index), Json::Array(items)) => items.get_mut(*index),
                _ => None,
            };
            json = inside.map(Json::take).unwrap_or_default();
        }
        match json {
            Json::Bool(b) => Value::Bool(b),
            Json::String(text) => Value::Text(text),
            Json::Number(n) => {
                n.as_i64().map_or_else(|| Value::Number(n.as_f64().unwrap()), Value::Int)
            }
            other => Value::Json(other),
        }
    }

    /// Where the row stands beside another.
    pub(crate) fn order(&self, other: &Self, sort: &[Sort]) -> Ordering {
        for key in sort {
            let (one, other) = (self.look(key.subject, &[]), other.look(key.subject, &[]));
            let order = match (one.is_null(), other.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                _ => compare(&one, &other).unwrap(),
            };
            let order = if key.descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        self.row.id.cmp(&other.row.id)
    }

    /// What it has in the keys of an order.
    pub(crate) fn keys(&self, sort: &[Sort]) -> Vec<Value> {
        sort.iter().map(|key| self.look(key.subject, &[])).collect()
    }
}

/// For the evaluation that stands beside this model.
impl FilterRow for ModelRow<'_> {
    fn value(&self, subject: Subject) -> Cow<'_, Value> {
        Cow::Owned(self.look(subject, &[]))
    }

    fn state(&self, _: ColumnId) -> Option<CellState> {
        None
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // To the letter, the order of keys too.
        (Value::Json(one), Value::Json(other)) => {
            let (one, other) = (one.to_string(), other.to_string());
            one == other
        }
        _ => compare(one, other) == Some(Ordering::Equal),
    }
}

/// `None` for what cannot be compared.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => one.partial_cmp(other),
        (Value::Int(whole), Value::Number(x)) => Some(exactly(*whole, *x)),
        (Value::Number(x), Value::Int(whole)) => Some(exactly(*whole, *x).reverse()),
        _ => None,
    }
}

/// A whole number beside a double, neither of them rounded.
fn exactly(whole: i64, x: f64) -> Ordering {
    if x >= 9.3e18 {
        return Ordering::Less;
    }
    if x <= -9.3e18 {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in the range of an i128")]
    let floor = x.floor() as i128;
    match i128::from(whole).cmp(&floor) {
        Ordering::Equal if x.fract() != 0.0 => Ordering::Less,
        order => order,
    }
}
