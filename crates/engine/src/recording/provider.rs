//! Makes calls through another provider and records them.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use paceline_clock::Tick;
use paceline_model::RowId;

use super::format::{Call, Content, Failure, Head, Outcome};
use super::veil::{HIDDEN, Veil};
use super::{Recorder, request_key};
use crate::secret::{MASK, is_secret_header};
use crate::task::{Secrets, masked_address};
use crate::{CallError, CallEvents, ConnectHook, Provider, Reply, Request};

/// Bytes of a request's body that are kept for people; the rest is in its hash.
const BODY_SHOWN_BYTES: usize = 16 * 1024;

/// See the module.
struct Recording {
    inner: Arc<dyn Provider>,
    recorder: Arc<Recorder>,
    source: Option<String>,
    secret_path: bool,
}

impl Recorder {
    /// `inner`, and what it does is recorded if there is a recorder.
    pub(crate) fn watch(
        recorder: Option<&Arc<Self>>,
        inner: Arc<dyn Provider>,
        source: Option<&str>,
        secret_path: bool,
    ) -> Arc<dyn Provider> {
        let Some(recorder) = recorder else { return inner };
        let (recorder, source) = (Arc::clone(recorder), source.map(str::to_owned));
        Arc::new(Recording { inner, recorder, source, secret_path })
    }
}

#[async_trait]
impl Provider for Recording {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let Some((row, attempt)) = events.cell() else {
            return self.inner.call(request, events).await;
        };
        let veil = self.veil(row, &request);
        let mut call = self.begun(row, attempt, &request, &veil);
        let began = self.recorder.clock().now();
        let mut seen = Seen { events, recorder: &self.recorder, began, sent: false, head: None };
        let result = self.inner.call(request, &mut seen).await;
        let Seen { sent, head, .. } = seen;
        call.sent = sent;
        call.head = head.map(|head| Head { headers: veiled(head.headers, &veil), ..head });
        call.took_us = self.since(began);
        call.outcome = outcome(&result, &veil);
        self.recorder.call(call);
        result
    }
}

impl Recording {
    /// What is hidden in this call.
    fn veil(&self, row: RowId, request: &Request) -> Veil {
        let mut veil = self.recorder.veil_of(row);
        for secret in Secrets::of(request, self.secret_path).iter() {
            veil.hide(secret, HIDDEN);
        }
        veil
    }

    fn begun(&self, row: RowId, attempt: u32, request: &Request, veil: &Veil) -> Call {
        let headers = request.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let body = request.body.as_deref().and_then(|body| std::str::from_utf8(body).ok());
        Call {
            row,
            attempt,
            source: self.source.clone(),
            at_us: self.recorder.clock().wall().as_micros(),
            method: request.method.to_string(),
            url: veil.text(&masked_address(request, self.secret_path)),
            headers: veiled(headers.collect(), veil),
            body: body.map(|body| veil.text(body).chars().take(BODY_SHOWN_BYTES).collect()),
            body_bytes: request.body.as_ref().map_or(0, bytes::Bytes::len),
            key: request_key(request, self.secret_path, |text| veil.text(text)),
            sent: false,
            head: None,
            outcome: Outcome::TooLong(0),
            took_us: 0,
        }
    }

    fn since(&self, began: Tick) -> u64 {
        micros(self.recorder.clock().now().since(began))
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Headers without secrets. Those that count tokens are called like secrets and are none.
fn veiled(headers: Vec<(String, String)>, veil: &Veil) -> Vec<(String, String)> {
    let shown = |(name, value): (String, String)| {
        let counts = name.contains("ratelimit") || name.contains("rate-limit");
        let value =
            if is_secret_header(&name) && !counts { MASK.to_owned() } else { veil.text(&value) };
        (name, value)
    };
    headers.into_iter().map(shown).collect()
}

fn outcome(result: &Result<Reply, CallError>, veil: &Veil) -> Outcome {
    match result {
        Ok(reply) => Outcome::Body(match std::str::from_utf8(&reply.body) {
            Ok(text) => Content::Text(veil.text(text)),
            Err(_) => Content::Base64(STANDARD.encode(veil.bytes(&reply.body))),
        }),
        Err(CallError::TooLong { bytes_max, .. }) => Outcome::TooLong(*bytes_max),
        Err(CallError::Transport { kind, message }) => {
            Outcome::Failed(Failure { kind: *kind, message: veil.text(message) })
        }
        Err(error @ CallError::NotRecorded(_)) => Outcome::Failed(Failure {
            kind: paceline_governor::Transport::Connect,
            message: error.to_string(),
        }),
    }
}

/// What a call tells, seen on its way.
struct Seen<'a> {
    events: &'a mut dyn CallEvents,
    recorder: &'a Recorder,
    began: Tick,
    sent: bool,
    head: Option<Head>,
}

impl CallEvents for Seen<'_> {
    fn sent(&mut self) {
        self.sent = true;
        self.events.sent();
    }

    fn head(&mut self, status: u16, headers: &HeaderMap) {
        let after_us = micros(self.recorder.clock().now().since(self.began));
        self.events.head(status, headers);
        let headers = headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        self.head = Some(Head { after_us, status, headers: headers.collect() });
    }

    fn on_connect(&self) -> ConnectHook {
        self.events.on_connect()
    }

    fn cell(&self) -> Option<(RowId, u32)> {
        self.events.cell()
    }
}
