//! The engine's HTTP client as the wire of an integration.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_hex::{Wire, WireError, WireEvents, WireReply, WireRequest};

use super::memory::Counter;
use crate::{CallError, CallEvents, ConnectHook, Provider, Request};

/// Makes the calls of an integration with the provider of its column, guard and all.
pub(crate) struct ProviderWire {
    pub(crate) provider: Arc<dyn Provider>,
    /// What is told of each call before it leaves.
    pub(crate) counter: Option<Counter>,
}

#[async_trait]
impl Wire for ProviderWire {
    async fn call(
        &self,
        request: WireRequest,
        events: &mut dyn WireEvents,
    ) -> Result<WireReply, WireError> {
        let names = request.headers.iter();
        let headers = names.map(|(name, value)| (name.clone(), value.clone())).collect();
        let request = Request {
            method: request.method,
            url: request.url,
            headers,
            body: request.body,
            timeout: request.timeout,
            reply_bytes_max: request.reply_bytes_max,
        };
        if let Some(counter) = &self.counter {
            counter.leaves().await;
        }
        match self.provider.call(request, &mut Told(events)).await {
            Ok(reply) => {
                Ok(WireReply { status: reply.status, headers: reply.headers, body: reply.body })
            }
            Err(CallError::Transport { kind, message }) => {
                Err(WireError::Transport { kind, message })
            }
            Err(CallError::TooLong { status, bytes_max }) => {
                Err(WireError::TooLong { status, bytes_max })
            }
        }
    }
}

/// The one's events as the other's.
struct Told<'a>(&'a mut dyn WireEvents);

impl CallEvents for Told<'_> {
    fn sent(&mut self) {
        self.0.sent();
    }

    fn head(&mut self, status: u16, headers: &HeaderMap) {
        self.0.head(status, headers);
    }

    fn on_connect(&self) -> ConnectHook {
        self.0.on_connect()
    }
}
