//! From a request to the arguments of an operation: path, query and body put together, each checked for its form.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{RawPathParams, Request};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use crate::catalog::{Given, Kind, Operation, Place, Verb, from_text};
use crate::error::{ApiError, Code, Result};

/// What the memory for bodies is counted in.
pub(super) const BODY_UNIT_BYTES: usize = 64 * 1024;

/// The format of streams that is asked for by `Accept: application/x-ndjson` as well.
const NDJSON: &str = "ndjson";

/// What the field of [`Kind::Rows`] is called.
const ROWS: &str = "rows";

/// Units for so many bytes.
pub(super) fn body_units(bytes: usize) -> usize {
    bytes.div_ceil(BODY_UNIT_BYTES)
}

/// The arguments, and the hold on the memory for the body: to be dropped when the operation has ended.
pub(super) async fn arguments(
    operation: &Operation,
    shared: &Shared,
    path: &RawPathParams,
    request: Request,
) -> Result<(Given, Option<OwnedSemaphorePermit>)> {
    let (parts, body) = request.into_parts();
    let mut arguments = Map::new();
    let field = |name: &str, place| {
        operation.fields.iter().find(|field| field.name == name && field.place == place)
    };
    let (given, held) = body_object(shared, operation, &parts, body).await?;
    for (name, value) in given.arguments {
        // What stands elsewhere is not taken from the body as well: the two might differ.
        if field(&name, Place::Path).is_some() {
            return Err(ApiError::field(name, "belongs into the path, not into the body"));
        }
        // Of a deletion it is: some clients send what confirms it in the body. Given in both places it is refused below.
        if field(&name, Place::Query).is_some() && operation.verb != Verb::Delete {
            return Err(ApiError::field(name, "belongs into the query, not into the body"));
        }
        arguments.insert(name, value);
    }
    let query = parts.uri.query().unwrap_or_default();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = field(&name, Place::Query)
            .map_or_else(|| text.as_ref().into(), |field| from_text(field, &text));
        if field(&name, Place::Path).is_some() || field(&name, Place::Body).is_some() {
            return Err(ApiError::field(name, "does not belong into the query"));
        }
        if arguments.insert(name.clone().into_owned(), value).is_some() {
            return Err(ApiError::field(name, "is given twice"));
        }
    }
    for (name, text) in path {
        let value =
            field(name, Place::Path).map_or_else(|| text.into(), |field| from_text(field, text));
        arguments.insert(name.to_owned(), value);
    }
    if streams_lines(operation, &parts, &arguments) {
        arguments.insert("format".to_owned(), NDJSON.into());
    }
    Ok((Given { arguments, rows: given.rows }, held))
}

/// Whether a stream is to come as lines because the caller's `Accept` says so, and not its arguments.
fn streams_lines(operation: &Operation, parts: &Parts, arguments: &Map<String, Json>) -> bool {
    let takes_lines = operation.fields.iter().any(|field| {
        field.name == "format"
            && matches!(field.kind, Kind::OneOf(names) if names().contains(&NDJSON))
    });
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    takes_lines
        && !arguments.contains_key("format")
        && arguments.get("limit").and_then(Json::as_u64) == Some(0)
        && accept.is_some_and(|accept| accept.contains("application/x-ndjson"))
}

async fn body_object(
    shared: &Shared,
    operation: &Operation,
    parts: &Parts,
    body: Body,
) -> Result<(Given, Option<OwnedSemaphorePermit>)> {
    let (bytes, held) = read(shared, parts, body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok((Given { arguments: Map::new(), rows: None }, held));
    }
    // An empty object where nothing is taken is what many clients send.
    if operation.fields.iter().any(|field| field.place == Place::Body) {
        check_type(parts)?;
    }
    if operation.fields.iter().any(|field| matches!(field.kind, Kind::Rows)) {
        return Ok((with_rows(&bytes)?, held));
    }
    let json = serde_json::from_slice(&bytes).map_err(|error| not_json(&error))?;
    match json {
        Json::Object(arguments) => Ok((Given { arguments, rows: None }, held)),
        _ => Err(not_an_object()),
    }
}

/// A body with many rows: they stay text, which the operation reads straight into values.
fn with_rows(bytes: &Bytes) -> Result<Given> {
    let fields: HashMap<String, &RawValue> = match serde_json::from_slice(bytes) {
        Ok(fields) => fields,
        Err(error) if error.is_data() => return Err(not_an_object()),
        Err(error) => return Err(not_json(&error)),
    };
    let mut given = Given { arguments: Map::new(), rows: None };
    for (name, value) in fields {
        let value = if name == ROWS && value.get().starts_with('[') {
            given.rows = Some(bytes.slice_ref(value.get().as_bytes()));
            Json::Array(Vec::new())
        } else {
            serde_json::from_str(value.get()).map_err(|error| not_json(&error))?
        };
        given.arguments.insert(name, value);
    }
    Ok(given)
}

fn not_an_object() -> ApiError {
    ApiError::new(Code::InvalidJson, "the body is JSON, but not an object")
}

fn not_json(error: &serde_json::Error) -> ApiError {
    let message = match error.classify() {
        serde_json::error::Category::Eof => {
            format!("the body ends in the middle of its JSON: {error}")
        }
        _ => format!("the body is not JSON: {error}"),
    };
    ApiError::new(Code::InvalidJson, message)
}

pub(crate) fn check_type(parts: &Parts) -> Result<()> {
    let Some(given) = parts.headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json");
    if is_json {
        return Ok(());
    }
    let shown: String = essence.chars().take(80).collect();
    Err(ApiError::new(Code::UnsupportedMediaType, format!("the body is said to be {shown:?}")))
}

/// The body, once there is memory for it. One whose length is not said is held to be as long as one may be.
pub(crate) async fn read(
    shared: &Shared,
    parts: &Parts,
    body: Body,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>)> {
    read_up_to(shared, parts, body, shared.app.config.body_bytes_max).await
}

/// As [`read`], for bodies of at most so many bytes.
pub(crate) async fn read_up_to(
    shared: &Shared,
    parts: &Parts,
    body: Body,
    bytes_max: usize,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>)> {
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = length.or_else(|| http_body_length(&body));
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let expected = length.unwrap_or(bytes_max);
    if expected == 0 {
        return Ok((Bytes::new(), None));
    }
    let all = body_units(shared.app.config.bodies_bytes_max);
    let units = u32::try_from(body_units(expected).min(all)).unwrap_or(u32::MAX);
    let held = Arc::clone(&shared.bodies).acquire_many_owned(units).await;
    let held = held.map_err(|_| ApiError::internal("the memory for bodies was closed"))?;
    // Either it is longer than allowed, or the caller hung up and nobody reads the answer.
    let bytes = to_bytes(body, bytes_max).await.map_err(|_| too_large(bytes_max))?;
    Ok((bytes, Some(held)))
}

/// The length of a body that knows it, as one made in this process does.
fn http_body_length(body: &Body) -> Option<usize> {
    use axum::body::HttpBody as _;
    body.size_hint().exact().and_then(|length| usize::try_from(length).ok())
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(Code::BodyTooLarge, format!("the body is longer than {bytes_max} bytes"))
}
