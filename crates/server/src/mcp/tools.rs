//! The tools that a client sees, drawn from the catalogue.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use super::{Visitor, arguments, others};
use crate::KeyScope;
use crate::catalog::{self, CATALOGUE, Operation, Verb};

/// What the names of tools begin with. (seed B)
pub(super) const PREFIX: &str = "hypertab_";

/// The operation behind a tool's name; without the prefix as well, which agents leave out now and then.
pub(super) fn operation(name: &str) -> Option<&'static Operation> {
    catalog::find(name.strip_prefix(PREFIX).unwrap_or(name))
}

/// The operations that are tools of this visitor's own.
pub(super) fn shown(visitor: &Visitor) -> impl Iterator<Item = &'static Operation> {
    CATALOGUE.iter().flat_map(move |chapter| {
        chapter.operations.iter().filter(move |operation| {
            may(visitor, operation) && visitor.toolsets.show(chapter, operation)
        })
    })
}

/// Whether the visitor's key allows the operation.
pub(super) fn may(visitor: &Visitor, operation: &Operation) -> bool {
    visitor.caller.scope >= operation.scope
}

/// The visitor's tools: what it may do and asked for, and one that does all the rest.
pub(super) fn listed(visitor: &Visitor) -> Vec<Tool> {
    let page_rows_max = visitor.page_rows_max;
    shown(visitor)
        .map(|operation| tool(operation, page_rows_max))
        .chain(others::tool(visitor))
        .collect()
}

fn tool(operation: &'static Operation, page_rows_max: usize) -> Tool {
    let name = format!("{PREFIX}{}", operation.name);
    Tool::new(name, operation.summary, Arc::new(arguments::schema(operation, page_rows_max)))
        .with_annotations(annotations(operation))
}

/// What a client may ask its user before the call. Drawn from the verb: GET looks, POST adds, PATCH and DELETE replace
/// or take away.
fn annotations(operation: &Operation) -> ToolAnnotations {
    let reads = operation.scope == KeyScope::Read;
    let ends = operation.name.starts_with("cancel_") || operation.name.starts_with("delete_");
    let replaces = matches!(operation.verb, Verb::Patch | Verb::Delete) || ends;
    ToolAnnotations::new()
        .read_only(reads)
        .destructive(!reads && replaces)
        .idempotent(reads || replaces)
}
