//! What makes the calls: one trait, the real HTTP client behind it, and whatever a test puts in its place.

mod body;
mod http;
mod resolve;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use async_trait::async_trait;
use bytes::Bytes;
use paceline_clock::Clock;
use paceline_governor::Transport;
use paceline_model::RowId;
use url::Url;

use self::http::HttpProvider;
pub use self::resolve::NameResolver;
use self::resolve::SystemResolver;
use crate::OutboundGuard;

/// One call to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address, checked by the guard.
    pub url: Url,
    /// Headers, secrets opened.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Option<Bytes>,
    /// From sending to the end of the reply.
    pub timeout: Duration,
    /// A longer reply is an error.
    pub reply_bytes_max: usize,
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// Whether it says that it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.header(header::CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"))
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// No whole reply came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection failed, broke or took too long.
    #[error("{message}")]
    Transport {
        /// In which way.
        kind: Transport,
        /// What happened, without the URL.
        message: String,
    },
    /// The reply is longer than allowed; what came of it was dropped.
    #[error(
        "the reply (HTTP {status}) is longer than {bytes_max} bytes; extract less from the vendor, or page"
    )]
    TooLong {
        /// Its status.
        status: u16,
        /// The limit.
        bytes_max: usize,
    },
    /// Nothing was sent: in a replay, the recording has no answer to this request (any more).
    #[error("{0}")]
    NotRecorded(String),
}

/// What a provider tells while it makes a call; the budget's stamp hangs on it.
pub trait CallEvents: Send {
    /// The first byte leaves now.
    fn sent(&mut self);
    /// The response's head is here, with this status and these headers. Say so before its body is read.
    fn head(&mut self, status: u16, headers: &HeaderMap);
    /// What is to be called if a connection has to be made for this call; see [`ConnectHook`].
    fn on_connect(&self) -> ConnectHook;
    /// The row of the cell that the call is for, and which attempt it is, from 1; none for calls that are for no cell.
    fn cell(&self) -> Option<(RowId, u32)> {
        None
    }
}

/// Told `false` when a connection has to be made for a call, and `true` when it is there.
pub type ConnectHook = Arc<dyn Fn(bool) + Send + Sync>;

/// Makes calls. Shared by all calls of one column.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Makes one call. Never more than one: no retry and no redirect, for each would be a call that no permit was
    /// given for.
    async fn call(&self, request: Request, events: &mut dyn CallEvents)
    -> Result<Reply, CallError>;

    /// As [`Provider::call`], but of a longer reply the beginning is kept; also answers whether it was cut.
    async fn call_and_cut(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<(Reply, bool), CallError> {
        let bytes_max = request.reply_bytes_max;
        let whole = Request { reply_bytes_max: usize::MAX, ..request };
        let mut reply = self.call(whole, events).await?;
        let cut = reply.body.len() > bytes_max;
        reply.body.truncate(bytes_max);
        Ok((reply, cut))
    }
}

/// What gets told how long connections take to make.
pub(crate) type NetworkObserver = Arc<dyn Fn(Duration) + Send + Sync>;

/// How the provider of a column is made.
#[derive(Clone)]
pub enum ProviderFactory {
    /// Real HTTP.
    Http,
    /// Real HTTP, with names looked up by this: tests of what a name may lead to.
    HttpWith(Arc<dyn NameResolver>),
    /// This one for every column: tests and simulations.
    Fixed(Arc<dyn Provider>),
}

/// The HTTP client that columns use, for a caller that is none: it makes one call at a time as told, and only to addresses
/// that the guard allows.
///
/// # Errors
/// If TLS cannot be set up.
pub fn http_provider(guard: &OutboundGuard, clock: &Clock) -> crate::Result<Arc<dyn Provider>> {
    ProviderFactory::Http.make(guard, clock, None)
}

impl ProviderFactory {
    pub(crate) fn make(
        &self,
        guard: &OutboundGuard,
        clock: &Clock,
        observer: Option<NetworkObserver>,
    ) -> crate::Result<Arc<dyn Provider>> {
        let names: Arc<dyn NameResolver> = match self {
            Self::Http => Arc::new(SystemResolver),
            Self::HttpWith(names) => Arc::clone(names),
            Self::Fixed(provider) => return Ok(Arc::clone(provider)),
        };
        Ok(Arc::new(HttpProvider::new(guard, &names, clock.clone(), observer)?))
    }
}

impl fmt::Debug for ProviderFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "Http",
            Self::HttpWith(_) => "HttpWith(..)",
            Self::Fixed(_) => "Fixed(..)",
        })
    }
}
