//! The one shape of every reply: `{success: true, data, meta, hints?}` or `{success: false, error, hints}`.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value as Json};

use crate::catalog::{self, Kind, Place};
use crate::error::{ApiError, Result};

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    pub(crate) data: T,
    pub(crate) meta: Map<String, Json>,
    pub(crate) hints: Vec<Hint>,
}

impl<T> Outcome<T> {
    pub(crate) fn new(data: T) -> Self {
        Self { data, meta: Map::new(), hints: Vec::new() }
    }

    pub(crate) fn meta(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.meta.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn hint(mut self, hint: Hint) -> Self {
        self.hints.push(hint);
        self
    }
}

/// A call that makes sense next: an operation of the catalogue with arguments that are valid as they stand.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    operation: &'static str,
    arguments: Map<String, Json>,
    why: String,
}

impl Hint {
    pub(crate) fn new(operation: &'static str, why: impl Into<String>) -> Self {
        Self { operation, arguments: Map::new(), why: why.into() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// The same call over REST: method, path with its arguments in place, and what goes into the body.
    fn as_request(&self) -> Option<(&'static str, String, Map<String, Json>)> {
        let operation = catalog::find(self.operation)?;
        let mut path = operation.path.to_owned();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut queried = false;
        let mut body = Map::new();
        for (name, value) in &self.arguments {
            let field = operation.fields.iter().find(|field| field.name == name)?;
            let text = as_text(field.kind, value);
            match field.place {
                Place::Path => {
                    let segment = utf8_percent_encode(&text, SEGMENT).to_string();
                    path = path.replace(&format!("{{{name}}}"), &segment);
                }
                Place::Query => {
                    query.append_pair(name, &text);
                    queried = true;
                }
                Place::Body => {
                    body.insert(name.clone(), value.clone());
                }
            }
        }
        if queried {
            path = format!("{path}?{}", query.finish());
        }
        Some((operation.verb.as_str(), path, body))
    }
}

/// A value as it stands in a path or a query: names with commas, text as it is, all else as JSON.
fn as_text(kind: Kind, value: &Json) -> String {
    match (kind, value) {
        (_, Json::String(text)) => text.clone(),
        (Kind::Names { .. }, Json::Array(names)) => {
            names.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(",")
        }
        (_, other) => other.to_string(),
    }
}

/// What is escaped in a segment of a path.
const SEGMENT: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b'~');

impl Serialize for Hint {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("why", &self.why)?;
        map.serialize_entry("operation", self.operation)?;
        map.serialize_entry("arguments", &self.arguments)?;
        if let Some((method, path, body)) = self.as_request() {
            map.serialize_entry("method", method)?;
            map.serialize_entry("path", &path)?;
            if !body.is_empty() {
                map.serialize_entry("body", &body)?;
            }
        }
        map.end()
    }
}

impl JsonSchema for Hint {
    fn schema_name() -> Cow<'static, str> {
        "Hint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a call that makes sense next, valid as it stands",
            "type": "object",
            "properties": {
                "why": {"type": "string"},
                "operation": {"type": "string"},
                "arguments": {"type": "object"},
                "method": {"type": "string"},
                "path": {"type": "string", "description": "with its query"},
                "body": {"type": "object"},
            },
            "required": ["why", "operation", "arguments"],
            "additionalProperties": false,
        })
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    data: &'a T,
    meta: &'a Map<String, Json>,
    #[serde(skip_serializing_if = "<[Hint]>::is_empty")]
    hints: &'a [Hint],
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: &'a crate::error::Fault,
    hints: &'a [Hint],
}

/// The envelope of an answer.
pub(crate) fn success<T: Serialize>(outcome: &Outcome<T>) -> Result<Bytes> {
    let envelope =
        Success { success: true, data: &outcome.data, meta: &outcome.meta, hints: &outcome.hints };
    let bytes = serde_json::to_vec(&envelope);
    bytes
        .map(Bytes::from)
        .map_err(|error| ApiError::internal(format!("a reply is not JSON: {error}")))
}

/// The envelope of an error.
pub(crate) fn failure(error: &ApiError) -> Bytes {
    let envelope = Failure { success: false, error: &error.0, hints: &error.0.hints };
    // Texts and numbers only, which always are JSON.
    serde_json::to_vec(&envelope).map(Bytes::from).unwrap_or_default()
}

/// An error as the last line of a stream of lines.
pub(crate) fn failure_line(error: &ApiError) -> Bytes {
    #[derive(Serialize)]
    struct Line<'a> {
        error: &'a crate::error::Fault,
    }
    let mut line = serde_json::to_vec(&Line { error: &error.0 }).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
