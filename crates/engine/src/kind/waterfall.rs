//! A column of kind `waterfall`: sources that are asked in order until one of them gives a value.

mod spec;

use std::sync::Arc;

use paceline_governor::{Ceilings, Rate};
use paceline_model::{CellError, Column, ColumnId, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Answer, Call};
use crate::{Error, HttpColumn, Reply, Request, Result, extract};

pub(super) use spec::WaterfallSpec;

/// What counts as a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Until {
    /// Anything but null, empty text, an empty list and an empty object.
    #[default]
    NotEmpty,
    /// Anything but null.
    NotNull,
}

impl Until {
    /// Whether no further source is asked.
    pub(crate) fn is_met(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null | Value::Json(Json::Null)) => false,
            (Self::NotNull, _) => true,
            (Self::NotEmpty, Value::Text(text)) => !text.trim().is_empty(),
            (Self::NotEmpty, Value::Json(json)) => match json {
                Json::String(text) => !text.trim().is_empty(),
                Json::Array(items) => !items.is_empty(),
                Json::Object(fields) => !fields.is_empty(),
                _ => true,
            },
            (Self::NotEmpty, _) => true,
        }
    }
}

/// A waterfall, bound to its table. As one [`Call`] it is its first source: what a row costs at the least.
pub(crate) struct Waterfall {
    inputs: Vec<ColumnId>,
    pub(crate) sources: Vec<Source>,
    pub(crate) until: Until,
}

/// One of its sources.
pub(crate) struct Source {
    pub(crate) name: String,
    /// Passed over while its breaker is open or its credential is refused, instead of the run being paused.
    pub(crate) optional: bool,
    pub(crate) call: Arc<SourceCall>,
    rate_limit: Option<Json>,
}

impl Waterfall {
    /// What each source's budget keeps: its own rate, or the column's.
    pub(crate) fn rates(&self, column: &Rate, ceilings: Ceilings) -> Result<Vec<Rate>> {
        let rates = self.sources.iter().enumerate();
        let rates = rates.map(|(at, source)| {
            spec::source_rate(at, source.rate_limit.as_ref(), column, ceilings)
        });
        rates.collect()
    }

    /// Whether every source may be asked again.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.sources.iter().all(|source| source.call.http.repeatable)
    }

    fn first(&self) -> std::result::Result<&SourceCall, CellError> {
        let none = || crate::task::cell_error("NO_SOURCE", "the column has no source");
        self.sources.first().map(|source| source.call.as_ref()).ok_or_else(none)
    }
}

impl Call for Waterfall {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn repeatable(&self) -> bool {
        self.is_repeatable()
    }

    fn identity(&self) -> String {
        let sources = self.sources.iter();
        let sources =
            sources.map(|source| format!("{} {}", source.name, source.call.http.identity));
        format!("waterfall {:?} {}", self.until, sources.collect::<Vec<_>>().join(" "))
    }

    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        self.first()?.render(values, key)
    }

    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        self.first()?.read(reply, column)
    }

    fn waterfall(&self) -> Option<&Waterfall> {
        Some(self)
    }
}

/// The call of one source, made for a task that carries the inputs of all of them.
pub(crate) struct SourceCall {
    http: HttpColumn,
    /// The inputs of all.
    inputs: Vec<ColumnId>,
    /// Where its own are among them.
    at: Vec<usize>,
}

impl Call for SourceCall {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn repeatable(&self) -> bool {
        self.http.repeatable
    }

    fn names_timeout(&self) -> bool {
        self.http.names_timeout
    }

    fn identity(&self) -> String {
        self.http.identity.clone()
    }

    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        let own: Vec<Value> =
            self.at.iter().map(|at| values.get(*at).cloned().unwrap_or_default()).collect();
        self.http.render(&own, key)
    }

    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        // Nothing at all is an answer too: of a source that has nothing on this row.
        if reply.body.is_empty() {
            return Ok(Answer { value: Value::Null, tokens: None });
        }
        let value = match extract::value(reply, self.http.extract.as_ref(), column) {
            // Nor is it a fault of the source, which its breaker would count.
            Err(error) if error.code == "NOT_IN_REPLY" => Value::Null,
            read => read?,
        };
        Ok(Answer { value, tokens: None })
    }
}

/// The field of a source's configuration, where an error names one of a call's.
fn in_source(at: usize, error: Error) -> Error {
    match error {
        Error::Config { field, problem, did_you_mean } => {
            let rest = field.strip_prefix("config").unwrap_or(&field);
            Error::Config { field: format!("config.sources[{at}]{rest}"), problem, did_you_mean }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_counts_as_a_value() {
        let cases = [
            (Value::Null, false, false),
            (Value::Text(String::new()), false, true),
            (Value::Text(" ".to_owned()), false, true),
            (Value::Text("x".to_owned()), true, true),
            (Value::Int(0), true, true),
            (Value::Bool(false), true, true),
            (Value::Json(json!(null)), false, false),
            (Value::Json(json!([])), false, true),
            (Value::Json(json!({})), false, true),
            (Value::Json(json!("")), false, true),
            (Value::Json(json!([null])), true, true),
        ];
        for (value, not_empty, not_null) in cases {
            assert_eq!(Until::NotEmpty.is_met(&value), not_empty, "{value:?}");
            assert_eq!(Until::NotNull.is_met(&value), not_null, "{value:?}");
        }
    }
}
