//! A call to the receiver of webhooks.

use hyper::body::Bytes;
use hyper::{HeaderMap, Method};

use crate::wire::headers_of;

/// What names a call, the first that is there: columns send the first, the platform's outgoing webhooks the second.
const KEYS: [&str; 2] = ["idempotency-key", "x-paceline-delivery"];
/// A call to the receiver.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// The method.
    pub method: Method,
    /// The headers: signature, key and event are in them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl WebhookRequest {
    /// A POST with these headers. A header that cannot be sent is left out.
    #[must_use]
    pub fn post(headers: &[(&str, &str)], body: &str) -> Self {
        Self {
            method: Method::POST,
            headers: headers_of(headers),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What names the call.
    pub(super) fn key(&self) -> Option<&str> {
        KEYS.iter().find_map(|name| self.header(name))
    }
}
