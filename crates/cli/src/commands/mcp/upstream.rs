//! A running server, as `paceline mcp` reaches it: one POST per message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use paceline_clock::Clock;
use paceline_engine::{CallEvents, ConnectHook, OutboundGuard, Provider, Request, http_provider};
use paceline_server::McpUpstream;
use serde_json::Value as Json;
use url::Url;

use crate::exit::{Failure, usage};

/// A little longer than the server takes for the longest call, so that its own word about it is heard.
const TIMEOUT: Duration = Duration::from_secs(90);
/// A reply over MCP is far shorter.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The revision that is spoken towards the server, whichever the client speaks.
const REVISION: &str = "2025-11-25";

/// See the module.
pub(super) struct Upstream {
    provider: Arc<dyn Provider>,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers hold the key.
        f.debug_struct("Upstream").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Upstream {
    /// The server at `url`, which may end in `/mcp` or not.
    pub(super) fn new(
        url: &str,
        key: &str,
        toolsets: &str,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        // Whoever names the address on their own machine may well mean that machine.
        let guard = OutboundGuard::private(true);
        let wrong = |error: String| usage(format!("the server's address: {error}"));
        let mut url = guard.check_url(url).map_err(|error| wrong(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "leave user and password out; the API key is what counts".to_owned(),
            ));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/mcp").unwrap_or(path).to_owned();
        url.set_path(&format!("{path}/mcp"));
        if !toolsets.is_empty() {
            url.query_pairs_mut().append_pair("toolsets", toolsets);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| usage("the API key holds signs that a header cannot carry"))?;
        bearer.set_sensitive(true);
        let headers = vec![
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("application/json, text/event-stream")),
            (HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(REVISION)),
        ];
        let provider = http_provider(&guard, clock)?;
        Ok(Self { provider, url, headers })
    }

    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

#[async_trait]
impl McpUpstream for Upstream {
    async fn post(&self, message: Bytes) -> Result<Bytes, String> {
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Some(message),
            timeout: TIMEOUT,
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        let reply = self.provider.call(request, &mut Unwatched).await.map_err(|error| {
            let origin = self.origin();
            format!("cannot reach the server at {origin}: {error}; is `paceline serve` running?")
        })?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.body);
        }
        let told: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |field: &str| told["error"][field].as_str().unwrap_or_default().to_owned();
        Err(format!(
            "the server at {} answers HTTP {}: {}; {}",
            self.origin(),
            reply.status,
            text("message"),
            text("fix")
        ))
    }
}

/// Nobody watches these calls.
struct Unwatched;

impl CallEvents for Unwatched {
    fn sent(&mut self) {}

    fn head(&mut self, _: u16, _: &HeaderMap) {}

    fn on_connect(&self) -> ConnectHook {
        Arc::new(|_| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_mcp_and_keys_are_not_shown() {
        paceline_engine::install_tls();
        let cases = [
            ("http://127.0.0.1:7223", "", "http://127.0.0.1:7223/mcp"),
            ("http://127.0.0.1:7223/", "", "http://127.0.0.1:7223/mcp"),
            ("https://tables.example/mcp/", "", "https://tables.example/mcp"),
            ("https://h.example/a", "runs,all", "https://h.example/a/mcp?toolsets=runs%2Call"),
        ];
        for (given, toolsets, wanted) in cases {
            let upstream = Upstream::new(given, "hidden", toolsets, &Clock::system()).unwrap();
            assert_eq!(upstream.url.as_str(), wanted);
            assert!(!format!("{upstream:?}").contains("hidden"));
        }
        for (url, key) in [
            ("ftp://x/", "k"),
            ("nowhere", "k"),
            ("http://u:hidden@x/", "k"),
            ("http://x/", "hid\nden"),
        ] {
            let failure = Upstream::new(url, key, "", &Clock::system()).unwrap_err();
            assert!(!failure.to_string().contains("hid"), "{failure}");
        }
    }
}
