//! What this process counts about itself, and `/metrics` that tells it to Prometheus. Names and labels are few and known
//! beforehand: an operation, a status, a kind; never a table, a key or an address.

mod gather;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::error::ApiError;
use crate::rest::{Shared, refused};

/// Upper ends of the buckets of durations, in seconds: from a lookup to the longest time a request may take.
const DURATIONS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0];
/// The text format that Prometheus asks for.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    operation: &'static str,
}

/// The counters of one process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Of, Histogram>,
    rows: Family<Of, Counter>,
    /// WebSockets that are open.
    pub(crate) websockets: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("paceline"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            rows: Family::default(),
            websockets: Gauge::default(),
        };
        let Self { registry, requests, durations, rows, websockets } = &mut metrics;
        registry.register("requests", "Requests answered over HTTP", requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From the head of a request to its reply",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("rows_affected", "Rows that operations wrote or removed", rows.clone());
        registry.register("websockets", "WebSockets that are open", websockets.clone());
        metrics
    }

    /// A request was answered. `operation` is one of the catalogue's, or the route.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.durations.get_or_create(&Of { operation }).observe(took.as_secs_f64());
    }

    /// An operation wrote or removed rows.
    pub(crate) fn rows(&self, operation: &'static str, rows: u64) {
        self.rows.get_or_create(&Of { operation }).inc_by(rows);
    }
}

/// `/metrics`, for holders of any key.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let told = async {
        let mut text = String::new();
        let gathered = gather::gather(&shared.app).await?;
        let encode = |text: &mut String| {
            text::encode_registry(text, &shared.app.vitals.metrics.registry)?;
            text::encode_registry(text, &gathered)?;
            text::encode_eof(text)
        };
        encode(&mut text).map_err(|error| ApiError::internal(format!("metrics: {error}")))?;
        Ok::<_, ApiError>(text)
    };
    match told.await {
        Ok(text) => ([(CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => refused(&error.attempting(|| "GET /metrics".to_owned())),
    }
}
