//! MCP over HTTP: `POST /mcp` (Streamable HTTP, without sessions, JSON replies). Who may come in is settled before: the key
//! by the same layer as REST, here the headers that a page in a browser cannot help sending.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{Router, post};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::{Desk, Toolsets, Visitor};
use crate::auth::caller::Face;
use crate::catalog::Caller;
use crate::error::{ApiError, Code, Result};
use crate::rest::{self, Shared, refused};

/// The header that asks for toolsets, for clients that cannot change the address.
const TOOLSETS: &str = "x-paceline-toolsets";
/// Bytes of what the SDK says of a request that it refuses.
const REFUSAL_BYTES_MAX: usize = 4_096;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/mcp", post(serve))
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match answer(&shared, request).await {
        Ok(response) => response,
        Err(error) => refused(&error.attempting(|| "a request of MCP".to_owned())),
    }
}

async fn answer(shared: &Shared, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    check_origin(&parts)?;
    if shared.app.config.loopback_hosts_only {
        check_host(&parts)?;
    }
    let caller = parts.extensions.remove::<Caller>();
    let caller = caller.ok_or_else(|| ApiError::internal("a request of MCP without a caller"))?;
    let visitor = Visitor {
        caller: caller.via(Face::Mcp),
        toolsets: toolsets(&parts)?,
        page_rows_max: shared.app.config.limits.mcp_page_rows_max,
    };
    rest::check_type(&parts)?;
    let timeout = shared.app.config.request_timeout;
    let (bytes, held) = tokio::select! {
        biased;
        read = rest::read_body(shared, &parts, body) => read?,
        () = shared.app.clock.sleep(timeout) => {
            let message = format!("the body did not come within {} ms", timeout.as_millis());
            return Err(ApiError::new(Code::Timeout, message));
        }
    };
    // What was settled here is not asked again, and every reply is JSON, whether the client would take a stream or not.
    let headers = &mut parts.headers;
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    let desk = Desk { app: shared.app.clone(), visitor };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .enforce_origin_validation()
        .with_max_request_body_bytes(shared.app.config.body_bytes_max);
    let service = StreamableHttpService::new(
        move || Ok(desk.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let response = service.handle(Request::from_parts(parts, Body::from(bytes))).await;
    drop(held);
    in_our_words(response.map(Body::new)).await
}

/// A page in a browser sends its origin, and no page has business here: this server has none of its own that speaks MCP.
fn check_origin(parts: &Parts) -> Result<()> {
    if parts.headers.contains_key(ORIGIN) {
        let message =
            "requests of pages in a browser (with the header Origin) are not taken at /mcp";
        let fix = "call from a program, or through a server of yours";
        return Err(ApiError::new(Code::Forbidden, message).fix(fix));
    }
    Ok(())
}

/// Against names of others that lead to this machine: where only this machine can call, it calls by its own names.
fn check_host(parts: &Parts) -> Result<()> {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = header.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let authority = authority.or_else(|| parts.uri.authority().cloned());
    let host = authority.as_ref().map(|authority| authority.host()).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback {
        return Ok(());
    }
    let shown: String = bare.chars().take(80).collect();
    let message =
        format!("the header Host names {shown:?}, and this server listens on loopback only");
    let fix = "call 127.0.0.1 or localhost; a proxy in front of it sends one of these as Host";
    Err(ApiError::new(Code::Forbidden, message).fix(fix))
}

/// From `?toolsets=a,b`, or failing that from the header.
fn toolsets(parts: &Parts) -> Result<Toolsets> {
    let query = parts.uri.query().unwrap_or_default();
    let mut asked = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "toolsets" {
            let shown: String = name.chars().take(40).collect();
            return Err(ApiError::field(
                shown,
                "there is no such field here; the fields are toolsets",
            ));
        }
        asked = Some(value.into_owned());
    }
    let header = parts.headers.get(TOOLSETS).map(|value| value.to_str().unwrap_or("?").to_owned());
    let asked = asked.or(header).unwrap_or_default();
    asked.parse().map_err(|error: super::UnknownToolset| {
        let meant = error.did_you_mean.map(str::to_owned);
        ApiError::field("toolsets", error.to_string()).meant_as_said(meant)
    })
}

/// The SDK refuses with bare text what it cannot read. Everything else here comes in the envelope, so this does too.
async fn in_our_words(mut response: Response) -> Result<Response> {
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if status.is_success() || is_json {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    let said = axum::body::to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await;
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    Err(match status {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, said),
        status if status.is_server_error() => ApiError::internal(said),
        _ => ApiError::new(Code::InvalidJson, format!("this is no message of MCP: {said}"))
            .fix("send one JSON-RPC 2.0 message as MCP has it; use an MCP client"),
    })
}
