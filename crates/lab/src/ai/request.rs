//! A request to a simulated vendor of language models, and what comes back.

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

use crate::wire::VendorAnswer;

/// A request.
#[derive(Clone, Debug)]
pub struct AiRequest {
    /// The method.
    pub method: Method,
    /// The path, without a query.
    pub path: String,
    /// The headers; the key is in them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What comes back.
pub type AiAnswer = VendorAnswer;

impl AiRequest {
    /// A POST with these headers. A header that cannot be sent is left out.
    #[must_use]
    pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let header = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        };
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: headers.iter().filter_map(header).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
