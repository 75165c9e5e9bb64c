//! The judge's own endpoints under `/_lab`: never governed, never delayed.

use hyper::body::{Body, Incoming};
use hyper::{Method, Request, Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::json;
use super::reply::{error_json, json_response};
use crate::query::query_value;
use crate::{FaultLaw, Vendor};

/// Where the judge's own endpoints are.
pub(super) const PREFIX: &str = "/_lab/";

/// Answers a request to an endpoint under [`PREFIX`]; a request body means nothing here.
pub(super) fn respond(vendor: &Vendor, request: &Request<Incoming>) -> Response<ReplyBody> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/_lab/stats") => (StatusCode::OK, json(&vendor.stats())),
        (&Method::POST, "/_lab/reset") => {
            vendor.reset();
            (StatusCode::OK, json(&vendor.stats()))
        }
        (&Method::POST, "/_lab/fault") => match set_faults(vendor, request) {
            Ok(law) => (StatusCode::OK, json(&serde_json::json!({ "law": law.to_string() }))),
            Err(error) => (StatusCode::BAD_REQUEST, error_json(&error)),
        },
        (_, "/_lab/stats" | "/_lab/reset" | "/_lab/fault") => (
            StatusCode::METHOD_NOT_ALLOWED,
            error_json("GET /_lab/stats, POST /_lab/reset, POST /_lab/fault?law=LAW"),
        ),
        (_, path) => (StatusCode::NOT_FOUND, error_json(&format!("there is no {path}"))),
    };
    let mut response = json_response(status, ReplyBody::Whole(body));
    if !request.body().is_end_stream() {
        // The body is not read, so nothing can follow it on this connection.
        let close = hyper::header::HeaderValue::from_static("close");
        response.headers_mut().insert(hyper::header::CONNECTION, close);
    }
    response
}

fn set_faults(vendor: &Vendor, request: &Request<Incoming>) -> Result<FaultLaw, String> {
    let query = request.uri().query().unwrap_or_default();
    let law = query_value(query, "law").ok_or("`law` is missing; `none` heals the vendor")?;
    let law: FaultLaw = law.parse().map_err(|error| format!("{error}"))?;
    vendor.set_faults(law.clone());
    Ok(law)
}
