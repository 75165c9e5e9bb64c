//! The value of a cell, and how it is checked against the type of its column.

use serde_json::Value as Json;

use crate::{ColumnType, Error, Result, limits};

/// One value of a row. `Null` is an empty cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; never NaN or infinite.
    Number(f64),
    /// Text; also dates (ISO 8601), addresses, phone numbers and the option of a select, as written.
    Text(String),
    /// A JSON value of its own.
    Json(Json),
}

impl Value {
    /// Checks `json` against a column type.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what the type takes and what was given (its kind, never the value).
    ///
    /// ```
    /// use paceline_model::{ColumnType, Value};
    /// let value = Value::from_json(ColumnType::Number, serde_json::json!(3.5)).unwrap();
    /// assert_eq!(value, Value::Number(3.5));
    /// assert!(Value::from_json(ColumnType::Number, serde_json::json!("three")).is_err());
    /// ```
    pub fn from_json(kind: ColumnType, json: Json) -> Result<Self> {
        let value = match (kind, json) {
            (_, Json::Null) => Self::Null,
            (ColumnType::Json | ColumnType::MultiSelect, json) => {
                check_depth(&json)?;
                Self::Json(json)
            }
            (ColumnType::Boolean, Json::Bool(b)) => Self::Bool(b),
            (ColumnType::Number | ColumnType::Currency | ColumnType::Relation, Json::Number(n)) => {
                number(&n)?
            }
            (kind, Json::String(text)) if kind.is_text() => Self::Text(text),
            (kind, other) => {
                return Err(Error::invalid(format!(
                    "a {kind} column takes {}, not {}",
                    kind.takes(),
                    kind_of(&other)
                )));
            }
        };
        value.check_size()?;
        Ok(value)
    }

    /// The value as JSON, as it leaves over the API.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(n) => Json::from(*n),
            Self::Number(x) => Json::from(*x),
            Self::Text(text) => Json::String(text.clone()),
            Self::Json(json) => json.clone(),
        }
    }

    /// The value as it stands in a text file: nothing for null, text as it is, everything else as JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Null | Self::Json(Json::Null) => String::new(),
            Self::Text(text) | Self::Json(Json::String(text)) => text.clone(),
            other => other.to_json().to_string(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Json(Json::Null))
    }

    fn check_size(&self) -> Result<()> {
        let size_bytes = match self {
            Self::Text(text) | Self::Json(Json::String(text)) => text.len(),
            Self::Json(json) => written_bytes(json),
            _ => 0,
        };
        if size_bytes > limits::VALUE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a value of {size_bytes} bytes is over the limit of {} bytes",
                limits::VALUE_BYTES_MAX
            )));
        }
        Ok(())
    }
}

/// How long a value is as text, without writing it down.
fn written_bytes(json: &Json) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, json);
    counter.0
}

fn number(n: &serde_json::Number) -> Result<Value> {
    if let Some(int) = n.as_i64() {
        return Ok(Value::Int(int));
    }
    match n.as_f64() {
        Some(x) if x.is_finite() => Ok(Value::Number(x)),
        _ => Err(Error::invalid("a number is outside the range of a double")),
    }
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn check_depth(json: &Json) -> Result<()> {
    // Breadth first with its own list: a hostile depth must not use up the stack.
    let mut level = vec![json];
    for _ in 0..=limits::JSON_DEPTH_MAX {
        level = level
            .into_iter()
            .flat_map(|json| match json {
                Json::Array(items) => items.iter().collect::<Vec<_>>(),
                Json::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            })
            .collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err(Error::invalid(format!("JSON is nested deeper than {} levels", limits::JSON_DEPTH_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_take_what_they_say() {
        let cases = [
            (ColumnType::Text, json!("x"), Some(Value::Text("x".into()))),
            (ColumnType::Text, json!(1), None),
            (ColumnType::Number, json!(1), Some(Value::Int(1))),
            (ColumnType::Number, json!(1.5), Some(Value::Number(1.5))),
            (ColumnType::Number, json!("1"), None),
            (ColumnType::Boolean, json!(true), Some(Value::Bool(true))),
            (ColumnType::Boolean, json!("true"), None),
            (ColumnType::Json, json!({"a": 1}), Some(Value::Json(json!({"a": 1})))),
            (ColumnType::Json, json!(null), Some(Value::Null)),
            (ColumnType::Email, json!(["a"]), None),
        ];
        for (kind, given, wanted) in cases {
            assert_eq!(Value::from_json(kind, given.clone()).ok(), wanted, "{kind} {given}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let mut deep = json!(1);
        for _ in 0..limits::JSON_DEPTH_MAX + 1 {
            deep = json!([deep]);
        }
        assert!(Value::from_json(ColumnType::Json, deep).is_err());
        let long = "x".repeat(limits::VALUE_BYTES_MAX + 1);
        assert!(Value::from_json(ColumnType::Text, json!(long)).is_err());
    }
}
