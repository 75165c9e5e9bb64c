//! From the vendor's answer to an HTTP response, or to the end of the connection.

use std::fmt;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::ReplyBody;
use super::endpoint::{Work, json};
use crate::{Answer, FaultKind, Reply};

/// The connection ends instead of replying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a reset.
    Reset,
    /// In order, as far as the other side can tell.
    Closed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "the fault law resets this connection",
            Self::Closed => "this connection ends without a reply",
        })
    }
}

impl std::error::Error for Ended {}

/// The response to a call, once the vendor has let it go.
pub(super) async fn respond(answer: Answer, work: Work) -> Result<Response<ReplyBody>, Ended> {
    let response = match answer.reply {
        Reply::Accepted => {
            let (status, body) = work.done();
            json_response(status, ReplyBody::Whole(body))
        }
        Reply::Refused(_) => {
            let body = error_json("too many requests");
            json_response(StatusCode::TOO_MANY_REQUESTS, ReplyBody::Whole(body))
        }
        Reply::Fault(kind) => fault_response(kind, work).await?,
    };
    Ok(with_headers(response, answer.headers))
}

async fn fault_response(kind: FaultKind, work: Work) -> Result<Response<ReplyBody>, Ended> {
    match kind {
        FaultKind::Reset => Err(Ended::Reset),
        FaultKind::Drop => Err(Ended::Closed),
        // Until the caller gives up or the lab shuts down.
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Truncated => {
            let (status, body) = work.done();
            Ok(json_response(status, ReplyBody::truncated(body)))
        }
        FaultKind::Huge => {
            let (status, body) = work.done();
            Ok(json_response(status, ReplyBody::huge(body)))
        }
        FaultKind::NotJson => {
            let page = "<!doctype html><title>Welcome</title><p>This is not the API.</p>";
            let mut response = Response::new(ReplyBody::Whole(page.into()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Ok(response)
        }
        FaultKind::TooMany
        | FaultKind::TooManyAfter
        | FaultKind::TooManyDate
        | FaultKind::Internal
        | FaultKind::BadGateway
        | FaultKind::Unavailable
        | FaultKind::UnavailableAfter
        | FaultKind::Unauthorized
        | FaultKind::BadRequest => {
            let status = kind.status().and_then(|status| StatusCode::from_u16(status).ok());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let error = format!("the lab's fault law says {}", kind.name());
            Ok(json_response(status, ReplyBody::Whole(error_json(&error))))
        }
    }
}

pub(super) fn json_response(status: StatusCode, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn error_json(error: &str) -> Bytes {
    json(&serde_json::json!({ "error": error }))
}

fn with_headers(
    mut response: Response<ReplyBody>,
    headers: Vec<(&'static str, String)>,
) -> Response<ReplyBody> {
    for (name, value) in headers {
        // Names are lowercase constants and values are digits, dates and limits, so both are valid.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
