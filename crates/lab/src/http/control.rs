//! The judge's own endpoints under `/_lab`: never governed, never delayed.

use std::str::FromStr;

use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::json;
use super::reply::{error_json, json_response};
use super::server::Served;
use crate::query::query_value;
use crate::{AiFaultLaw, ConfigError, HexFaultLaw, WebhookReceiver};

/// Where the judge's own endpoints are.
pub(super) const PREFIX: &str = "/_lab/";

/// All of them, as they are told to who takes the wrong method.
const ENDPOINTS: [(&str, &str); 15] = [
    ("GET", "/_lab/clock"),
    ("GET", "/_lab/stats"),
    ("POST", "/_lab/reset"),
    ("POST", "/_lab/fault?law=LAW"),
    ("GET", "/_lab/hex"),
    ("POST", "/_lab/hex/fault?law=LAW"),
    ("GET", "/_lab/ai"),
    ("POST", "/_lab/ai/fault?law=LAW"),
    ("GET", "/_lab/slack"),
    ("GET", "/_lab/slack/messages"),
    ("POST", "/_lab/slack/fault?law=LAW"),
    ("GET", "/_lab/webhook"),
    ("GET", "/_lab/webhook/calls"),
    ("POST", "/_lab/webhook/fault?law=LAW"),
    ("POST", "/_lab/webhook/secret?secret=SECRET"),
];

/// Answers a request to an endpoint under [`PREFIX`]; a request body means nothing here.
pub(super) fn respond(served: &Served, request: &Request<Incoming>) -> Response<ReplyBody> {
    let path = request.uri().path();
    let told = match *request.method() {
        Method::GET => read(served, path).map(|body| (StatusCode::OK, body)),
        Method::POST => set(served, request),
        _ => None,
    };
    let (status, body) = told.unwrap_or_else(|| {
        if ENDPOINTS.iter().any(|(_, known)| known.split('?').next() == Some(path)) {
            let all: Vec<String> =
                ENDPOINTS.iter().map(|(method, path)| format!("{method} {path}")).collect();
            return (StatusCode::METHOD_NOT_ALLOWED, error_json(&all.join(", ")));
        }
        (StatusCode::NOT_FOUND, error_json(&format!("there is no {path}")))
    });
    let mut response = json_response(status, ReplyBody::Whole(body));
    if !request.body().is_end_stream() {
        // The body is not read, so nothing can follow it on this connection.
        let close = hyper::header::HeaderValue::from_static("close");
        response.headers_mut().insert(hyper::header::CONNECTION, close);
    }
    response
}

/// What the judge has seen.
fn read(served: &Served, path: &str) -> Option<Bytes> {
    let Served { vendor, hex, ai, slack, webhook, .. } = served;
    Some(match path {
        "/_lab/clock" => json(&serde_json::json!({ "now_ms": vendor.now_ms() })),
        "/_lab/stats" => json(&vendor.stats()),
        "/_lab/hex" => json(&hex.stats()),
        "/_lab/ai" => json(&ai.stats()),
        "/_lab/slack" => json(&slack.stats()),
        "/_lab/slack/messages" => json(&slack.messages()),
        "/_lab/webhook" => json(&webhook.stats()),
        "/_lab/webhook/calls" => json(&webhook.calls()),
        _ => return None,
    })
}

/// What can be changed while it runs.
fn set(served: &Served, request: &Request<Incoming>) -> Option<(StatusCode, Bytes)> {
    let Served { vendor, hex, ai, slack, webhook, .. } = served;
    let law = match request.uri().path() {
        "/_lab/fault" => set_law(request, |law| vendor.set_faults(law)),
        "/_lab/hex/fault" => set_law(request, |law: HexFaultLaw| hex.set_faults(law)),
        "/_lab/ai/fault" => set_law(request, |law: AiFaultLaw| ai.set_faults(law)),
        "/_lab/slack/fault" => set_law(request, |law| slack.set_faults(law)),
        "/_lab/webhook/fault" => set_law(request, |law| webhook.set_faults(law)),
        "/_lab/webhook/secret" => return Some(add_secret(request, webhook)),
        "/_lab/reset" => {
            vendor.reset();
            hex.reset();
            ai.reset();
            slack.reset();
            webhook.reset();
            return Some((StatusCode::OK, json(&vendor.stats())));
        }
        _ => return None,
    };
    Some(match law {
        Ok(law) => (StatusCode::OK, json(&serde_json::json!({ "law": law }))),
        Err(error) => (StatusCode::BAD_REQUEST, error_json(&error)),
    })
}

/// Puts the law of a request into force, and writes it out.
fn set_law<L>(request: &Request<Incoming>, set: impl FnOnce(L)) -> Result<String, String>
where
    L: FromStr<Err = ConfigError> + ToString,
{
    let query = request.uri().query().unwrap_or_default();
    let law = query_value(query, "law").ok_or("`law` is missing; `none` heals the vendor")?;
    let law: L = law.parse().map_err(|error| format!("{error}"))?;
    let written = law.to_string();
    set(law);
    Ok(written)
}

/// Another secret that webhooks may be signed with; the answer does not repeat it.
fn add_secret(request: &Request<Incoming>, webhook: &WebhookReceiver) -> (StatusCode, Bytes) {
    let query = request.uri().query().unwrap_or_default();
    let added = match query_value(query, "secret") {
        Some(secret) => webhook.add_secret(&secret).map_err(|error| error.to_string()),
        None => Err("`secret` is missing".to_owned()),
    };
    match added {
        Ok(()) => (StatusCode::OK, json(&serde_json::json!({ "added": true }))),
        Err(error) => (StatusCode::BAD_REQUEST, error_json(&error)),
    }
}
