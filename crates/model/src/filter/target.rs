//! What the keys of filters and orders name.

use super::operator::Kind;
use super::{FilterError, PathStep, Subject};
use crate::template::{Step, path};
use crate::{Column, ColumnType, Table, limits, suggest};

type Result<T> = std::result::Result<T, FilterError>;

/// What a key of a filter names.
pub(super) struct Target<'t> {
    pub(super) subject: Subject,
    pub(super) path: Vec<PathStep>,
    pub(super) kind: Kind,
    pub(super) column: Option<&'t Column>,
}

/// What the key of a filter or an order names.
pub(super) fn target<'t>(table: &'t Table, key: &str, at: &str) -> Result<Target<'t>> {
    if let Some((subject, kind)) = system(key) {
        return Ok(Target { subject, path: Vec::new(), kind, column: None });
    }
    if let Some(column) = table.column(key) {
        let (subject, kind) = (Subject::Column(column.id), Kind::Column(column.kind));
        return Ok(Target { subject, path: Vec::new(), kind, column: Some(column) });
    }
    let (name, steps) = path(key).map_err(|_| missing(table, key, at))?;
    let Some(column) = table.column(&name).filter(|_| !steps.is_empty()) else {
        return Err(missing(table, &name, at));
    };
    if column.kind != ColumnType::Json {
        let problem = format!(
            "column {:?} is of type {}; only inside a json column a path can be tested",
            column.name, column.kind
        );
        return Err(FilterError::new(at, problem));
    }
    if steps.len() > limits::JSON_DEPTH_MAX || key.contains('\0') {
        let max = limits::JSON_DEPTH_MAX;
        let problem = format!("a path has at most {max} steps, and no name with the character NUL");
        return Err(FilterError::new(at, problem));
    }
    let step = |step| match step {
        Step::Field(name) => PathStep::Key(name),
        Step::Index(index) => PathStep::Index(index),
    };
    Ok(Target {
        subject: Subject::Column(column.id),
        path: steps.into_iter().map(step).collect(),
        kind: Kind::Inside,
        column: Some(column),
    })
}

fn system(key: &str) -> Option<(Subject, Kind)> {
    match key {
        "_ht_id" => Some((Subject::Id, Kind::Id)),
        "_ht_created_at" => Some((Subject::CreatedAt, Kind::Moment)),
        "_ht_updated_at" => Some((Subject::UpdatedAt, Kind::Moment)),
        _ => None,
    }
}

fn missing(table: &Table, name: &str, at: &str) -> FilterError {
    if matches!(name, "_ht_status" | "_ht_error") {
        let problem = "cannot be tested; test the state of a smart column: {\"column\": {\"state\": \"failed\"}}";
        return FilterError::new(at, problem);
    }
    let system = ["_ht_id", "_ht_created_at", "_ht_updated_at"];
    let names = table.columns.iter().map(|column| column.name.as_str()).chain(system);
    FilterError::new(at, format!("the table has no column {name:?}")).meant(suggest(name, names))
}
