//! What a test is held against: values of the kind it compares, and the states of cells.

use serde_json::Value as Json;

use super::operator::Kind;
use super::target::Target;
use super::{Filter, FilterError, Operator, moment};
use crate::{CellState, ColumnType, Value, limits, suggest};

type Result<T> = std::result::Result<T, FilterError>;

/// What a cell state is called where nobody asked for the cell yet.
pub(super) const IDLE: &str = "idle";

pub(super) fn states(target: &Target<'_>, json: &Json, at: &str) -> Result<Filter> {
    let smart = target.column.filter(|column| column.smart.is_some() && target.path.is_empty());
    let Some(column) = smart else {
        return Err(FilterError::new(at, "only the cells of a smart column have a state"));
    };
    let one = std::slice::from_ref(json);
    let names = json.as_array().map_or(one, Vec::as_slice);
    if names.is_empty() {
        return Err(FilterError::new(at, "names no state"));
    }
    let mut states = Vec::new();
    for name in names {
        let state = state(name, at)?;
        if !states.contains(&state) {
            states.push(state);
        }
    }
    Ok(Filter::Cell { column: column.id, states })
}

fn state(json: &Json, at: &str) -> Result<Option<CellState>> {
    const NAMES: [&str; 5] = [IDLE, "completed", "failed", "skipped", "unknown"];
    let name = json.as_str().unwrap_or_default();
    if name == IDLE {
        return Ok(None);
    }
    CellState::parse(name).map(Some).ok_or_else(|| {
        let problem = format!("a state is one of {}, or a list of them", NAMES.join(", "));
        FilterError::new(at, problem).meant(suggest(name, NAMES))
    })
}

/// A value to compare with, of what the test compares.
pub(super) fn value(kind: Kind, json: &Json, at: &str) -> Result<Value> {
    if json.is_null() {
        return Err(FilterError::new(at, "takes a value; for empty cells use {\"is_null\": true}"));
    }
    let wrong = |takes: &str| Err(FilterError::new(at, format!("takes {takes}")));
    match kind {
        Kind::Id | Kind::Column(ColumnType::Relation) => match json.as_i64() {
            Some(id) => Ok(Value::Int(id)),
            None => wrong("the number of a row"),
        },
        Kind::Moment => match json.as_str().and_then(moment::parse) {
            Some(micros) => Ok(Value::Int(micros)),
            None => wrong("a moment in ISO 8601, as \"2026-01-31T10:20:30Z\" or \"2026-01-31\""),
        },
        Kind::Inside if !(json.is_boolean() || json.is_number() || json.is_string()) => {
            wrong("text, a number, true or false; a list or an object cannot be compared here")
        }
        Kind::Inside => {
            let kind = match json {
                Json::Bool(_) => ColumnType::Boolean,
                Json::Number(_) => ColumnType::Number,
                _ => ColumnType::Text,
            };
            typed(kind, json, at)
        }
        Kind::Column(kind) => typed(kind, json, at),
    }
}

fn typed(kind: ColumnType, json: &Json, at: &str) -> Result<Value> {
    let advice = if json.is_array() { "; to test for one of several values use `in`" } else { "" };
    Value::from_json(kind, json.clone())
        .map_err(|error| FilterError::new(at, format!("{error}{advice}")))
}

/// A value that others can be greater than.
pub(super) fn ordered(kind: Kind, json: &Json, at: &str) -> Result<Value> {
    if json.is_boolean() && kind == Kind::Inside {
        return Err(FilterError::new(
            at,
            "takes text or a number; true and false are tested with eq",
        ));
    }
    value(kind, json, at)
}

pub(super) fn between(kind: Kind, json: &Json, at: &str) -> Result<Operator> {
    let Some([first, last]) = json.as_array().map(Vec::as_slice) else {
        return Err(FilterError::new(at, "takes a list of two values, the least and the greatest"));
    };
    if kind == Kind::Inside && first.is_string() != last.is_string() {
        return Err(FilterError::new(at, "takes two numbers or two texts"));
    }
    let first = ordered(kind, first, &format!("{at}[0]"))?;
    Ok(Operator::Between(first, ordered(kind, last, &format!("{at}[1]"))?))
}

pub(super) fn text(json: &Json, at: &str) -> Result<String> {
    let text = json.as_str().filter(|text| text.len() <= limits::VALUE_BYTES_MAX);
    text.map(str::to_owned).ok_or_else(|| FilterError::new(at, "takes text"))
}

pub(super) fn flag(json: &Json, at: &str) -> Result<bool> {
    json.as_bool().ok_or_else(|| FilterError::new(at, "takes true or false"))
}
