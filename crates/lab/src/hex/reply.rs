//! Answers of the simulated Hex: JSON, and errors in each of the shapes that Hex is known for.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::HexAnswer;
use super::config::HexErrors;
use crate::hints::Headers;
use crate::wire::Outcome;

/// Where the trace id stands in the head.
const TRACE_ID: &str = "x-trace-id";

const PROXY_PAGE: &str = "<!doctype html><html><head><title>Bad gateway</title></head>\
    <body><h1>Error</h1><p>The server returned an invalid or incomplete response.</p></body></html>";

/// An answer that comes, before its common headers are on it.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    body: Bytes,
    headers: Headers,
}

/// An error of Hex's own, in whichever shape.
#[derive(Clone, Debug)]
pub(super) struct Error {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) issues: Vec<String>,
    /// The body of the older shape, where it has one of its own for this.
    pub(super) old_body: Option<Box<Value>>,
}

impl Error {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), issues: Vec::new(), old_body: None }
    }

    fn code(&self) -> &'static str {
        match self.status {
            400 => "BAD_REQUEST",
            401 => "UNAUTHORIZED",
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            409 => "CONFLICT",
            422 => "UNPROCESSABLE_CONTENT",
            429 => "TOO_MANY_REQUESTS",
            503 => "SERVICE_UNAVAILABLE",
            _ => "INTERNAL_SERVER_ERROR",
        }
    }

    /// The answer in the shape that `errors` asks for; `is_old` is what the documents say of this operation.
    pub(super) fn reply(self, errors: HexErrors, is_old: bool, trace_id: &str) -> Reply {
        match (errors, is_old) {
            (HexErrors::Html, _) => Reply::proxy_page(self.status),
            (HexErrors::New, _) | (HexErrors::Documented, false) => {
                let mut body = json!({ "code": self.code(), "message": self.message });
                if !self.issues.is_empty() {
                    let issue = |issue: &String| json!({ "message": issue });
                    body["issues"] = self.issues.iter().map(issue).collect();
                }
                Reply::json(self.status, &body)
            }
            (HexErrors::Old, _) | (HexErrors::Documented, true) => {
                let plain = json!({ "reason": self.message });
                let mut body = self.old_body.map_or(plain, |body| *body);
                if !self.issues.is_empty() && body.get("reason").is_some() {
                    body["details"] = json!(self.issues.join("; "));
                }
                body["traceId"] = json!(trace_id);
                Reply::json(self.status, &body)
            }
        }
    }
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { status, content_type: Some("application/json"), body, headers: Headers::new() }
    }

    pub(super) fn text(status: u16, body: &'static str) -> Self {
        let content_type = Some("text/plain; charset=utf-8");
        Self {
            status,
            content_type,
            body: Bytes::from_static(body.as_bytes()),
            headers: Headers::new(),
        }
    }

    /// What a proxy in between answers.
    pub(super) fn proxy_page(status: u16) -> Self {
        let body = Bytes::from_static(PROXY_PAGE.as_bytes());
        Self { status, content_type: Some("text/html"), body, headers: Headers::new() }
    }

    pub(super) fn no_content() -> Self {
        Self { status: 204, content_type: None, body: Bytes::new(), headers: Headers::new() }
    }

    /// Adds headers, but none a second time.
    pub(super) fn with(mut self, headers: Headers) -> Self {
        for (name, value) in headers {
            if self.headers.iter().all(|(known, _)| *known != name) {
                self.headers.push((name, value));
            }
        }
        self
    }

    pub(super) fn finish(self, trace_id: &str) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers.into_iter().chain([(TRACE_ID, trace_id.to_owned())]) {
            // Digits, dates and limits: every value is valid.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Outcome::Answer(HexAnswer::Reply { status: self.status, headers, body: self.body })
    }
}
