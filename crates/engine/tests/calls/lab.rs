//! The lab's Slack and its receiver of webhooks as providers: what we send, judged by who knows nothing of us.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use paceline_engine::{CallError, CallEvents, Provider, Reply, Request};
use paceline_governor::Transport;
use paceline_lab::{SlackRequest, SlackVendor, VendorAnswer, WebhookReceiver, WebhookRequest};

pub(crate) struct Slack(pub(crate) Arc<SlackVendor>);
pub(crate) struct Receiver(pub(crate) Arc<WebhookReceiver>);

#[async_trait]
impl Provider for Slack {
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
        answered(self.0.handle(asked).await, events)
    }
}

#[async_trait]
impl Provider for Receiver {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let headers: HeaderMap = request.headers.into_iter().collect();
        let body = request.body.unwrap_or_default();
        events.sent();
        let asked = WebhookRequest { method: request.method, headers, body };
        answered(self.0.handle(asked).await, events)
    }
}

fn answered(answer: VendorAnswer, events: &mut dyn CallEvents) -> Result<Reply, CallError> {
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
