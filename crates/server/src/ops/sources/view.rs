//! Sources as people and programs see them.

use paceline_model::{ColumnId, Table};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::super::iso;
use crate::App;
use crate::error::Result;
use crate::sources::{Kept, SourceKind, shown_headers};

/// A source as people and programs see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SourceView {
    id: i64,
    name: String,
    table: String,
    #[serde(rename = "type")]
    kind: &'static str,
    enabled: bool,
    /// `active`, `failing` or `disabled`.
    status: &'static str,
    /// Without its secrets.
    config: Json,
    /// Rows that it has brought.
    rows: u64,
    /// Records that it could not use.
    rejected: u64,
    last_run: Option<String>,
    next_run: Option<String>,
    last_error: Option<String>,
    /// Of a webhook: where to send to.
    path: Option<String>,
    /// Of a webhook: what to send in the header `X-Webhook-Secret`. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl SourceView {
    /// With a secret that was just made, if one was.
    pub(super) fn with(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
    }
}

pub(super) async fn view(app: &App, kept: &Kept, table: &Table) -> Result<SourceView> {
    let (source, state) = (&kept.asked, &kept.state);
    let status = match (source.enabled, &state.last_error) {
        (false, _) => "disabled",
        (true, Some(_)) => "failing",
        (true, None) => "active",
    };
    let path = kept.is_webhook().then(|| format!("/hooks/{}", kept.item.id));
    Ok(SourceView {
        id: kept.item.id,
        name: kept.item.name.clone(),
        table: table.name.clone(),
        kind: source.kind.name(),
        enabled: source.enabled,
        status,
        config: config(app, &source.kind, table).await?,
        rows: state.rows,
        rejected: state.rejected,
        last_run: state.last_run.and_then(|at| iso(at.at())),
        next_run: state.next_run.filter(|_| source.enabled).and_then(|at| iso(at.at())),
        last_error: state.last_error.clone(),
        path,
        secret: None,
    })
}

/// What was asked for, without secrets.
async fn config(app: &App, kind: &SourceKind, table: &Table) -> Result<Json> {
    Ok(match kind {
        SourceKind::Webhook { field_mapping, .. } => {
            json!({"field_mapping": field_mapping.shown(table)})
        }
        SourceKind::ApiPull(pull) => {
            let names = pull.upsert_by.iter().filter_map(|id| {
                let column = table.columns.iter().find(|column| column.id == ColumnId(*id));
                column.map(|column| column.name.as_str())
            });
            let fields = json!({
                "url": pull.url,
                "method": pull.method,
                "headers": shown_headers(&pull.headers),
                "body": pull.body,
                "records_path": pull.records_path,
                "next_path": pull.next_path,
                "field_mapping": pull.field_mapping.shown(table),
                "upsert_by": names.collect::<Vec<_>>(),
                "schedule": pull.schedule,
                "timeout_ms": pull.timeout_ms,
            });
            given(fields)
        }
        SourceKind::ConnectedTable { source_table, filter, field_mapping } => {
            let other = app.engine.store().table(&source_table.to_string()).await?;
            given(json!({
                "source_table": other.map(|table| table.name),
                "filter": filter,
                "field_mapping": field_mapping.shown(table),
            }))
        }
        SourceKind::CsvImport { job } => json!({"job": job}),
        SourceKind::Manual => json!({}),
    })
}

/// The fields that have a value.
fn given(fields: Json) -> Json {
    match fields {
        Json::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
