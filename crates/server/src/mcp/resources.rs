//! Resources: a guide for agents, and tables and runs to read without a tool.

use percent_encoding::percent_decode_str;
use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Map, Value as Json};

use super::{Visitor, call, reply};
use crate::App;
use crate::catalog;
use crate::error::{ApiError, Code};

const GUIDE: &str = "hypertab://guide";
const TABLES: &str = "hypertab://tables";
const RUNS: &str = "hypertab://runs";
const JSON: &str = "application/json";

pub(super) fn listed() -> Vec<Resource> {
    vec![
        Resource::new(GUIDE, "guide")
            .with_title("Guide for agents")
            .with_description("From a table to a finished run: rate limits, errors, retries")
            .with_mime_type("text/markdown")
            .with_size(GUIDE_TEXT.len() as u64),
        Resource::new(TABLES, "tables")
            .with_title("Tables")
            .with_description("The tables with their sizes")
            .with_mime_type(JSON),
    ]
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{TABLES}/{{id}}"), "table")
            .with_title("A table")
            .with_description("The columns of a table, by its id or name")
            .with_mime_type(JSON),
        ResourceTemplate::new(format!("{RUNS}/{{id}}"), "run")
            .with_title("A run")
            .with_description("How far a run has come")
            .with_mime_type(JSON),
    ]
}

const GUIDE_TEXT: &str = include_str!("guide.md");

/// What stands at an address.
///
/// # Errors
/// A protocol error, which is all that a resource has; our envelope is its data.
pub(super) async fn read(
    app: &App,
    visitor: &Visitor,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    if uri == GUIDE {
        let text = ResourceContents::text(GUIDE_TEXT, uri).with_mime_type("text/markdown");
        return Ok(ReadResourceResult::new(vec![text]));
    }
    let answer = match target(uri) {
        Some((name, arguments)) => match call::operation(visitor, name) {
            Ok(operation) => call::perform(app, visitor, operation, arguments).await,
            Err(error) => Err(error),
        },
        None => Err(ApiError::new(
            Code::NotFound,
            format!("there is no resource {:?}", uri.chars().take(200).collect::<String>()),
        )
        .fix(format!("read {GUIDE}, {TABLES}, {TABLES}/ID or {RUNS}/ID"))),
    };
    match answer {
        Ok(envelope) => {
            let text = reply::fitted(visitor, envelope).to_string();
            let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
            Ok(ReadResourceResult::new(vec![contents]))
        }
        Err(error) => {
            let (code, message) = (error.0.code, error.0.message.clone());
            let envelope = Some(call::refused(visitor, "read a resource", error));
            Err(if call::is_missing(code) {
                ErrorData::resource_not_found(message, envelope)
            } else {
                ErrorData::invalid_params(message, envelope)
            })
        }
    }
}

/// The operation that answers for an address, with its arguments.
fn target(uri: &str) -> Option<(&'static str, Map<String, Json>)> {
    if uri == TABLES {
        return Some(("list_tables", Map::new()));
    }
    let (name, field, id) = if let Some(id) = uri.strip_prefix(TABLES) {
        ("get_table_schema", "table", id)
    } else {
        ("get_run", "run", uri.strip_prefix(RUNS)?)
    };
    let id = percent_decode_str(id.strip_prefix('/')?).decode_utf8().ok()?;
    debug_assert!(catalog::find(name).is_some());
    (!id.is_empty()).then(|| (name, Map::from_iter([(field.to_owned(), id.into())])))
}
