//! The HTTP proxy (spec P3): one call to another service, through the guard, and what came back.
//!
//! A reply is read up to 1 MiB and its JSON is parsed before anything is cut (hypertab.md a9, hole 12), so that `extract`
//! sees all of it. What is handed on is at most `limits.proxy_reply_bytes_max`: `json` whole or not at all, and in its place
//! `body`, the beginning of the text, with `truncated`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use paceline_engine::{FetchReply, FetchRequest};
use paceline_model::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use serde_json_path::JsonPath;

use crate::App;
use crate::envelope::Outcome;
use crate::error::{ApiError, Result};

/// The methods that are taken.
pub(crate) const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

#[derive(Debug, Deserialize)]
pub(crate) struct HttpRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Map<String, Json>,
    body: Option<Json>,
    timeout: Option<u64>,
    timeout_ms: Option<u64>,
    extract: Option<String>,
    follow_redirects: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HttpAnswer {
    status: u16,
    /// Where it came from, after redirects.
    url: String,
    headers: Map<String, Json>,
    /// The JSON of the reply, or what `extract` found in it; null if it is none or too long.
    json: Json,
    /// The text of the reply where `json` is null.
    body: Option<String>,
    /// Whether what is handed on is the beginning only.
    truncated: bool,
    /// Bytes of the reply that were read.
    bytes: usize,
    duration_ms: u64,
    /// Why there is no `json` though one was asked for.
    problem: Option<String>,
}

pub(crate) async fn request(app: App, input: HttpRequest) -> Result<Outcome<HttpAnswer>> {
    let limits = app.config.limits;
    let extract = input.extract.as_deref().map(path).transpose()?;
    let timeout = timeout(&input, limits.proxy_timeout_max)?;
    let mut headers = headers(input.headers)?;
    let body = input.body.map(|body| match body {
        Json::String(text) => Bytes::from(text),
        json => {
            if !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE) {
                headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
            }
            Bytes::from(json.to_string())
        }
    });
    let request = FetchRequest {
        // One of `METHODS`.
        method: input.method.parse().unwrap_or(Method::GET),
        headers,
        body,
        timeout,
        reply_bytes_max: limits::RESPONSE_BODY_BYTES_MAX,
        redirects_max: if input.follow_redirects == Some(false) {
            0
        } else {
            limits::REDIRECTS_MAX
        },
        ..FetchRequest::get(input.url)
    };
    let reply = app.engine.fetch(request).await?;
    Ok(Outcome::new(answer(reply, extract.as_ref(), limits.proxy_reply_bytes_max)))
}

fn path(text: &str) -> Result<JsonPath> {
    JsonPath::parse(text).map_err(|error| {
        ApiError::field(
            "extract",
            format!("is not a JSONPath ({error}); write one as $.items[0].name"),
        )
    })
}

fn timeout(input: &HttpRequest, max: Duration) -> Result<Duration> {
    let (field, timeout) = match (input.timeout, input.timeout_ms) {
        (None, None) => ("timeout", limits::CALL_TIMEOUT_DEFAULT.min(max)),
        (Some(seconds), None) => ("timeout", Duration::from_secs(seconds)),
        (None, Some(millis)) => ("timeout_ms", Duration::from_millis(millis)),
        (Some(_), Some(_)) => {
            return Err(ApiError::field(
                "timeout_ms",
                "says the same as timeout; give one of them",
            ));
        }
    };
    if timeout > max {
        let problem =
            format!("{} ms is over the limit of {} ms", timeout.as_millis(), max.as_millis());
        return Err(ApiError::field(field, problem));
    }
    Ok(timeout)
}

fn headers(given: Map<String, Json>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, value): (String, Json)| {
        let field = || format!("headers.{}", name.chars().take(60).collect::<String>());
        let Json::String(text) = &value else {
            return Err(ApiError::field(field(), "is not text"));
        };
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let parsed = parsed.map_err(|_| ApiError::field(field(), "is not a header's name"))?;
        // What the value is stays out of the message: it may be a secret.
        let value = HeaderValue::from_str(text)
            .map_err(|_| ApiError::field(field(), "has a value that a header cannot carry"))?;
        Ok((parsed, value))
    };
    given.into_iter().map(header).collect()
}

fn answer(reply: FetchReply, extract: Option<&JsonPath>, bytes_max: usize) -> HttpAnswer {
    let FetchReply { status, headers, body, truncated, url, took } = reply;
    let mut shown = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        shown.insert(name.to_string(), values.join(", ").into());
    }
    let whole = if truncated { None } else { serde_json::from_slice::<Json>(&body).ok() };
    let is_json = whole.is_some();
    let found = match (whole, extract) {
        (Some(json), Some(path)) => found(&json, path),
        (json, _) => json,
    };
    let problem = extract.filter(|_| found.is_none()).map(|path| match (is_json, truncated) {
        (true, _) => format!("the reply has nothing at {path}"),
        (false, true) => {
            format!("the reply is longer than {} bytes, and its beginning is not JSON", body.len())
        }
        (false, false) => "the reply is not JSON".to_owned(),
    });
    let text = found.as_ref().map(Json::to_string);
    let fits = text.as_ref().is_some_and(|text| text.len() <= bytes_max);
    let text = text.map_or_else(|| String::from_utf8_lossy(&body), Into::into);
    let cut = text.len() > bytes_max;
    HttpAnswer {
        status,
        url: url.into(),
        headers: shown,
        json: found.filter(|_| fits).unwrap_or(Json::Null),
        body: (!fits).then(|| text[..text.floor_char_boundary(bytes_max)].to_owned()),
        truncated: truncated || cut,
        bytes: body.len(),
        duration_ms: took.as_millis().try_into().unwrap_or(u64::MAX),
        problem,
    }
}

/// What is at `path`: one value as it is, several as a list.
fn found(json: &Json, path: &JsonPath) -> Option<Json> {
    match path.query(json).all().as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        many => Some(many.iter().map(|json| (*json).clone()).collect()),
    }
}
