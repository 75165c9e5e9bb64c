//! The value of a cell, and how it is checked against the type of its column.

mod formats;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub(crate) use self::formats::instant;
use crate::{Column, ColumnType, Error, Result, limits, suggest};

/// Options of a column that a message lists.
const OPTIONS_TOLD_MAX: usize = 20;

/// One value of a row. `Null` is an empty cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Checks `json` against a column type. A moment becomes UTC with six decimals, so that moments sort as text.
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
            (ColumnType::Json, json) => {
                check_depth(&json)?;
                Self::Json(json)
            }
            (ColumnType::MultiSelect, Json::Array(items)) if items.iter().all(Json::is_string) => {
                Self::Json(Json::Array(items))
            }
            (ColumnType::Boolean, Json::Bool(b)) => Self::Bool(b),
            (ColumnType::Number | ColumnType::Currency, Json::Number(n)) => number(&n)?,
            (ColumnType::Relation, Json::Number(n)) if n.as_i64().is_some_and(|id| id > 0) => {
                number(&n)?
            }
            (kind, Json::String(text)) if kind.is_text() => Self::Text(formed(kind, text)?),
            (kind, other) => return Err(wrong_kind(kind, &other)),
        };
        value.check_size()?;
        Ok(value)
    }

    /// Checks `json` against a column: its type and, of a select, its options.
    ///
    /// # Errors
    /// As [`Value::from_json`]; what is no option is told with the option that was probably meant.
    pub fn of(column: &Column, json: Json) -> Result<Self> {
        let value = Self::from_json(column.kind, json)?;
        let options = column.options.as_slice();
        // Columns made before there were options have none, and take any.
        if options.is_empty() {
            return Ok(value);
        }
        match &value {
            Self::Text(text) if column.kind == ColumnType::Select => is_option(text, options)?,
            Self::Json(Json::Array(items)) if column.kind == ColumnType::MultiSelect => {
                for (index, item) in items.iter().enumerate() {
                    is_option(item.as_str().unwrap_or_default(), options)?;
                    if items[..index].contains(item) {
                        return Err(Error::invalid("an option stands in the list twice"));
                    }
                }
            }
            _ => {}
        }
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

/// Text of a type that wants a form, as it is kept.
fn formed(kind: ColumnType, text: String) -> Result<String> {
    match kind {
        ColumnType::Email => formats::email(&text)?,
        ColumnType::Url | ColumnType::ImageUrl => formats::url(&text)?,
        ColumnType::Phone => formats::phone(&text)?,
        ColumnType::Datetime => return formats::datetime(&text),
        _ => {}
    }
    Ok(text)
}

fn wrong_kind(kind: ColumnType, given: &Json) -> Error {
    let advice = match given {
        Json::String(text) if !kind.is_text() => match serde_json::from_str(text) {
            Ok(Json::Number(_) | Json::Bool(_)) => "; send it without quotes",
            _ if kind == ColumnType::MultiSelect => "; put it into a list, as in [\"a\"]",
            _ => "",
        },
        Json::Number(_) | Json::Bool(_) if kind.is_text() => "; send it in quotes",
        _ => "",
    };
    let (takes, is) = (kind.takes(), kind_of(given));
    Error::invalid(format!("a {kind} column takes {takes}, not {is}{advice}"))
}

fn is_option(text: &str, options: &[String]) -> Result<()> {
    if options.iter().any(|option| option == text) {
        return Ok(());
    }
    let names = || options.iter().map(String::as_str);
    let meant = suggest(text, names())
        .map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
    let mut told = names().take(OPTIONS_TOLD_MAX).collect::<Vec<_>>().join(", ");
    if options.len() > OPTIONS_TOLD_MAX {
        told.push_str(", ...");
    }
    Err(Error::invalid(format!("is not one of the column's options ({told}){meant}")))
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
mod tests;
