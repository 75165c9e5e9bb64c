//! What an operation takes, as JSON Schema. One generator for every face that shows schemas; what it says is what
//! `check.rs` lets through, bar lengths in bytes, which JSON Schema counts in characters.

use paceline_governor::Preset;
use serde_json::{Map, Value as Json, json};

use super::{Field, Kind, Operation};

impl Operation {
    /// The schema of its arguments as one object, wherever they stand over REST.
    pub(crate) fn arguments_schema(&self) -> Map<String, Json> {
        object(self.fields)
    }
}

/// The schema of an object of these fields and no others.
pub(crate) fn object(fields: &[Field]) -> Map<String, Json> {
    let properties: Map<String, Json> =
        fields.iter().map(|field| (field.name.to_owned(), Json::Object(of(field)))).collect();
    let required: Vec<Json> =
        fields.iter().filter(|field| field.required).map(|field| field.name.into()).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// The schema of one field, with what it is about.
pub(crate) fn of(field: &Field) -> Map<String, Json> {
    let mut schema = match kind(&field.kind) {
        Json::Object(schema) => schema,
        _ => Map::new(),
    };
    schema.insert("description".to_owned(), field.about.into());
    schema
}

fn kind(kind: &Kind) -> Json {
    match kind {
        Kind::Text { bytes_max } => json!({"type": "string", "maxLength": bytes_max}),
        // A limit that no caller meets says nothing.
        Kind::Whole { min, max } if *max >= i64::MAX as u64 => {
            json!({"type": "integer", "minimum": min})
        }
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::OneOf(names) => json!({"type": "string", "enum": names()}),
        Kind::Names { max } => {
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": max})
        }
        Kind::Objects { fields, max } => {
            json!({"type": "array", "items": object(fields), "maxItems": max})
        }
        Kind::Rows => json!({"type": "array", "items": {"type": "object"}}),
        Kind::Object => json!({"type": "object"}),
        Kind::Rate => json!({"anyOf": [
            {"type": "string", "enum": Preset::ALL.map(Preset::as_str)},
            {"type": "object"},
        ]}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Any => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, find};
    use super::*;

    #[test]
    fn the_schema_of_an_operation_is_its_fields() {
        let schema = find("create_table").unwrap().arguments_schema();
        assert_eq!(schema["required"], json!(["name", "columns"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let column = &schema["properties"]["columns"]["items"];
        assert_eq!(column["required"], json!(["name", "type"]));
        assert_eq!(column["properties"]["type"]["enum"][0], "text");
        assert!(
            find("list_tables").unwrap().arguments_schema()["properties"]
                .as_object()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_kind_has_a_schema_with_its_bounds() {
        let cases = [
            (Kind::Text { bytes_max: 9 }, json!({"type": "string", "maxLength": 9})),
            (
                Kind::Whole { min: 1, max: i64::MAX as u64 },
                json!({"type": "integer", "minimum": 1}),
            ),
            (Kind::Flag, json!({"type": "boolean"})),
            (Kind::Any, json!({})),
            (Kind::Object, json!({"type": "object"})),
        ];
        for (given, wanted) in cases {
            let field =
                Field { name: "x", place: Place::Body, kind: given, required: true, about: "it" };
            let mut schema = of(&field);
            assert_eq!(schema.remove("description"), Some("it".into()));
            assert_eq!(Json::Object(schema), wanted);
        }
    }
}
