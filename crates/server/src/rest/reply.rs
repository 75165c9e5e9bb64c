//! From an envelope to a response: status, and the headers that programs look at.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::catalog::Sent;
use crate::envelope;
use crate::error::{ApiError, Code};

/// What really happened, on its way to the log; see `layers::frame`.
#[derive(Clone, Debug)]
pub(crate) struct Internal(pub(crate) String);

/// The response for an envelope.
pub(crate) fn answered(status: StatusCode, envelope: Bytes) -> Response {
    let mut response = Response::new(Body::from(envelope));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Rows are nobody's to keep, and a browser must not guess that they are a page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The response for what an operation sent.
pub(super) fn sent(sent: Sent) -> Response {
    match sent {
        Sent::Whole(envelope) => answered(StatusCode::OK, envelope),
        Sent::Stream(stream) => {
            // An error in the body cuts the connection: the caller sees that something is missing.
            let body = stream.body.map_err(|error| std::io::Error::other(error.0.message));
            let mut response = answered(StatusCode::OK, Bytes::new());
            *response.body_mut() = Body::from_stream(body);
            let content_type = HeaderValue::from_static(stream.content_type);
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response
        }
    }
}

/// The response for an error.
pub(crate) fn refused(error: &ApiError) -> Response {
    let fault = &error.0;
    let status =
        StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answered(status, envelope::failure(error));
    if fault.code == Code::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait_ms) = fault.retry_after_ms {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
    }
    if let Some(internal) = &fault.internal {
        response.extensions_mut().insert(Internal(internal.clone()));
    }
    response
}
