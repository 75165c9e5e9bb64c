//! The simulated Hex on the wire: from an HTTP request to a call, and from its outcome to a response or the end of the
//! connection.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::{REQUEST_BODY_BYTES_MAX, read_body};
use super::reply::{Ended, error_json, json_response};
use super::server::{Place, Served, to_the_end};
pub(super) use crate::hex::PREFIX;
use crate::hex::{HexAnswer, HexRequest, Outcome};

/// Answers a request under [`PREFIX`].
pub(super) async fn answer(
    parts: &Parts,
    body: Incoming,
    served: Served,
    place: Place,
) -> Result<Response<ReplyBody>, Ended> {
    let Ok(body) = read_body(body).await.ok_or(Ended::Closed)? else {
        let error = error_json(&format!("the body is longer than {REQUEST_BODY_BYTES_MAX} bytes"));
        return Ok(json_response(StatusCode::PAYLOAD_TOO_LARGE, ReplyBody::Whole(error)));
    };
    let request = HexRequest {
        method: parts.method.clone(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        bearer: bearer(parts),
        headers: parts.headers.clone(),
        body,
    };
    let hex = Arc::clone(&served.hex);
    let outcome = if hex.is_instant() {
        hex.process(request).await
    } else {
        to_the_end(async move { hex.process(request).await }, served, place).await?
    };
    match outcome {
        Outcome::Answer(HexAnswer::Reply { status, headers, body }) => {
            let mut response = Response::new(ReplyBody::Whole(body));
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            *response.headers_mut() = headers;
            Ok(response)
        }
        Outcome::Answer(HexAnswer::Dropped) => Err(Ended::Closed),
        // Until the caller gives up or the lab shuts down.
        Outcome::Hang => std::future::pending().await,
    }
}

/// The token of `Authorization: Bearer`. The scheme's name has no case.
fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
