//! A request to a simulated vendor of language models, and what comes back.

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::Value;

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
#[derive(Clone, Debug, PartialEq)]
pub enum AiAnswer {
    /// An answer.
    Reply {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
    /// The connection breaks without an answer.
    Dropped,
}

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

impl AiAnswer {
    /// The status; none if the connection breaks.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Reply { status, .. } => Some(*status),
            Self::Dropped => None,
        }
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Reply { body, .. } => serde_json::from_slice(body).unwrap_or_default(),
            Self::Dropped => Value::Null,
        }
    }

    /// A header's value, by its lowercase name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Reply { headers, .. } => headers.get(name)?.to_str().ok(),
            Self::Dropped => None,
        }
    }
}
