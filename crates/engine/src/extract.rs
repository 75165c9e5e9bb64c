//! From a reply to the value of a cell.

use std::borrow::Cow;

use paceline_model::{CellError, Column, ColumnType, Value};
use serde_json::Value as Json;
use serde_json_path::JsonPath;

use crate::Reply;
use crate::task::cell_error;

/// The value that a reply gives a column: what `path` finds in its JSON, or the whole of it.
///
/// A path that finds nothing is an error of the cell, so that a wrong path is seen at the first rows and not after the
/// last; a path that finds `null` gives an empty cell.
pub(crate) fn value(
    reply: &Reply,
    path: Option<&JsonPath>,
    column: &Column,
) -> Result<Value, CellError> {
    let json = match (serde_json::from_slice::<Json>(&reply.body), path) {
        (Ok(json), None) => json,
        (Ok(json), Some(path)) => find(&json, path, reply)?,
        // Without a path, text is a value too.
        (Err(_), None) if !reply.is_json() => {
            Json::String(String::from_utf8_lossy(&reply.body).into_owned())
        }
        (Err(error), _) => {
            let message =
                format!("the reply is not JSON ({error}); it begins {:?}", beginning(reply));
            return Err(cell_error("NOT_JSON", message));
        }
    };
    typed(json, column)
}

fn find(json: &Json, path: &JsonPath, reply: &Reply) -> Result<Json, CellError> {
    let found = path.query(json).all();
    match found.as_slice() {
        [] => {
            let message =
                format!("the reply has nothing at {path}; it begins {:?}", beginning(reply));
            Err(cell_error("NOT_IN_REPLY", message))
        }
        [one] => Ok((*one).clone()),
        many => Ok(Json::Array(many.iter().map(|json| (*json).clone()).collect())),
    }
}

pub(crate) fn typed(json: Json, column: &Column) -> Result<Value, CellError> {
    let json = match json {
        // A text column shows numbers and flags as text.
        Json::Number(_) | Json::Bool(_) if column.kind == ColumnType::Text => {
            Json::String(json.to_string())
        }
        json => json,
    };
    Value::of(column, json).map_err(|error| {
        cell_error(
            "TYPE_MISMATCH",
            format!("the reply does not fit column {}: {error}", column.label()),
        )
    })
}

fn beginning(reply: &Reply) -> Cow<'_, str> {
    let body = &reply.body[..reply.body.len().min(80)];
    String::from_utf8_lossy(body)
}
