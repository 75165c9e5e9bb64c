//! The door of the vendors that answer by themselves: from a request on a connection to a call, and from what becomes of
//! it to a response or the end of the connection.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::{REQUEST_BODY_BYTES_MAX, read_body};
use super::reply::{Ended, error_json, json_response};
use super::server::{Place, Served, to_the_end};
use crate::VendorAnswer;
use crate::wire::{Outcome, Site};

/// Takes a request to a vendor and brings its answer.
pub(super) async fn answer<V: Site>(
    vendor: Arc<V>,
    parts: &Parts,
    body: Incoming,
    served: Served,
    place: Place,
) -> Result<Response<ReplyBody>, Ended> {
    let Ok(body) = read_body(body).await.ok_or(Ended::Closed)? else {
        let error = error_json(&format!("the body is longer than {REQUEST_BODY_BYTES_MAX} bytes"));
        return Ok(json_response(StatusCode::PAYLOAD_TOO_LARGE, ReplyBody::Whole(error)));
    };
    let request = V::request(parts, body);
    let outcome = if vendor.is_instant() {
        vendor.process(request).await
    } else {
        to_the_end(async move { vendor.process(request).await }, served, place).await?
    };
    match outcome {
        Outcome::Answer(answer) => response(answer, ReplyBody::Whole),
        Outcome::Truncated(answer) => response(answer, ReplyBody::truncated),
        Outcome::Huge(answer) => response(answer, ReplyBody::huge),
        Outcome::Reset => Err(Ended::Reset),
        // Until the caller gives up or the lab shuts down.
        Outcome::Hang => std::future::pending().await,
    }
}

fn response(
    answer: VendorAnswer,
    sent: impl FnOnce(hyper::body::Bytes) -> ReplyBody,
) -> Result<Response<ReplyBody>, Ended> {
    let VendorAnswer::Reply { status, headers, body } = answer else {
        return Err(Ended::Closed);
    };
    let mut response = Response::new(sent(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    Ok(response)
}
