//! What is sent to us: `POST /hooks/{source}` with the source's secret, and a JSON object or a list of them.

use std::sync::Arc;

use axum::extract::{Path as UrlPath, Request, State as Part};
use axum::response::Response;
use axum::routing::{Router, post};
use http::{HeaderMap, StatusCode};
use paceline_governor::{Outcome as CallOutcome, OutcomeClass};
use paceline_model::{EntryQuery, Note, Table, Value, limits};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use subtle::ConstantTimeEq;

use super::hub::{Ids, Memory};
use super::kept::{Kept, Source, SourceKind};
use super::mapping::{Mapping, Way};
use super::spec::hash;
use crate::App;
use crate::app::FAULTS_TOLD_MAX;
use crate::envelope::{self, Outcome};
use crate::error::{ApiError, Code, Detail, Result};
use crate::kept;
use crate::rest::{Shared, answered, read_up_to, refused, wrong_method};

/// Where a sender puts the secret.
const SECRET: &str = "x-webhook-secret";
/// Where a sender puts the id of an event, by which a second sending of it is known.
const IDS: [&str; 3] = ["x-webhook-id", "idempotency-key", "webhook-id"];
const ID_BYTES_MAX: usize = 256;
/// Hex digits of the hash of an id that are kept.
const ID_DIGITS: usize = 32;

/// What became of a call.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Received {
    /// Records in the call.
    received: usize,
    /// Rows made of them.
    inserted: usize,
    /// The same event came before, and its rows are there already.
    duplicate: bool,
}

/// The route of incoming webhooks. It takes no API key: the secret of the hook is one, for this hook only.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/hooks/{source}", post(endpoint).fallback(wrong_method))
}

async fn endpoint(
    Part(shared): Part<Arc<Shared>>,
    UrlPath(source): UrlPath<String>,
    request: Request,
) -> Response {
    let (app, timeout) = (shared.app.clone(), shared.app.config.request_timeout);
    let deadline = app.clock.sleep(timeout);
    let work = async {
        let (parts, body) = request.into_parts();
        let source = authorized(&app, &source, &parts.headers).await?;
        counted(&app, source)?;
        let (bytes, held) = read_up_to(&shared, &parts, body, limits::HOOK_BODY_BYTES_MAX).await?;
        let id = event_id(&parts.headers)?;
        let app = app.clone();
        // In a task of its own: a sender that hangs up does not leave half of it done.
        let task = tokio::spawn(async move {
            let received = receive(&app, source, id, &bytes).await;
            drop(held);
            received
        });
        task.await
            .map_err(|error| ApiError::internal(format!("an incoming webhook panicked: {error}")))?
    };
    let received = tokio::select! {
        biased;
        received = work => received,
        () = deadline => {
            let message = format!("no answer within {} ms; it may still take effect", timeout.as_millis());
            Err(ApiError::new(Code::Timeout, message))
        }
    };
    let reply = received.and_then(|received| envelope::success(&Outcome::new(received)));
    match reply {
        Ok(body) => answered(StatusCode::OK, body),
        Err(error) => refused(&error.attempting(|| "receive a webhook".to_owned())),
    }
}

/// The id of the source, if the secret is its own. Whatever is wrong, the answer is the same: nobody learns which ids
/// there are.
async fn authorized(app: &App, source: &str, headers: &HeaderMap) -> Result<i64> {
    let given = headers.get(SECRET).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = source.parse().unwrap_or(0);
    let kept = kept::load::<Source>(app, id).await?;
    let wanted = match kept.as_ref().map(|kept| (&kept.asked.kind, kept.asked.enabled)) {
        Some((SourceKind::Webhook { secret_hash, .. }, true)) => secret_hash.clone(),
        // Held against something all the same, so that it takes as long.
        _ => hash(""),
    };
    let fits = bool::from(hash(given).as_bytes().ct_eq(wanted.as_bytes()));
    if fits && !given.is_empty() {
        return Ok(id);
    }
    let message = "there is no webhook at this address that is enabled and has this secret";
    let fix = format!("send the secret of the webhook in the header {SECRET}");
    Err(ApiError::new(Code::Unauthorized, message).fix(fix))
}

/// Counts a call; one too many is told when to come again.
fn counted(app: &App, source: i64) -> Result<()> {
    let budget = app.sources.calls.as_ref().and_then(|calls| calls.budget(&source).ok());
    let Some(budget) = budget else { return Ok(()) };
    match budget.try_acquire() {
        Ok(mut permit) => {
            permit.sent();
            permit.seen();
            permit.finish(&CallOutcome::of(OutcomeClass::Success));
            Ok(())
        }
        Err(refusal) => {
            let now = app.clock.now();
            let wait = refusal.until.map_or(std::time::Duration::from_secs(1), |at| at.since(now));
            let most = limits::HOOK_CALLS_PER_SECOND_MAX;
            let message = format!("this webhook takes {most} calls per second");
            Err(ApiError::new(Code::RateLimited, message).retry_after(wait))
        }
    }
}

/// The id of the event, as it is kept: its hash, which has one length and tells nobody anything.
fn event_id(headers: &HeaderMap) -> Result<Option<String>> {
    let Some((name, id)) = IDS.iter().find_map(|name| Some((*name, headers.get(*name)?))) else {
        return Ok(None);
    };
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(ApiError::field(name, format!("is not of 1 to {ID_BYTES_MAX} bytes")));
    }
    Ok(Some(blake3::hash(id.as_bytes()).to_hex()[..ID_DIGITS].to_owned()))
}

async fn receive(app: &App, source: i64, id: Option<String>, body: &[u8]) -> Result<Received> {
    let turn = app.sources.turn(source);
    let mut memory = turn.lock().await;
    let gone = || ApiError::new(Code::Conflict, "the webhook was deleted a moment ago");
    let mut kept = kept::load::<Source>(app, source).await?.ok_or_else(gone)?;
    let records = records(body, app.config.limits.insert_rows_max)?;
    if let Some(id) = &id
        && known(app, source, &mut memory).await?.knows(id)
    {
        return Ok(Received { received: records.len(), inserted: 0, duplicate: true });
    }
    let SourceKind::Webhook { field_mapping, .. } = &kept.asked.kind else {
        return Err(gone());
    };
    let table = app.engine.store().table(&kept.table().to_string()).await?.ok_or_else(gone)?;
    let (columns, rows) = rows(&table, field_mapping, &records)?;
    let inserted = rows.len();
    kept.state.rows += inserted as u64;
    (kept.state.last_run, kept.state.last_error) = (Some(app.clock.wall().into()), None);
    let mut notes = vec![kept.note()];
    if let Some(id) = &id {
        let entries = vec![(source, Json::from(id.as_str()))];
        let keep = limits::HOOK_IDS_KEPT as u64;
        notes.push(Note::Entries { log: ids_log(source), entries, keep });
    }
    app.engine.store().feed_rows(table.id, &[], &columns, rows, notes).await?;
    if let (Some(id), Some(ids)) = (id, &mut memory.ids) {
        ids.add(id);
    }
    Ok(Received { received: records.len(), inserted, duplicate: false })
}

/// The log of the ids of a source's calls.
pub(super) fn ids_log(source: i64) -> String {
    format!("hook_ids:{source}")
}

/// The ids of the calls before, read when they are first needed.
async fn known<'m>(app: &App, source: i64, memory: &'m mut Memory) -> Result<&'m Ids> {
    if memory.ids.is_none() {
        let query = EntryQuery { subject: None, before: None, max: limits::HOOK_IDS_KEPT };
        let mut ids = Ids::default();
        for entry in app.engine.store().entries(&ids_log(source), query).await?.iter().rev() {
            ids.add(entry.body.as_str().unwrap_or_default().to_owned());
        }
        memory.ids = Some(ids);
    }
    Ok(memory.ids.get_or_insert_default())
}

/// The records of a body: an object, or a list of objects.
fn records(body: &[u8], rows_max: usize) -> Result<Vec<Json>> {
    let json = serde_json::from_slice(body).map_err(|error| {
        ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}"))
    })?;
    let records = match json {
        record @ Json::Object(_) => vec![record],
        Json::Array(records) => records,
        _ => {
            let message = "the body is JSON, but neither an object nor a list of objects";
            return Err(ApiError::new(Code::InvalidJson, message));
        }
    };
    if records.len() > rows_max {
        let message =
            format!("{} records in one call; at most {rows_max} are taken", records.len());
        return Err(ApiError::new(Code::BatchTooLarge, message));
    }
    let most = limits::HOOK_FIELDS_MAX;
    for (index, record) in records.iter().enumerate() {
        let problem = match record {
            Json::Object(fields) if fields.len() > most => {
                format!("has {} fields; at most {most} are taken", fields.len())
            }
            Json::Object(_) => continue,
            _ => "is not an object".to_owned(),
        };
        return Err(ApiError::field(format!("[{index}]"), problem));
    }
    Ok(records)
}

/// The rows that records make, or everything that is wrong with them up to a limit.
fn rows(
    table: &Table,
    mapping: &Mapping,
    records: &[Json],
) -> Result<(Vec<paceline_model::ColumnId>, Vec<Vec<Value>>)> {
    let bound = mapping.bind(table, Way::In)?;
    let mut rows = Vec::with_capacity(records.len());
    let mut faults: Vec<Detail> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match bound.row(record, &format!("[{index}].")) {
            Ok(row) => rows.push(row),
            Err(found) => faults.extend(found),
        }
        if faults.len() > FAULTS_TOLD_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok((bound.ids(), rows)) } else { Err(ApiError::faults(faults)) }
}

impl Kept {
    /// Whether it is a webhook.
    pub(crate) fn is_webhook(&self) -> bool {
        matches!(self.asked.kind, SourceKind::Webhook { .. })
    }

    /// How it reads the records of a webhook.
    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        match &self.asked.kind {
            SourceKind::Webhook { field_mapping, .. } => Some(field_mapping),
            _ => None,
        }
    }

    /// Puts another secret in the place of the one it has; false if it has none.
    pub(crate) fn rotate(&mut self, secret: &str) -> bool {
        match &mut self.asked.kind {
            SourceKind::Webhook { secret_hash, .. } => {
                *secret_hash = hash(secret);
                true
            }
            _ => false,
        }
    }
}
