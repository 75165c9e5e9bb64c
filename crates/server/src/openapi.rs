//! The catalogue as an OpenAPI 3.1 document, and where it is served. Nothing in it is written by hand that the catalogue,
//! the page of limits or the table of error codes knows.

mod browser;
mod replies;
mod request;
mod schema;

use std::sync::Arc;

use axum::response::Response;
use axum::routing::{Router, get};
use bytes::Bytes;
use http::StatusCode;
use paceline_model::limits::Settings;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use crate::catalog::{CATALOGUE, Operation};
use crate::error::ApiError;
use crate::rest::{Shared, answered, refused};

/// `/openapi.json` and `/docs`, for anyone: it says what every copy of this program does, and nothing of what is kept here.
pub(crate) fn routes(settings: &Settings) -> Router<Arc<Shared>> {
    let document = serde_json::to_vec(&document(settings)).map(Bytes::from);
    let document = document.map_err(|error| error.to_string());
    browser::routes().route("/openapi.json", get(move || async move { reply(document) }))
}

fn reply(document: Result<Bytes, String>) -> Response {
    match document {
        Ok(document) => answered(StatusCode::OK, document),
        Err(error) => refused(&ApiError::internal(error).attempting(|| "openapi.json".to_owned())),
    }
}

/// The document of a server with these settings.
///
/// ```
/// let document = paceline_server::openapi(&Default::default());
/// assert_eq!(document["paths"]["/api/tables"]["get"]["operationId"], "list_tables");
/// ```
#[must_use]
pub fn document(settings: &Settings) -> Json {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize()
        .into_generator();
    let mut paths = Map::new();
    for chapter in CATALOGUE {
        for operation in chapter.operations {
            let described = described(chapter.name, operation, settings, &mut generator);
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            path[operation.verb.as_str().to_ascii_lowercase()] = described;
        }
    }
    let responses = replies::refusals(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Rate".to_owned(), schema::rate(settings));
    let tags: Vec<Json> = CATALOGUE
        .iter()
        .map(|chapter| json!({"name": chapter.name, "description": chapter.about}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Paceline",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Tables whose columns call APIs, as fast as those APIs allow and not one call faster",
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/", "description": "the server that this document comes from"}],
        "security": [{"key": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "headers": replies::headers(),
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "the key that the server showed at its first start, or one made since",
            }},
        },
    })
}

const ABOUT: &str = "Every reply is one JSON object: `success` with `data`, `meta` and `hints`, or `success: false` with an \
    `error` that says what was attempted, what went wrong and what to do instead, and `hints`: calls that work as they \
    stand. Texts are limited in bytes of UTF-8; `maxLength` counts characters and is the limit for ASCII. A field that \
    may be left out may be `null`, which says the same. The limits are listed at `/api/limits`.";

fn described(
    chapter: &str,
    operation: &Operation,
    settings: &Settings,
    generator: &mut SchemaGenerator,
) -> Json {
    let mut described = json!({
        "operationId": operation.name,
        "tags": [chapter],
        "summary": operation.summary,
        "description": format!("Needs a key with the scope `{}`.", operation.scope.as_str()),
        "responses": replies::of(operation, generator),
    });
    let parameters = request::parameters(operation.fields, settings);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = request::body(operation.fields, settings) {
        described["requestBody"] = body;
    }
    described
}
