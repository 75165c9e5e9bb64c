//! An `extract` column is a part of another column's JSON.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_model::{Column, ColumnId, Table, Task, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json_path::JsonPath;

use super::plain::{self, Filled, Tools};
use super::{Bound, KindSpec, Local, Rename};
use crate::labels::Labels;
use crate::task::cell_error;
use crate::{Error, OutboundGuard, Result};

/// The configuration as users write it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExtractSpec {
    /// The column: of JSON, or of text that is JSON.
    from: String,
    /// A JSONPath (RFC 9535).
    path: String,
    /// Whether it is an error of the cell if there is nothing; else the cell is empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
}

struct ExtractColumn {
    path: JsonPath,
    required: bool,
    inputs: [ColumnId; 1],
    identity: String,
}

impl ExtractSpec {
    pub(crate) fn from_json(config: &Json) -> Result<Self> {
        let spec: Self = plain::read(config, &["from", "path", "required"])?;
        if spec.from.is_empty() {
            return Err(plain::required("from", "the column to take it from"));
        }
        if spec.path.is_empty() {
            return Err(plain::required("path", "a JSONPath, as in $.name"));
        }
        Ok(spec)
    }
}

impl KindSpec for ExtractSpec {
    plain::without_secrets!();

    fn bind(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Bound> {
        let labels = Labels::of(table, own);
        let from = labels.columns[plain::position(&labels, "from", &self.from)?];
        let path = JsonPath::parse(&self.path).map_err(|error| {
            Error::config("config.path", format!("is no JSONPath ({error}); one is $.name"))
        })?;
        let identity = format!("extract\n{}", self.to_json());
        let column = ExtractColumn { path, required: self.required, inputs: [from], identity };
        Ok(Bound::Local(Arc::new(column)))
    }

    fn renamed(mut self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        if let Some(new) = plain::renamed_name(&self.from, rename) {
            self.from = new;
        }
        Ok(self)
    }
}

impl ExtractColumn {
    fn value(&self, task: &Task, column: &Column) -> Filled {
        let read;
        let json = match task.inputs.first() {
            None | Some(Value::Null | Value::Json(Json::Null)) => {
                return self.nothing("the column is empty here");
            }
            Some(Value::Json(json)) => json,
            Some(Value::Text(text)) => {
                read = serde_json::from_str::<Json>(text).map_err(|error| {
                    cell_error("NOT_JSON", format!("the text is not JSON ({error})"))
                })?;
                &read
            }
            Some(other) => {
                read = other.to_json();
                &read
            }
        };
        let found = self.path.query(json).all();
        let json = match found.as_slice() {
            [] => return self.nothing(&format!("there is nothing at {}", self.path)),
            [one] => (*one).clone(),
            many => Json::Array(many.iter().map(|json| (*json).clone()).collect()),
        };
        plain::typed(json, column)
    }

    fn nothing(&self, why: &str) -> Filled {
        if self.required { Err(cell_error("NOT_FOUND", why)) } else { Ok(Value::Null) }
    }
}

#[async_trait]
impl Local for ExtractColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn fill(&self, _: &Tools, column: &Column, rows: &[Task]) -> Result<Vec<Filled>> {
        Ok(rows.iter().map(|task| self.value(task, column)).collect())
    }
}
