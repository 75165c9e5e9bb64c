//! The seam to HTTP: what this crate asks of whoever makes its calls. It has no client of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use paceline_governor::Transport;
use url::Url;

/// One call to make.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The method.
    pub method: Method,
    /// The address in full.
    pub url: Url,
    /// Headers; `authorization` is marked as sensitive.
    pub headers: HeaderMap,
    /// The body, JSON where there is one.
    pub body: Option<Bytes>,
    /// From sending to the end of the reply.
    pub timeout: Duration,
    /// A longer reply is an error.
    pub reply_bytes_max: usize,
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub struct WireReply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// No whole reply came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The connection failed, broke or took too long.
    #[error("{message}")]
    Transport {
        /// In which way: it says whether anything may have arrived.
        kind: Transport,
        /// What happened, without the URL's query and without headers.
        message: String,
    },
    /// The reply is longer than allowed; what came of it was dropped.
    #[error("the reply (HTTP {status}) is longer than {bytes_max} bytes")]
    TooLong {
        /// Its status.
        status: u16,
        /// The limit.
        bytes_max: usize,
    },
}

/// Told `false` when a connection has to be made for a call, and `true` when it is there.
pub type ConnectHook = Arc<dyn Fn(bool) + Send + Sync>;

/// What a wire tells while it makes a call; the budget's stamp hangs on it.
pub trait WireEvents: Send {
    /// The first byte leaves now.
    fn sent(&mut self);
    /// The response's head is here, with this status and these headers. Say so before its body is read.
    fn head(&mut self, status: u16, headers: &HeaderMap);
    /// What is to be called if a connection has to be made for this call.
    fn on_connect(&self) -> ConnectHook;
}

/// Makes calls. Shared by everything in a session.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Makes one call. Never more than one: no retry and no redirect, for each would be a call that no permit was given
    /// for, and a POST sent twice starts two runs.
    ///
    /// # Errors
    /// [`WireError`], whose kind has to be right: [`Transport::Connect`] promises that nothing left this machine.
    async fn call(
        &self,
        request: WireRequest,
        events: &mut dyn WireEvents,
    ) -> Result<WireReply, WireError>;
}
