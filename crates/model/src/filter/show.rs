//! From a filter back to JSON, as [`Filter::parse`] reads it.

use serde_json::{Map, Value as Json, json};

use super::value::IDLE;
use super::{Filter, Operator, PathStep, Subject, moment};
use crate::{CellState, Table, Value};

impl Filter {
    /// The filter as JSON; what [`Filter::parse`] made of some JSON it makes of this too. A column that the table does
    /// not have is written as `column N`.
    #[must_use]
    pub fn to_json(&self, table: &Table) -> Json {
        match self {
            Self::All(filters) => together(table, filters)
                .map_or_else(|| json!({"and": each(table, filters)}), Json::Object),
            Self::Any(filters) => json!({"or": each(table, filters)}),
            Self::Test(test) => {
                let (name, value) = operator(test.subject, &test.operator);
                json!({ key(table, test.subject, &test.path): {name: value} })
            }
            Self::Cell { column, states } => {
                let names = states.iter().map(|state| state.map_or(IDLE, CellState::as_str));
                let names: Vec<&str> = names.collect();
                json!({ key(table, Subject::Column(*column), &[]): {"state": names} })
            }
        }
    }
}

fn each(table: &Table, filters: &[Filter]) -> Vec<Json> {
    filters.iter().map(|filter| filter.to_json(table)).collect()
}

/// Filters that must all pass as one object, if that says the same in the same order.
fn together(table: &Table, filters: &[Filter]) -> Option<Map<String, Json>> {
    let mut all: Map<String, Json> = Map::new();
    let mut last = None;
    for filter in filters {
        if matches!(filter, Filter::All(_)) || filters.len() == 1 {
            return None;
        }
        let Json::Object(fields) = filter.to_json(table) else { return None };
        for (key, value) in fields {
            match (all.get_mut(&key), value) {
                (None, value) => {
                    all.insert(key.clone(), value);
                }
                (Some(Json::Object(tests)), Json::Object(more)) if last.as_ref() == Some(&key) => {
                    for (operator, value) in more {
                        if tests.insert(operator, value).is_some() {
                            return None;
                        }
                    }
                }
                _ => return None,
            }
            last = Some(key);
        }
    }
    Some(all)
}

/// What a test looks at, as a key of the filter.
pub(super) fn key(table: &Table, subject: Subject, path: &[PathStep]) -> String {
    let mut key = match subject {
        Subject::Id => "_ht_id".to_owned(),
        Subject::CreatedAt => "_ht_created_at".to_owned(),
        Subject::UpdatedAt => "_ht_updated_at".to_owned(),
        Subject::Column(id) => match table.columns.iter().find(|column| column.id == id) {
            Some(column) => column.name.clone(),
            None => format!("column {id}"),
        },
    };
    for step in path {
        match step {
            PathStep::Index(index) => key.extend(["[", &index.to_string(), "]"]),
            PathStep::Key(name) if !name.is_empty() && !name.contains(['.', '[']) => {
                key.extend([".", name]);
            }
            PathStep::Key(name) => key.extend(["[", &json!(name).to_string(), "]"]),
        }
    }
    key
}

fn operator(subject: Subject, operator: &Operator) -> (&'static str, Json) {
    let one = |value: &Value| shown(subject, value);
    match operator {
        Operator::Eq(value) => ("eq", one(value)),
        Operator::Neq(value) => ("neq", one(value)),
        Operator::Gt(value) => ("gt", one(value)),
        Operator::Gte(value) => ("gte", one(value)),
        Operator::Lt(value) => ("lt", one(value)),
        Operator::Lte(value) => ("lte", one(value)),
        Operator::Contains(text) => ("contains", json!(text)),
        Operator::StartsWith(text) => ("starts_with", json!(text)),
        Operator::In(values) => ("in", values.iter().map(one).collect()),
        Operator::Between(first, last) => ("between", json!([one(first), one(last)])),
        Operator::IsNull(is) => ("is_null", json!(is)),
    }
}

fn shown(subject: Subject, value: &Value) -> Json {
    match (subject, value) {
        (Subject::CreatedAt | Subject::UpdatedAt, Value::Int(micros)) => {
            Json::String(moment::show(*micros))
        }
        (_, value) => value.to_json(),
    }
}
