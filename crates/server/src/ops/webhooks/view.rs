//! Webhooks and their deliveries as people and programs see them.

use paceline_model::{Entry, Table};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::super::iso;
use crate::hooks::Kept;
use crate::sources::{self, Micros, shown_headers};

/// A webhook as people and programs see it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct WebhookView {
    pub(super) id: i64,
    name: String,
    table: String,
    /// `incoming` or `outgoing`.
    direction: &'static str,
    enabled: bool,
    /// `active`, `failing` or `disabled`.
    status: &'static str,
    /// Why it was disabled, if no person did it.
    reason: Option<String>,
    field_mapping: Json,
    /// Of an incoming one: where to send to.
    path: Option<String>,
    /// Of an incoming one: rows that it has brought.
    rows: Option<u64>,
    target_url: Option<String>,
    trigger_on: Option<&'static str>,
    trigger_column: Option<String>,
    trigger_filter: Option<Json>,
    /// Names only; what stands in them is not shown.
    headers: Option<Json>,
    batch: Option<bool>,
    /// Deliveries that arrived.
    delivered: Option<u64>,
    /// Deliveries that were given up.
    failed: Option<u64>,
    /// Rows that wait to be delivered.
    waiting: Option<u64>,
    /// When the delivery under way is tried again.
    next_attempt_at: Option<String>,
    last_delivery: Option<String>,
    last_error: Option<String>,
    /// The secret of an incoming one, or the key of an outgoing one's signatures. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookView {
    /// With a secret that was just made, if one was.
    pub(super) fn with(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
    }
}

/// One try of a delivery.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeliveryView {
    /// The place in the log.
    sequence: i64,
    at: Option<String>,
    /// The id of the delivery, which stays over its tries.
    delivery: Json,
    /// `delivered`, `retrying`, `failed` (given up), `skipped` (its rows were deleted) or `test`.
    status: Json,
    attempt: Json,
    rows: Json,
    http_status: Json,
    error: Json,
    next_attempt_at: Option<String>,
}

impl From<Entry> for DeliveryView {
    fn from(entry: Entry) -> Self {
        let mut body = entry.body;
        let mut take = |name: &str| body.get_mut(name).map(Json::take).unwrap_or_default();
        let next: Option<Micros> =
            serde_json::from_value(take("next_attempt_at")).unwrap_or_default();
        Self {
            sequence: entry.sequence,
            at: iso(entry.at),
            delivery: take("delivery"),
            status: take("status"),
            attempt: take("attempt"),
            rows: take("rows"),
            http_status: take("http_status"),
            error: take("error"),
            next_attempt_at: next.and_then(|at| iso(at.at())),
        }
    }
}

pub(super) fn view(kept: &Kept, table: &Table) -> WebhookView {
    let (hook, state) = (&kept.asked, &kept.state);
    let status = match (hook.enabled, &state.failing_since) {
        (false, _) => "disabled",
        (true, Some(_)) => "failing",
        (true, None) => "active",
    };
    let column = table.columns.iter().find(|column| Some(column.id.0) == hook.column);
    let under_way = state.delivery.as_ref();
    WebhookView {
        id: kept.item.id,
        name: kept.item.name.clone(),
        table: table.name.clone(),
        direction: "outgoing",
        enabled: hook.enabled,
        status,
        reason: hook.reason.clone(),
        field_mapping: hook.field_mapping.shown(table),
        target_url: Some(hook.url.clone()),
        trigger_on: Some(hook.trigger.as_str()),
        trigger_column: column.map(|column| column.name.clone()),
        trigger_filter: hook.filter.clone(),
        headers: Some(shown_headers(&hook.headers)),
        batch: Some(hook.batch),
        delivered: Some(state.delivered),
        failed: Some(state.failed),
        waiting: Some(state.queue.len() + under_way.map_or(0, |delivery| delivery.rows.len())),
        next_attempt_at: under_way.and_then(|delivery| iso(delivery.due.at())),
        last_delivery: state.last_delivery.and_then(|at| iso(at.at())),
        last_error: state.last_error.clone(),
        ..WebhookView::default()
    }
}

pub(super) fn incoming_view(kept: &sources::Kept, table: &Table) -> WebhookView {
    WebhookView {
        id: kept.item.id,
        name: kept.item.name.clone(),
        table: table.name.clone(),
        direction: "incoming",
        enabled: kept.asked.enabled,
        status: if kept.asked.enabled { "active" } else { "disabled" },
        field_mapping: kept.mapping().map_or(Json::Null, |mapping| mapping.shown(table)),
        path: Some(format!("/hooks/{}", kept.item.id)),
        rows: Some(kept.state.rows),
        last_delivery: kept.state.last_run.and_then(|at| iso(at.at())),
        last_error: kept.state.last_error.clone(),
        ..WebhookView::default()
    }
}
