//! What is on record: who did what, and who was not let in.

use paceline_model::EntryQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::iso;
use crate::App;
use crate::app::RUNS_DEFAULT;
use crate::auth::audit::{DONE, REFUSED};
use crate::envelope::{Hint, Outcome};
use crate::error::Result;

/// The names of the logs.
pub(crate) const LOGS: [&str; 2] = ["done", "refused"];

#[derive(Debug, Deserialize)]
pub(crate) struct ListAudit {
    log: Option<String>,
    key: Option<i64>,
    before: Option<i64>,
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditLine {
    id: i64,
    at: Option<String>,
    /// `key`, `name`, `face`, `address`, `operation`, `target`, `status` and, of an error, its `code`.
    event: Json,
}

pub(crate) async fn list(app: App, input: ListAudit) -> Result<Outcome<Vec<AuditLine>>> {
    // What a caller has done is there when the caller asks.
    app.access.audit.written().await;
    let log = if input.log.as_deref() == Some(LOGS[1]) { REFUSED } else { DONE };
    let limit = input.limit.unwrap_or(RUNS_DEFAULT);
    let max = usize::try_from(limit).unwrap_or(usize::MAX);
    let query = EntryQuery { subject: input.key, before: input.before, max };
    let entries = app.engine.store().entries(log, query).await?;
    let last = entries.last().filter(|_| entries.len() == max).map(|entry| entry.sequence);
    let lines = entries.into_iter().map(|entry| AuditLine {
        id: entry.sequence,
        at: iso(entry.at),
        event: entry.body,
    });
    let mut outcome = Outcome::new(lines.collect());
    if let Some(before) = last {
        let mut hint = Hint::new("list_audit", "the lines before these")
            .with("before", before)
            .with("limit", limit);
        for (name, value) in
            [("log", input.log.map(Json::from)), ("key", input.key.map(Json::from))]
        {
            if let Some(value) = value {
                hint = hint.with(name, value);
            }
        }
        outcome = outcome.meta("before", before).hint(hint);
    }
    Ok(outcome)
}
