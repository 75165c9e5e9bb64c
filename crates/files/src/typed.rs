//! From what stands in a file to the value of a column, and back to text.

use paceline_model::{Column, ColumnType, Value};
use serde_json::Value as Json;

/// The value of a column from what stands in a file. Text becomes what the column holds: `3.5` a number, `true` a boolean,
/// `{"a":1}` JSON, `["a","b"]` or `a; b` a list of options. JSON of another kind than the column's is taken as the text
/// that it is, so that a number may stand in a column of text and a text with a number in it in one of numbers. An empty
/// text of any column but of text is an empty cell.
///
/// # Errors
/// What the column takes, without the value.
///
/// ```
/// use paceline_files::typed;
/// use paceline_model::{Column, ColumnId, ColumnType, TableId, Value};
/// let column = |kind| Column {
///     id: ColumnId(1), table: TableId(1), name: "x".into(), title: None, kind, options: vec![], smart: None,
/// };
/// let text = |text: &str| Value::Text(text.to_owned());
/// assert_eq!(typed(&column(ColumnType::Number), text(" 3.5")), Ok(Value::Number(3.5)));
/// assert_eq!(typed(&column(ColumnType::Boolean), text("TRUE")), Ok(Value::Bool(true)));
/// assert_eq!(typed(&column(ColumnType::Text), Value::Int(7)), Ok(text("7")));
/// assert!(typed(&column(ColumnType::Number), text("three")).is_err());
/// ```
pub fn typed(column: &Column, value: Value) -> Result<Value, String> {
    let json = match (column.kind, value) {
        (_, value) if value.is_null() => return Ok(Value::Null),
        (_, Value::Text(text)) => of_text(column, text)?,
        (kind, Value::Json(Json::String(text))) if kind != ColumnType::Json => {
            of_text(column, text)?
        }
        (kind, other) if kind.is_text() => Json::String(other.to_text()),
        (_, other) => other.to_json(),
    };
    Value::of(column, json).map_err(|error| error.to_string())
}

/// A value as it stands in a text file, so that [`typed`] makes the same value of it again; nothing for an empty cell.
#[must_use]
pub fn text_of(kind: ColumnType, value: &Value) -> String {
    match value {
        Value::Json(json) if kind == ColumnType::Json && !value.is_null() => json.to_string(),
        other => other.to_text(),
    }
}

fn of_text(column: &Column, text: String) -> Result<Json, String> {
    let kind = column.kind;
    let trimmed = text.trim();
    if trimmed.is_empty() && kind != ColumnType::Text {
        return Ok(Json::Null);
    }
    match kind {
        ColumnType::Number | ColumnType::Currency | ColumnType::Relation => number(kind, trimmed),
        ColumnType::Boolean => boolean(trimmed),
        ColumnType::Json => serde_json::from_str(trimmed)
            .map_err(|_| "a json column takes JSON; this text is none".to_owned()),
        ColumnType::MultiSelect => Ok(list(&column.options, trimmed)),
        ColumnType::Text => Ok(Json::String(text)),
        ColumnType::Select if column.options.contains(&text) => Ok(Json::String(text)),
        _ => Ok(Json::String(trimmed.to_owned())),
    }
}

fn number(kind: ColumnType, text: &str) -> Result<Json, String> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.into());
    }
    let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number
        .map(Json::Number)
        .ok_or_else(|| format!("a {kind} column takes a number like 1234.5; this text is none"))
}

fn boolean(text: &str) -> Result<Json, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true.into()),
        "false" | "f" | "no" | "n" | "0" => Ok(false.into()),
        _ => Err("a boolean column takes true or false (or yes, no, 1, 0)".to_owned()),
    }
}

/// A list of options as JSON, or as text with `;` or `,` between them.
fn list(options: &[String], text: &str) -> Json {
    if let Ok(Json::Array(items)) = serde_json::from_str(text) {
        return Json::Array(items);
    }
    if options.iter().any(|option| option == text) {
        return Json::from(vec![text]);
    }
    let separator = if text.contains(';') { ';' } else { ',' };
    let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
    items.map(Json::from).collect()
}
