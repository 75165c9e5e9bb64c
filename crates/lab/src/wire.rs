//! Between a simulated vendor that answers in its own words and whoever called it: what comes back, and what becomes of
//! it on the way.

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::FaultKind;
use crate::hints::Headers;
use crate::vendor::{Answer, Reply};

/// A request to a vendor.
#[derive(Clone, Debug)]
pub struct VendorRequest {
    /// The method.
    pub method: Method,
    /// The path, without a query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl VendorRequest {
    /// A POST with these headers. A header that cannot be sent is left out.
    #[must_use]
    pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: headers_of(headers),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    /// As it came in.
    pub(crate) fn of(parts: &Parts, body: Bytes) -> Self {
        let path = parts.uri.path().to_owned();
        Self { method: parts.method.clone(), path, headers: parts.headers.clone(), body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// These headers, but for those that cannot be sent.
pub(crate) fn headers_of(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    headers.iter().filter_map(header).collect()
}

/// What comes back from a vendor.
#[derive(Clone, Debug, PartialEq)]
pub enum VendorAnswer {
    /// An answer.
    Reply {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: HeaderMap,
        /// Its body; empty with 204.
        body: Bytes,
    },
    /// The connection breaks without a whole answer.
    Dropped,
}

/// What becomes of a call on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is answered, or the connection ends in order without an answer.
    Answer(VendorAnswer),
    /// The answer breaks off half way.
    Truncated(VendorAnswer),
    /// The answer is longer than anybody should read.
    Huge(VendorAnswer),
    /// The connection is reset.
    Reset,
    /// No answer ever comes.
    Hang,
}

/// A simulated vendor that reads requests and writes answers by itself; the server is one door for all of them.
pub(crate) trait Site: Send + Sync + 'static {
    /// What it looks at of a request.
    type Request: Send;

    /// Reads a request.
    fn request(parts: &Parts, body: Bytes) -> Self::Request;

    /// Whether calls take no time at all, so that nobody can give up on one half way.
    fn is_instant(&self) -> bool;

    /// Takes a request there and brings back what becomes of it; a hang is an outcome, at the moment from which on nothing
    /// happens any more.
    fn process(&self, request: Self::Request) -> impl Future<Output = Outcome> + Send;
}

/// An answer before the headers that tell of limits are on it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Told {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string().into() }
    }

    pub(crate) fn text(status: u16, body: &'static str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// What a proxy in between answers.
    pub(crate) fn proxy_page(status: u16) -> Self {
        let body =
            "<!doctype html><title>Error</title><h1>Error</h1><p>The server did not answer.</p>";
        Self { status, content_type: "text/html", body: body.into() }
    }

    /// The answer with these headers.
    pub(crate) fn with(self, told: Headers) -> VendorAnswer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in told {
            // Names are lowercase constants, values digits, dates, durations and limits: every one is valid.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        VendorAnswer::Reply { status: self.status, headers, body: self.body }
    }
}

impl Outcome {
    /// What becomes of a call that passed a vendor's edge: `done` where it is answered as asked, and what `words` says of
    /// a fault, or of a refusal by the limits as the fault that looks like it.
    pub(crate) fn of(answer: Answer, done: Told, words: impl Fn(FaultKind) -> Told) -> Self {
        let Answer { reply, headers, .. } = answer;
        match reply {
            Reply::Accepted => Self::Answer(done.with(headers)),
            Reply::Refused(_) => Self::Answer(words(FaultKind::TooMany).with(headers)),
            Reply::Fault(FaultKind::Reset) => Self::Reset,
            Reply::Fault(FaultKind::Drop) => Self::Answer(VendorAnswer::Dropped),
            Reply::Fault(FaultKind::Hang) => Self::Hang,
            Reply::Fault(FaultKind::Truncated) => Self::Truncated(done.with(headers)),
            Reply::Fault(FaultKind::Huge) => Self::Huge(done.with(headers)),
            Reply::Fault(FaultKind::NotJson) => Self::Answer(Told::proxy_page(200).with(headers)),
            Reply::Fault(kind) => Self::Answer(words(kind).with(headers)),
        }
    }

    /// What a caller has of it in the end: of an answer that breaks off or is too long, nothing. For ever, if none comes.
    pub(crate) async fn answer(self) -> VendorAnswer {
        match self {
            Self::Answer(answer) => answer,
            Self::Truncated(_) | Self::Huge(_) | Self::Reset => VendorAnswer::Dropped,
            Self::Hang => std::future::pending().await,
        }
    }
}

impl VendorAnswer {
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

    /// The body as text; empty if it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Reply { body, .. } => std::str::from_utf8(body).unwrap_or_default(),
            Self::Dropped => "",
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

/// The token of `Authorization: Bearer`. The scheme's name has no case.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
