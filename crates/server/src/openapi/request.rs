//! What an operation takes: the parameters of its path and query, and its body.

use paceline_model::limits::Settings;
use serde_json::{Value as Json, json};

use super::schema;
use crate::catalog::{Field, Kind, Place};

/// The fields that stand in the path and in the query.
pub(super) fn parameters(fields: &[Field], settings: &Settings) -> Vec<Json> {
    fields.iter().filter_map(|field| parameter(field, settings)).collect()
}

fn parameter(field: &Field, settings: &Settings) -> Option<Json> {
    let place = match field.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Body => return None,
    };
    let mut schema = schema::of(&field.kind, settings);
    if field.place == Place::Path && matches!(field.kind, Kind::Text { .. }) {
        // An empty one is another path.
        schema["minLength"] = 1.into();
    }
    let mut parameter = json!({
        "name": field.name,
        "in": place,
        "required": field.required,
        "description": field.about,
    });
    match field.kind {
        Kind::Any | Kind::Object | Kind::Objects { .. } | Kind::Rows => {
            parameter["content"] = json!({"application/json": {"schema": schema}});
        }
        Kind::Names { .. } => {
            parameter["schema"] = schema;
            // Separated by commas.
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        _ => parameter["schema"] = schema,
    }
    Some(parameter)
}

/// The body, if the operation takes one.
pub(super) fn body(fields: &[Field], settings: &Settings) -> Option<Json> {
    let in_body: Vec<&Field> = fields.iter().filter(|field| field.place == Place::Body).collect();
    if in_body.is_empty() {
        return None;
    }
    Some(json!({
        "required": in_body.iter().any(|field| field.required),
        "content": {"application/json": {"schema": schema::object(&in_body, settings)}},
    }))
}
