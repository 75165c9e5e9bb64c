//! The form that an answer is asked for in: the JSON Schema that the configuration gives, or that follows from the
//! column's type.

use paceline_model::{Column, ColumnType, limits};
use serde_json::{Map, Value as Json, json};

use super::spec::field;
use crate::Result;

/// The property that holds the answer where a column's type decides the form: vendors want an object at the top.
const VALUE: &str = "value";

/// What an answer looks like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// As JSON Schema; `None` is any object.
    pub(super) schema: Option<Json>,
    /// Whether the cell's value is the property `value` of it.
    pub(super) wrapped: bool,
}

/// The form of the answers of a column; `None` is text. A column that is not in its table yet has no type.
///
/// # Errors
/// [`crate::Error::Config`] names the field of `output` that is wrong.
pub(super) fn shape(output: Option<&Json>, column: Option<&Column>) -> Result<Option<Shape>> {
    match output {
        Some(output) => {
            given(output).map(|schema| Some(Shape { schema: Some(schema), wrapped: false }))
        }
        None => Ok(column.and_then(|column| of_type(column.kind, &column.options))),
    }
}

/// Whether a column of this type can hold what `output` asks for.
pub(super) fn check_type(output: Option<&Json>, kind: ColumnType) -> Result<()> {
    match kind {
        ColumnType::Json => Ok(()),
        _ if output.is_none() => Ok(()),
        _ => {
            let problem = format!(
                "gives an object, which a column of type {} cannot hold; make the column of type json, or leave `output` \
                 out: then the column's type decides",
                kind.as_str()
            );
            Err(field("output", &problem))
        }
    }
}

fn given(output: &Json) -> Result<Json> {
    let fields = output.as_object().filter(|fields| fields.len() == 1);
    let one = fields.and_then(|fields| fields.iter().next());
    match one {
        Some((name, schema)) if name == "schema" => check_schema(schema).map(|()| schema.clone()),
        Some((name, Json::Object(fields))) if name == "fields" => of_fields(fields),
        _ => Err(field(
            "output",
            r#"must be {"schema": JSON Schema} or {"fields": {"name": "type"}}"#,
        )),
    }
}

fn check_schema(schema: &Json) -> Result<()> {
    let at = "output.schema";
    if schema.get("type").and_then(Json::as_str) != Some("object") {
        return Err(field(at, r#"must be a JSON Schema with "type": "object" at its top"#));
    }
    let bytes = schema.to_string().len();
    if bytes > limits::AI_SCHEMA_BYTES_MAX {
        let most = limits::AI_SCHEMA_BYTES_MAX;
        return Err(field(at, &format!("is {bytes} bytes long; at most {most} are sent")));
    }
    if depth(schema) > limits::AI_SCHEMA_DEPTH_MAX {
        let most = limits::AI_SCHEMA_DEPTH_MAX;
        return Err(field(at, &format!("is nested too deep; at most {most} levels are sent")));
    }
    Ok(())
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The schema of named fields, each `"type"` or `{"type", "options", "description"}`.
fn of_fields(fields: &Map<String, Json>) -> Result<Json> {
    if fields.is_empty() {
        return Err(field("output.fields", "is empty; name at least one field"));
    }
    let mut properties = Map::new();
    for (name, given) in fields {
        let at = format!("output.fields.{}", name.chars().take(60).collect::<String>());
        let kind =
            given.as_str().or_else(|| given.get("type")?.as_str()).and_then(ColumnType::parse);
        let kind = kind.filter(|kind| *kind != ColumnType::Json).ok_or_else(|| {
            let known = ColumnType::ALL.into_iter().filter(|kind| *kind != ColumnType::Json);
            let known: Vec<&str> = known.map(ColumnType::as_str).collect();
            field(&at, &format!("must be a type, or have one: {}", known.join(", ")))
        })?;
        let texts = |options: &Json| -> Option<Vec<String>> {
            options.as_array()?.iter().map(|option| option.as_str().map(str::to_owned)).collect()
        };
        let options = given.get("options").map_or(Some(Vec::new()), texts);
        let options = options.ok_or_else(|| field(&at, "has options that are no list of texts"))?;
        let mut schema = of_value(kind, &options);
        if let Some(description) = given.get("description") {
            schema["description"] = description.clone();
        }
        properties.insert(name.clone(), schema);
    }
    let schema = object(properties);
    check_schema(&schema)?;
    Ok(schema)
}

fn of_type(kind: ColumnType, options: &[String]) -> Option<Shape> {
    match kind {
        ColumnType::Text => None,
        ColumnType::Json => Some(Shape { schema: None, wrapped: false }),
        _ => {
            let properties = Map::from_iter([(VALUE.to_owned(), of_value(kind, options))]);
            Some(Shape { schema: Some(object(properties)), wrapped: true })
        }
    }
}

/// The schema of one value: null stands for an answer that cannot be told.
fn of_value(kind: ColumnType, options: &[String]) -> Json {
    let text = |about: &str| json!({"type": ["string", "null"], "description": about});
    let one_of = |options: &[String]| {
        let all = options.iter().map(|option| json!(option));
        json!({"type": "string", "enum": all.collect::<Vec<_>>()})
    };
    match kind {
        ColumnType::Number | ColumnType::Currency => json!({"type": ["number", "null"]}),
        ColumnType::Relation => {
            json!({"type": ["integer", "null"], "description": "the id of a row"})
        }
        ColumnType::Boolean => json!({"type": ["boolean", "null"]}),
        ColumnType::Select if !options.is_empty() => {
            let all = options.iter().map(|option| json!(option)).chain([Json::Null]);
            json!({"type": ["string", "null"], "enum": all.collect::<Vec<_>>()})
        }
        ColumnType::MultiSelect if !options.is_empty() => {
            json!({"type": "array", "items": one_of(options)})
        }
        ColumnType::MultiSelect => json!({"type": "array", "items": {"type": "string"}}),
        ColumnType::Email => text("an e-mail address"),
        ColumnType::Url => text("a web address, beginning with http"),
        ColumnType::ImageUrl => text("the web address of an image, beginning with http"),
        ColumnType::Phone => text("a phone number"),
        ColumnType::Datetime => text("a moment in ISO 8601, as 2026-11-22T12:00:00Z"),
        ColumnType::Text | ColumnType::Select | ColumnType::Json => {
            json!({"type": ["string", "null"]})
        }
    }
}

fn object(properties: Map<String, Json>) -> Json {
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": "object", "required": required, "additionalProperties": false, "properties": properties,
    })
}

impl Shape {
    /// The cell's value out of an answer of this form.
    ///
    /// # Errors
    /// Where the answer differs from the schema, in words.
    pub(super) fn value(&self, answer: Json) -> std::result::Result<Json, String> {
        match &self.schema {
            Some(schema) => super::schema::fits(schema, &answer, "$")?,
            None if answer.is_object() || answer.is_array() => {}
            None => return Err("$ is neither an object nor a list".to_owned()),
        }
        match answer {
            Json::Object(mut fields) if self.wrapped => {
                Ok(fields.remove(VALUE).unwrap_or_default())
            }
            answer => Ok(answer),
        }
    }
}
