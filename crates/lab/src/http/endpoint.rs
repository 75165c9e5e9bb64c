//! What the vendor sells: the nearest airport, and an echo.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use super::reply::error_json;
use crate::query::query_value;
use crate::{Airports, Position};

/// The longest request body that is read.
pub const REQUEST_BODY_BYTES_MAX: usize = 64 * 1024;

/// What a request asks for, read before the call sets out.
#[derive(Debug)]
pub(super) enum Work {
    /// The airport nearest to a position.
    Nearest(Position),
    /// The request itself, already as JSON.
    Echo(Bytes),
    /// Nothing that can be done; the call is counted all the same.
    Invalid { status: StatusCode, error: String },
}

impl Work {
    /// Reads a request; none if the caller went away in the middle of it.
    pub(super) async fn read(parts: &Parts, body: Incoming) -> Option<Self> {
        let body = match read_body(body).await? {
            Ok(body) => body,
            Err(too_long) => return Some(too_long),
        };
        Some(match parts.uri.path() {
            "/geo/nearest" => nearest(parts),
            "/echo" => Self::Echo(echo(parts, &body)),
            path => Self::invalid(
                StatusCode::NOT_FOUND,
                format!("there is no {path}; try /geo/nearest?lat=&lon=, /echo or /_lab/stats"),
            ),
        })
    }

    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }

    /// Does the work.
    pub(super) fn done(self) -> (StatusCode, Bytes) {
        match self {
            Self::Echo(json) => (StatusCode::OK, json),
            Self::Invalid { status, error } => (status, error_json(&error)),
            Self::Nearest(position) => match Airports::all().nearest_other(position) {
                Some(nearest) => (StatusCode::OK, json(&nearest)),
                None => (StatusCode::NOT_FOUND, error_json("there is no airport elsewhere")),
            },
        }
    }

    fn invalid(status: StatusCode, error: String) -> Self {
        Self::Invalid { status, error }
    }
}

/// The whole body, or what to answer if it is too long; none if it never ended.
pub(super) async fn read_body(body: Incoming) -> Option<Result<Bytes, Work>> {
    if body.is_end_stream() {
        return Some(Ok(Bytes::new()));
    }
    match Limited::new(body, REQUEST_BODY_BYTES_MAX).collect().await {
        Ok(whole) => Some(Ok(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Some(Err(Work::invalid(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {REQUEST_BODY_BYTES_MAX} bytes"),
        ))),
        Err(_) => None,
    }
}

fn nearest(parts: &Parts) -> Work {
    if parts.method != Method::GET && parts.method != Method::POST {
        let error = format!("{} is not allowed here; use GET or POST", parts.method);
        return Work::invalid(StatusCode::METHOD_NOT_ALLOWED, error);
    }
    match position(parts.uri.query().unwrap_or_default()) {
        Ok(position) => Work::Nearest(position),
        Err(error) => Work::invalid(StatusCode::BAD_REQUEST, error),
    }
}

fn position(query: &str) -> Result<Position, String> {
    let degrees = |name: &str| {
        let text = query_value(query, name).ok_or_else(|| format!("`{name}` is missing"))?;
        text.parse::<f64>().map_err(|_| format!("`{name}` is `{text}`, which is not a number"))
    };
    let (lat, lon) = (degrees("lat")?, degrees("lon")?);
    Position::new(lat, lon).ok_or_else(|| {
        format!("lat={lat}, lon={lon} is not on Earth; lat is in -90..90 and lon in -180..180")
    })
}

#[derive(Serialize)]
struct Echo<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: BTreeMap<&'a str, String>,
    body: &'a str,
}

fn echo(parts: &Parts, body: &[u8]) -> Bytes {
    json(&Echo {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: readable(&parts.headers),
        body: &String::from_utf8_lossy(body),
    })
}

/// Headers as text; values that are repeated are joined by a comma, as HTTP allows.
fn readable(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut readable: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        readable
            .entry(name.as_str())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    readable
}

/// JSON of what always has a JSON form: structs of text and finite numbers.
pub(super) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
