//! One tool for every operation that is no tool of its own: an agent reaches all of them without connecting anew, for the
//! price of one place among its tools.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value as Json, json};

use super::{Visitor, arguments, call, tools};
use crate::App;
use crate::catalog::{self, CATALOGUE, Operation};
use crate::error::{ApiError, Result};

/// Its name.
pub(super) const NAME: &str = "hypertab_call_operation";

const OPERATION: &str = "operation";
const ARGUMENTS: &str = "arguments";

/// The operations that the visitor may do and has no tool for.
fn rest(visitor: &Visitor) -> impl Iterator<Item = &'static Operation> {
    catalog::operations().filter(move |operation| {
        tools::may(visitor, operation) && !tools::shown(visitor).any(|s| s.name == operation.name)
    })
}

/// The tool; `None` where nothing is left for it.
pub(super) fn tool(visitor: &Visitor) -> Option<Tool> {
    let names: Vec<&str> = rest(visitor).map(|operation| operation.name).collect();
    if names.is_empty() {
        return None;
    }
    let about = format!(
        "Do another operation: {}. With `operation` alone it tells what that one takes; with nothing, what each does",
        names.join(", ")
    );
    let schema = json!({
        "type": "object",
        "properties": {
            OPERATION: {"type": "string", "description": "its name"},
            ARGUMENTS: {"type": "object", "description": "its arguments; {} for none"},
        },
        "additionalProperties": false,
    });
    let schema = schema.as_object().cloned().unwrap_or_default();
    // As careful as the most far-reaching operation behind it.
    let reads = rest(visitor).all(|operation| operation.scope == crate::KeyScope::Read);
    let annotations = ToolAnnotations::new().read_only(reads).destructive(!reads).idempotent(reads);
    Some(Tool::new(NAME, about, Arc::new(schema)).with_annotations(annotations))
}

/// The same call by way of this tool, for a hint.
pub(super) fn by_way(operation: &str, arguments: Json) -> (&'static str, Json) {
    (NAME, json!({OPERATION: operation, ARGUMENTS: arguments}))
}

pub(super) async fn call(
    app: &App,
    visitor: &Visitor,
    mut given: Map<String, Json>,
) -> Result<Json> {
    given.retain(|_, value| !value.is_null());
    let operation = given.remove(OPERATION);
    let arguments = given.remove(ARGUMENTS);
    if let Some(name) = given.keys().next() {
        let problem = format!(
            "there is no such field here; the arguments of an operation belong into {ARGUMENTS:?}"
        );
        return Err(ApiError::field(name.chars().take(40).collect::<String>(), problem));
    }
    let operation = match operation {
        None if arguments.is_some() => {
            return Err(ApiError::field(OPERATION, "is required: the operation's name"));
        }
        None => return call::success(contents(visitor), "list_operations"),
        Some(Json::String(name)) => call::operation(visitor, &name)?,
        Some(other) => {
            let problem = format!("{} is not the name of an operation", catalog::shown(&other));
            return Err(ApiError::field(OPERATION, problem));
        }
    };
    match arguments {
        None => call::success(described(operation, visitor.page_rows_max), "describe_operation"),
        Some(Json::Object(arguments)) => call::perform(app, visitor, operation, arguments).await,
        Some(other) => {
            let problem = format!("{} is not an object", catalog::shown(&other));
            Err(ApiError::field(ARGUMENTS, problem))
        }
    }
}

/// What the visitor may do, by toolset.
fn contents(visitor: &Visitor) -> Json {
    let chapters = CATALOGUE.iter().filter_map(|chapter| {
        let operations: Vec<Json> = chapter
            .operations
            .iter()
            .filter(|operation| tools::may(visitor, operation))
            .map(|operation| json!({OPERATION: operation.name, "summary": operation.summary}))
            .collect();
        (!operations.is_empty()).then(
            || json!({"toolset": chapter.name, "about": chapter.about, "operations": operations}),
        )
    });
    chapters.collect()
}

fn described(operation: &Operation, page_rows_max: usize) -> Json {
    json!({
        OPERATION: operation.name,
        "summary": operation.summary,
        "scope": operation.scope.as_str(),
        "arguments_schema": arguments::schema(operation, page_rows_max),
    })
}
