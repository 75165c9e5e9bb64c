//! The lab's Slack and its receiver of webhooks as providers: what we send, judged by who knows nothing of us.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_clock::Clock;
use paceline_engine::{CallError, CallEvents, Provider, Reply, Request};
use paceline_governor::Transport;
use paceline_lab::{SlackRequest, SlackVendor, VendorAnswer, WebhookReceiver, WebhookRequest};

/// One of them, as a process meets it; the clock is for calls that are given up.
pub(crate) struct Line<V> {
    pub(crate) vendor: Arc<V>,
    pub(crate) clock: Clock,
}

#[async_trait]
impl Provider for Line<SlackVendor> {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let path = request.url.path().to_owned();
        let headers: HeaderMap = request.headers.into_iter().collect();
        let body = request.body.unwrap_or_default();
        events.sent();
        let asked = SlackRequest { method: request.method, path, headers, body };
        answered(self.vendor.handle(asked), &self.clock, request.timeout, events).await
    }
}

#[async_trait]
impl Provider for Line<WebhookReceiver> {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let headers: HeaderMap = request.headers.into_iter().collect();
        let body = request.body.unwrap_or_default();
        events.sent();
        let asked = WebhookRequest { method: request.method, headers, body };
        answered(self.vendor.handle(asked), &self.clock, request.timeout, events).await
    }
}

async fn answered(
    answer: impl Future<Output = VendorAnswer>,
    clock: &Clock,
    timeout: Duration,
    events: &mut dyn CallEvents,
) -> Result<Reply, CallError> {
    let answer = tokio::select! {
        answer = answer => answer,
        () = clock.sleep(timeout) => {
            let message = "no answer in time".to_owned();
            return Err(CallError::Transport { kind: Transport::Timeout, message });
        }
    };
    match answer {
        VendorAnswer::Reply { status, headers, body } => {
            events.head(status, &headers);
            Ok(Reply { status, headers, body })
        }
        VendorAnswer::Dropped => {
            let message = "the connection broke".to_owned();
            Err(CallError::Transport { kind: Transport::Broken, message })
        }
    }
}
