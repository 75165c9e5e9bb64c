//! What a field accepts, as a JSON schema.

use paceline_governor::Preset;
use paceline_model::limits::Settings;
use serde_json::{Map, Value as Json, json};

use crate::catalog::{Field, Kind};

/// The schema of a kind.
pub(super) fn of(kind: &Kind, settings: &Settings) -> Json {
    match kind {
        Kind::Text { bytes_max } => json!({"type": "string", "maxLength": bytes_max}),
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::OneOf(names) => json!({"type": "string", "enum": names()}),
        Kind::Names { max } => json!({
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": max,
        }),
        Kind::Objects { fields, max } => {
            let fields: Vec<&Field> = fields.iter().collect();
            json!({"type": "array", "items": object(&fields, settings), "maxItems": max})
        }
        Kind::Rows => json!({
            "type": "array",
            "items": {"type": "object", "description": "column names and values"},
            "maxItems": settings.insert_rows_max,
        }),
        Kind::Object => json!({"type": "object"}),
        Kind::Rate => json!({"$ref": "#/components/schemas/Rate"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Any => json!({}),
    }
}

/// An object of these fields and no others.
pub(super) fn object(fields: &[&Field], settings: &Settings) -> Json {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = of(&field.kind, settings);
        if !field.required {
            schema = or_null(schema);
        }
        schema["description"] = field.about.into();
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// `null` counts as not given.
fn or_null(mut schema: Json) -> Json {
    if let Some(names) = schema.get_mut("enum").and_then(Json::as_array_mut) {
        names.push(Json::Null);
    }
    if schema.get("$ref").is_some() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    // What names no type takes null already.
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    schema
}

/// What holds a smart column to a rate. The governor checks it; here stands what it accepts (spec G5, G6).
pub(super) fn rate(settings: &Settings) -> Json {
    let presets: Vec<&str> = Preset::ALL.iter().map(|preset| preset.as_str()).collect();
    json!({
        "description": "a preset's name, or an object; a column of kind http needs the first six of its fields",
        "oneOf": [
            {"type": "string", "enum": presets},
            {"type": "object", "properties": {
                "requests_per_second": {"type": "number", "minimum": 0.1, "maximum": settings.column_rate_max},
                "max_concurrent": {"type": "integer", "minimum": 1, "maximum": settings.column_concurrent_max},
                "retry_strategy": {"type": "string", "enum": ["exponential", "linear", "fixed"]},
                "max_retries": {"type": "integer", "minimum": 0, "maximum": 10},
                "retry_delay_ms": {"type": "integer", "minimum": 100, "maximum": 60_000},
                "cool_down_on_429": {"type": "boolean"},
                "limits": {
                    "type": "array",
                    "items": {"type": "string", "examples": ["20/min", "60/h"]},
                    "description": "further limits, which all hold at once",
                },
                "min_spacing_ms": {"type": "number"},
                "shape": {"type": "string"},
                "guard": {},
                "timeout_ms": {"type": "number"},
                "retry_on": {"type": "array", "items": {"type": "integer"}},
                "max_wait_ms": {"type": "number"},
                "budget": {"type": "string"},
            }},
        ],
    })
}
