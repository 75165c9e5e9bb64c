//! Which field of a record becomes the value of which column. Columns are kept by id, so that a mapping survives their
//! renaming.

use paceline_model::{Column, ColumnId, ColumnType, Table, Value, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::path::{Path, put};
use crate::error::{ApiError, Code, Detail, Result, format_meant};

/// A mapping at rest: from a dotted path to the id of a column. Empty, it takes the fields that are named as columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Mapping(Vec<(String, i64)>);

/// A mapping at work.
#[derive(Debug)]
pub(crate) struct Bound {
    paths: Vec<(String, Path)>,
    columns: Vec<Column>,
}

/// Which way values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a record into a row: smart columns are filled by their runs and by nothing else.
    In,
    /// From a row into a record.
    Out,
}

impl Mapping {
    /// Reads `{"user.email": "email"}`: a path of the record to the name of a column.
    pub(crate) fn read(table: &Table, given: Option<&Json>, way: Way) -> Result<Self> {
        let Some(given) = given else { return Ok(Self::default()) };
        let Json::Object(given) = given else {
            return Err(ApiError::field(
                "field_mapping",
                "is not an object of paths and columns, as {\"user.email\": \"email\"}",
            ));
        };
        if given.len() > limits::HOOK_FIELDS_MAX {
            let problem =
                format!("{} fields are over the limit of {}", given.len(), limits::HOOK_FIELDS_MAX);
            return Err(ApiError::field("field_mapping", problem));
        }
        let mut pairs: Vec<(String, i64)> = Vec::with_capacity(given.len());
        for (path, column) in given {
            let field = format!("field_mapping.{path}");
            let parsed =
                Path::parse(path).map_err(|problem| ApiError::field(field.clone(), problem))?;
            if way == Way::Out && parsed.keys().is_none() {
                return Err(ApiError::field(field, "goes through a list, which is not built here"));
            }
            let column = target(table, column, &field, way)?;
            if way == Way::In && pairs.iter().any(|(_, known)| *known == column.id.0) {
                let problem = format!("is the second field for the column {:?}", column.name);
                return Err(ApiError::field(field, problem));
            }
            pairs.push((path.clone(), column.id.0));
        }
        Ok(Self(pairs))
    }

    /// As it was given, with the names that the columns have now; those that are gone are null.
    pub(crate) fn shown(&self, table: &Table) -> Json {
        let name = |id: &i64| {
            let column = table.columns.iter().find(|column| column.id.0 == *id);
            column.map_or(Json::Null, |column| column.name.as_str().into())
        };
        self.0.iter().map(|(path, id)| (path.clone(), name(id))).collect::<Map<_, _>>().into()
    }

    /// The mapping with the columns as they are now.
    ///
    /// # Errors
    /// `CONFLICT` if one of them is gone: what was sent for it would be lost without a word.
    pub(crate) fn bind(&self, table: &Table, way: Way) -> Result<Bound> {
        let mut bound = Bound { paths: Vec::new(), columns: Vec::new() };
        if self.0.is_empty() {
            let fits = |column: &&Column| way == Way::Out || column.smart.is_none();
            for column in table.columns.iter().filter(fits) {
                // A name is a path of one key.
                if let Ok(path) = Path::parse(&column.name) {
                    bound.paths.push((column.name.clone(), path));
                    bound.columns.push(column.clone());
                }
            }
            return Ok(bound);
        }
        for (text, id) in &self.0 {
            let column = table.columns.iter().find(|column| column.id.0 == *id);
            let (Some(column), Ok(path)) = (column, Path::parse(text)) else {
                let message = format!(
                    "field_mapping.{text}: its column of table {:?} was deleted; change the mapping",
                    table.name
                );
                return Err(ApiError::new(Code::Conflict, message));
            };
            bound.paths.push((text.clone(), path));
            bound.columns.push(column.clone());
        }
        Ok(bound)
    }
}

fn target<'t>(table: &'t Table, name: &Json, field: &str, way: Way) -> Result<&'t Column> {
    let Json::String(name) = name else {
        return Err(ApiError::field(field, "is not the name of a column"));
    };
    let Some(column) = table.column(name) else {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let meant = paceline_model::suggest(name, names);
        let mut problem = format!("table {:?} has no column {name:?}", table.name);
        problem.push_str(&meant.map_or_else(String::new, format_meant));
        return Err(ApiError::field(field, problem).meant_as_said(meant.map(str::to_owned)));
    };
    if way == Way::In && column.smart.is_some() {
        return Err(ApiError::field(field, format!("{name:?} is filled by its own runs")));
    }
    Ok(column)
}

impl Bound {
    /// The columns, in the order of the values.
    pub(crate) fn ids(&self) -> Vec<ColumnId> {
        self.columns.iter().map(|column| column.id).collect()
    }

    /// The columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    /// Whether anything of a field of that name is read.
    pub(crate) fn reads(&self, field: &str) -> bool {
        self.paths.iter().any(|(text, _)| text.split(['.', '[']).next() == Some(field))
    }

    /// The row that a record makes. A field that is missing leaves its value empty.
    ///
    /// # Errors
    /// Every value that its column does not take; `at` says which record it is.
    pub(crate) fn row(
        &self,
        record: &Json,
        at: &str,
    ) -> std::result::Result<Vec<Value>, Vec<Detail>> {
        let mut faults = Vec::new();
        let mut row = Vec::with_capacity(self.columns.len());
        for ((text, path), column) in self.paths.iter().zip(&self.columns) {
            let found = path.find(record).cloned().unwrap_or(Json::Null);
            match typed(column, found) {
                Ok(value) => row.push(value),
                Err(error) => {
                    let field = format!("{at}{text}");
                    faults.push(Detail { field, problem: error.to_string() });
                }
            }
        }
        if faults.is_empty() { Ok(row) } else { Err(faults) }
    }

    /// The record that a row makes.
    pub(crate) fn record(&self, values: &[Value]) -> Map<String, Json> {
        let mut record = Map::new();
        for ((_, path), value) in self.paths.iter().zip(values) {
            put(&mut record, &path.keys().unwrap_or_default(), value.to_json());
        }
        record
    }
}

/// A value of a record for a column. Text shows numbers and flags as text, as cells of smart columns do.
fn typed(column: &Column, json: Json) -> paceline_model::Result<Value> {
    let json = match json {
        Json::Number(_) | Json::Bool(_) if column.kind == ColumnType::Text => {
            Json::String(json.to_string())
        }
        json => json,
    };
    Value::of(column, json)
}
