//! What happens around every request: an id, a line in the log, a wall against panics, and the key.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use paceline_clock::Clock;

use crate::auth::access::{Entry, Refused, Shown};
use crate::auth::caller::{Face, Peer};
use crate::catalog::operations;
use crate::error::ApiError;
use crate::rest::{Internal, Shared, refused};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Routes beside the catalogue that are counted by name.
const ROUTES: [&str; 7] =
    ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/{file}", "/mcp", "/ws/{table}"];

/// Numbers for requests, told apart from those of an earlier process by when this one began.
#[derive(Debug)]
pub(crate) struct RequestIds {
    began_micros: i64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { began_micros: clock.wall().as_micros(), next: AtomicU64::new(1) }
    }

    /// The caller's own id if it has a harmless form, so that one id leads through several logs; else a new one.
    fn id(&self, request: &Request) -> String {
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let harmless = |id: &&str| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        given.filter(harmless).map_or_else(
            || format!("{:x}-{}", self.began_micros, self.next.fetch_add(1, Ordering::Relaxed)),
            str::to_owned,
        )
    }
}

/// The outermost layer. The log gets the route, never the query: a caller may have put a secret there.
pub(crate) async fn frame(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let id = shared.requests.id(&request);
    let method = request.method().clone();
    let counted = operation_of(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-".to_owned(), |path| path.as_str().to_owned());
    let began = shared.app.clock.now();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        refused(&ApiError::internal("a layer panicked").attempting(|| format!("{method} {route}")))
    });
    let took = shared.app.clock.now() - began;
    let took_ms = took.as_secs_f64() * 1e3;
    let status = response.status().as_u16();
    shared.app.vitals.metrics.answered(counted, status, took);
    match response.extensions_mut().remove::<Internal>() {
        Some(Internal(what)) => {
            tracing::error!(request = %id, %method, %route, status, took_ms, what, "request failed");
        }
        None => tracing::info!(request = %id, %method, %route, status, took_ms, "request"),
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// What a request is counted as: the operation, the route that is none, or nothing that is known here. Never what the
/// caller wrote: the counters are as many as there are names.
fn operation_of(request: &Request) -> &'static str {
    let Some(route) = request.extensions().get::<MatchedPath>() else { return "none" };
    let route = route.as_str();
    let method = request.method().as_str();
    let found = operations().find(|one| one.path == route && one.verb.as_str() == method);
    match found {
        Some(operation) => operation.name,
        None => ROUTES.iter().find(|known| **known == route).unwrap_or(&"none"),
    }
}

/// Lets holders of a key through, says who calls, and how the key stands with its limit. Before the body is read.
pub(crate) async fn authenticate(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let what = format!("{} {path}", request.method());
    let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let shown = match request.headers().get(AUTHORIZATION) {
        // What is not text is not of the right form either.
        Some(value) => Shown::Header(value.to_str().unwrap_or_default()),
        None => Shown::Nothing,
    };
    let (mut response, quota) =
        match shared.app.access.enter(shown, address, Face::Rest, &what).await {
            Ok(Entry { caller, quota }) => {
                request.extensions_mut().insert(caller);
                (next.run(request).await, quota)
            }
            Err(Refused { error, quota }) => (refused(&error.attempting(|| what)), quota),
        };
    if let Some(quota) = quota {
        quota.tell(&mut response);
    }
    response
}
