//! The platform's own outbound calls: a request of a person, a page of a source, a webhook's delivery. One client, behind
//! the guard on every hop; no retries, and no budget but what the caller holds.

mod redirect;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use paceline_clock::Clock;
use paceline_governor::Transport;
use paceline_model::limits;
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    CallError, CallEvents, ConnectHook, Engine, OutboundError, OutboundGuard, Provider,
    ProviderFactory, Reply, Request,
};

/// What the memory for replies is counted in.
const UNIT_BYTES: usize = 64 * 1024;
/// Headers that belong to the connection and not to the caller: with them one request could pass for two.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
];

/// One call to make; what follows of redirects is part of it.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The address as it was given; the guard reads it.
    pub url: String,
    /// Headers. None that belongs to the connection.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; at most `limits::REQUEST_BODY_BYTES_MAX`.
    pub body: Option<Bytes>,
    /// From now to the end of the last reply.
    pub timeout: Duration,
    /// Of a longer reply the beginning is kept. Never more than `limits::FETCH_REPLY_BYTES_MAX`.
    pub reply_bytes_max: usize,
    /// Redirects that are followed, at most `limits::REDIRECTS_MAX`; with none a redirect is the reply.
    pub redirects_max: u8,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct FetchReply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether the body was longer.
    pub truncated: bool,
    /// Where it came from, after redirects.
    pub url: Url,
    /// From the request to the end of the reply.
    pub took: Duration,
}

/// No reply came back. No text holds the URL or a header, where a secret may stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The request cannot be sent as it is: the field, and what is wrong with it.
    #[error("{field}: {problem}")]
    Invalid {
        /// Of [`FetchRequest`].
        field: &'static str,
        /// What is accepted.
        problem: String,
    },
    /// The guard does not let it through: the address, what its name resolves to, or where a redirect leads.
    #[error("{0}")]
    Blocked(String),
    /// The host has no address.
    #[error("{0}")]
    UnknownHost(String),
    /// No connection; nothing was sent.
    #[error("{0}")]
    Connect(String),
    /// The connection broke after something was sent: the call may have had its effect.
    #[error("{0}")]
    Broken(String),
    /// No whole reply in time: the call may have had its effect.
    #[error("{0}")]
    Timeout(String),
    /// One redirect after the other.
    #[error("more than {0} redirects; call the address that they lead to")]
    Redirects(u8),
    /// Something of this machine does not work.
    #[error("{0}")]
    Internal(String),
}

impl FetchRequest {
    /// A GET of at most 1 MiB within 30 s that follows no redirect.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: limits::CALL_TIMEOUT_DEFAULT,
            reply_bytes_max: limits::RESPONSE_BODY_BYTES_MAX,
            redirects_max: 0,
        }
    }

    fn check(&self) -> Result<(), FetchError> {
        let refuse = |field, problem| Err(FetchError::Invalid { field, problem });
        let (bytes, bytes_max) = (self.url.len(), limits::URL_BYTES_MAX);
        if bytes > bytes_max {
            return refuse("url", format!("is {bytes} bytes long; at most {bytes_max} are sent"));
        }
        let bytes = self.body.as_ref().map_or(0, Bytes::len);
        let bytes_max = limits::REQUEST_BODY_BYTES_MAX;
        if bytes > bytes_max {
            return refuse("body", format!("is {bytes} bytes long; at most {bytes_max} are sent"));
        }
        let (count, max) = (self.headers.len(), limits::HEADERS_MAX);
        if count > max {
            return refuse("headers", format!("{count} are given; at most {max} are sent"));
        }
        let own = self.headers.iter().find(|(name, _)| OF_THE_CONNECTION.contains(name));
        if let Some((name, _)) = own {
            return refuse("headers", format!("{name} is set by the connection; leave it out"));
        }
        Ok(())
    }
}

impl FetchError {
    /// The code that programs act on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "VALIDATION_ERROR",
            Self::Blocked(_) => "BLOCKED_URL",
            Self::Timeout(_) => "TIMEOUT",
            Self::UnknownHost(_) | Self::Connect(_) | Self::Broken(_) | Self::Redirects(_) => {
                "UPSTREAM_ERROR"
            }
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// Whether the same call may succeed later. Where it is [`FetchError::Broken`] or [`FetchError::Timeout`], it may also
    /// have its effect twice.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Broken(_) | Self::Timeout(_))
    }
}

/// What an engine fetches with.
pub(crate) struct Fetcher {
    provider: OnceLock<Arc<dyn Provider>>,
    /// Memory for replies, in units of [`UNIT_BYTES`].
    memory: Semaphore,
}

impl Default for Fetcher {
    fn default() -> Self {
        let units = limits::FETCHES_BYTES_MAX.div_ceil(UNIT_BYTES);
        Self { provider: OnceLock::new(), memory: Semaphore::new(units) }
    }
}

impl Fetcher {
    /// The client, made when it is first needed.
    fn provider(
        &self,
        factory: &ProviderFactory,
        guard: &OutboundGuard,
        clock: &Clock,
    ) -> Result<Arc<dyn Provider>, FetchError> {
        if let Some(provider) = self.provider.get() {
            return Ok(Arc::clone(provider));
        }
        let made = factory.make(guard, clock, None);
        let made = made.map_err(|error| FetchError::Internal(error.to_string()))?;
        Ok(Arc::clone(self.provider.get_or_init(|| made)))
    }
}

impl Engine {
    /// Makes one call of the platform's own, and follows its redirects if that is asked for: through the guard every
    /// time, and with nothing but the plainest headers to another origin. A redirect that would take a body to another
    /// origin is not followed.
    ///
    /// Waits for memory for its reply, within its time-out.
    ///
    /// # Errors
    /// [`FetchError`]; nothing was sent if it is `Invalid`, `Blocked`, `UnknownHost` or `Connect`, but to those who
    /// redirected.
    pub async fn fetch(&self, request: FetchRequest) -> Result<FetchReply, FetchError> {
        request.check()?;
        let (config, clock) = self.outside();
        let fetcher = self.fetcher();
        let provider = fetcher.provider(&config.providers, &config.outbound, clock)?;
        let timeout = request.timeout;
        let work = async {
            let bytes_max = request.reply_bytes_max.min(limits::FETCH_REPLY_BYTES_MAX);
            let units = u32::try_from(bytes_max.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
            let _memory = fetcher.memory.acquire_many(units).await;
            follow(provider.as_ref(), &config.outbound, clock, request, bytes_max).await
        };
        tokio::select! {
            biased;
            reply = work => reply,
            () = clock.sleep(timeout) => {
                Err(FetchError::Timeout(format!("no whole reply within {} ms", timeout.as_millis())))
            }
        }
    }
}

async fn follow(
    provider: &dyn Provider,
    guard: &OutboundGuard,
    clock: &Clock,
    request: FetchRequest,
    reply_bytes_max: usize,
) -> Result<FetchReply, FetchError> {
    let began = clock.now();
    let redirects_max = request.redirects_max.min(limits::REDIRECTS_MAX);
    let url = guard.check_url(&request.url).map_err(refused)?;
    let FetchRequest { method, headers, body, timeout, .. } = request;
    let mut hop = Request { method, url, headers, body, timeout, reply_bytes_max };
    for _ in 0..=redirects_max {
        let (reply, truncated) =
            provider.call_and_cut(hop.clone(), &mut Silent).await.map_err(failed)?;
        let next = if redirects_max == 0 { None } else { redirect::next(&hop, &reply, guard)? };
        let Some(next) = next else {
            let Reply { status, headers, body } = reply;
            let took = clock.now() - began;
            return Ok(FetchReply { status, headers, body, truncated, url: hop.url, took });
        };
        hop = next;
    }
    Err(FetchError::Redirects(redirects_max))
}

fn refused(error: OutboundError) -> FetchError {
    match error {
        error @ OutboundError::NotAUrl(_) => {
            FetchError::Invalid { field: "url", problem: error.to_string() }
        }
        error => FetchError::Blocked(error.to_string()),
    }
}

fn failed(error: CallError) -> FetchError {
    match error {
        CallError::Transport { kind, message } => match kind {
            Transport::Blocked => FetchError::Blocked(message),
            Transport::UnknownHost => FetchError::UnknownHost(message),
            Transport::Connect => FetchError::Connect(message),
            Transport::Timeout => FetchError::Timeout(message),
            Transport::Broken => FetchError::Broken(message),
        },
        // A reply that is cut is never too long.
        error @ CallError::TooLong { .. } => FetchError::Broken(error.to_string()),
        CallError::NotRecorded(message) => FetchError::Connect(message),
    }
}

/// Nobody wants to know how a call goes.
struct Silent;

impl CallEvents for Silent {
    fn sent(&mut self) {}

    fn head(&mut self, _: u16, _: &HeaderMap) {}

    fn on_connect(&self) -> ConnectHook {
        Arc::new(|_| {})
    }
}

#[cfg(test)]
mod tests;
