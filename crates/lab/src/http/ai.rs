//! The simulated vendors of language models on the wire.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::{REQUEST_BODY_BYTES_MAX, read_body};
use super::reply::{Ended, error_json, json_response};
use super::server::{Place, Served, to_the_end};
pub(super) use crate::ai::is_ours;
use crate::ai::{AiAnswer, AiRequest, Outcome};

/// Answers a request to one of their paths.
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
    let request = AiRequest {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers.clone(),
        body,
    };
    let ai = Arc::clone(&served.ai);
    let outcome = if ai.is_instant() {
        ai.process(request).await
    } else {
        to_the_end(async move { ai.process(request).await }, served, place).await?
    };
    match outcome {
        Outcome::Answer(AiAnswer::Reply { status, headers, body }) => {
            let mut response = Response::new(ReplyBody::Whole(body));
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            *response.headers_mut() = headers;
            Ok(response)
        }
        Outcome::Answer(AiAnswer::Dropped) => Err(Ended::Closed),
        // Until the caller gives up or the lab shuts down.
        Outcome::Hang => std::future::pending().await,
    }
}
