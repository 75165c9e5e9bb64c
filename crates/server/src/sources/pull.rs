//! Asking an API for records, by the clock or when somebody wants it now. Pages are asked for one after the other, never two
//! at once; ticks that were missed while the server was down are made up for by one run, not by as many.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use paceline_clock::Timestamp;
use paceline_engine::{FetchReply, FetchRequest};
use paceline_model::{ColumnId, Table, Upserted, Value, limits};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use serde_json_path::JsonPath;
use url::Url;

use super::kept::{Kept, Micros, Pull, SourceKind};
use super::mapping::{Bound, Way};
use super::schedule::Schedule;
use super::{opened_headers, place_of};
use crate::App;
use crate::error::{ApiError, Code, Result};

/// Between one page and the next: nobody's limit is known here, so it is a gentle one.
const PAGE_PAUSE: Duration = Duration::from_millis(500);
/// Refusals of records that are told.
const REFUSALS_TOLD_MAX: usize = 3;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Pulled {
    /// Pages that were fetched.
    pub(crate) pages: u32,
    /// Records in them.
    pub(crate) records: u64,
    /// Rows that were inserted.
    pub(crate) inserted: u64,
    /// Rows that were there and were updated.
    pub(crate) updated: u64,
    /// Records that the table does not take.
    pub(crate) rejected: u64,
    /// What went wrong; pages before it are in the table.
    pub(crate) error: Option<String>,
}

/// Runs a source that is due; answers when it is due again.
pub(super) async fn tick(app: &App, id: i64) -> Result<Option<Timestamp>> {
    let turn = app.sources.turn(id);
    let _turn = turn.lock().await;
    let Some(mut kept) = super::load(app, id).await? else { return Ok(None) };
    let SourceKind::ApiPull(pull) = &kept.source.kind else { return Ok(None) };
    let schedule = pull.schedule.as_deref().and_then(|text| Schedule::parse(text).ok());
    let Some(schedule) = schedule.filter(|_| kept.source.enabled) else { return Ok(None) };
    let now = app.clock.wall();
    match kept.state.next_run.map(Micros::at) {
        Some(due) if due <= now => {
            run(app, &mut kept).await?;
            let next = schedule.after(app.clock.wall());
            kept.state.next_run = next.map(Micros::from);
            kept.save(app).await?;
            Ok(next)
        }
        // A schedule that was changed may come sooner than what was written down, so that is asked for, too.
        written => {
            let next = schedule.after(now);
            if next.map(Micros::from) != kept.state.next_run {
                kept.state.next_run = next.map(Micros::from);
                kept.save(app).await?;
            }
            Ok(next.or(written))
        }
    }
}

/// Runs a source now, whatever its schedule.
pub(crate) async fn pull_now(app: &App, id: i64) -> Result<Pulled> {
    let turn = app.sources.turn(id);
    let _turn = turn.lock().await;
    let gone = || ApiError::new(Code::NotFound, "the source was deleted a moment ago");
    let mut kept = super::load(app, id).await?.ok_or_else(gone)?;
    run(app, &mut kept).await
}

async fn run(app: &App, kept: &mut Kept) -> Result<Pulled> {
    let SourceKind::ApiPull(pull) = kept.source.kind.clone() else {
        return Ok(Pulled::default());
    };
    let mut pulled = Pulled::default();
    kept.state.last_run = Some(app.clock.wall().into());
    if let Err(problem) = pages(app, kept, &pull, &mut pulled).await? {
        pulled.error = Some(problem);
    }
    kept.state.last_error.clone_from(&pulled.error);
    kept.save(app).await?;
    Ok(pulled)
}

/// The outer error is ours, the inner one is told to whoever looks at the source.
async fn pages(
    app: &App,
    kept: &mut Kept,
    pull: &Pull,
    pulled: &mut Pulled,
) -> Result<std::result::Result<(), String>> {
    let table = app.engine.store().table(&kept.table().to_string()).await?;
    let Some(table) = table else { return Ok(Err("its table was deleted".to_owned())) };
    let bound = match pull.field_mapping.bind(&table, Way::In) {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error.0.message)),
    };
    let mut refusals = Vec::new();
    let mut url = pull.url.clone();
    loop {
        let page = match fetch(app, kept.source.state, pull, &url).await {
            Ok(reply) => read(pull, &reply),
            Err(problem) => Err(problem),
        };
        let page = match page {
            Ok(page) => page,
            Err(problem) => return Ok(Err(format!("page {}: {problem}", pulled.pages + 1))),
        };
        pulled.pages += 1;
        let before = pulled.rejected;
        let rows = rows(&bound, page.records, pulled, &mut refusals);
        kept.state.rejected += pulled.rejected - before;
        if let Err(error) = feed(app, kept, &table, (&bound, pull), rows, pulled).await {
            return Ok(Err(format!("page {}: {}", pulled.pages, error.0.message)));
        }
        let next = match page.next {
            Ok(next) => next,
            Err(problem) => return Ok(Err(format!("page {}: {problem}", pulled.pages))),
        };
        match next {
            Some(_) if pulled.pages >= limits::SOURCE_PAGES_MAX => {
                let most = limits::SOURCE_PAGES_MAX;
                return Ok(Err(format!("there are more than {most} pages; ask for larger ones")));
            }
            Some(next) => url = next,
            None => break,
        }
        app.clock.sleep(PAGE_PAUSE).await;
    }
    if refusals.is_empty() {
        return Ok(Ok(()));
    }
    let told = refusals.join("; ");
    Ok(Err(format!("{} records do not fit the table: {told}", pulled.rejected)))
}

async fn fetch(
    app: &App,
    state: i64,
    pull: &Pull,
    url: &str,
) -> std::result::Result<FetchReply, String> {
    let mut headers = opened_headers(app, &pull.headers, &place_of(super::KIND, state, &pull.url))?;
    let body = pull.body.as_ref().map(|body| match body {
        Json::String(text) => text.clone(),
        json => json.to_string(),
    });
    if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    }
    let request = FetchRequest {
        method: Method::from_bytes(pull.method.as_bytes()).unwrap_or(Method::GET),
        headers,
        body: body.map(Bytes::from),
        timeout: Duration::from_millis(pull.timeout_ms),
        reply_bytes_max: limits::SOURCE_PAGE_BYTES_MAX,
        ..FetchRequest::get(url)
    };
    let reply = app.engine.fetch(request).await.map_err(|error| error.to_string())?;
    if !(200..300).contains(&reply.status) {
        return Err(format!("it was answered with status {}", reply.status));
    }
    if reply.truncated {
        let most = limits::SOURCE_PAGE_BYTES_MAX;
        return Err(format!("the answer is longer than {most} bytes; ask for smaller pages"));
    }
    Ok(reply)
}

struct Page {
    records: Vec<Json>,
    /// Where the next one is. What is wrong with that does not touch the records of this one.
    next: std::result::Result<Option<String>, String>,
}

fn read(pull: &Pull, reply: &FetchReply) -> std::result::Result<Page, String> {
    let json: Json = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("the answer is not JSON: {error}"))?;
    let next = match &pull.next_path {
        None => Ok(None),
        Some(path) => next_url(&json, path, &reply.url),
    };
    let records = match &pull.records_path {
        None => as_records(vec![&json]),
        Some(path) => {
            let found = find(&json, path)?;
            if found.is_empty() && !is_empty_list(&json, path) {
                return Err(format!("the answer has nothing at {path}"));
            }
            as_records(found)
        }
    };
    Ok(Page { records, next })
}

fn find<'j>(json: &'j Json, path: &str) -> std::result::Result<Vec<&'j Json>, String> {
    Ok(JsonPath::parse(path).map_err(|error| error.to_string())?.query(json).all())
}

/// Whether a path that finds nothing asks for the items of a list that has none: the last page of some APIs.
fn is_empty_list(json: &Json, path: &str) -> bool {
    let list = path.strip_suffix("[*]").and_then(|list| find(json, list).ok());
    list.is_some_and(|found| matches!(found.as_slice(), [Json::Array(items)] if items.is_empty()))
}

/// A path that finds one list means its items.
fn as_records(found: Vec<&Json>) -> Vec<Json> {
    match found.as_slice() {
        [Json::Array(items)] => items.clone(),
        found => found.iter().map(|json| (*json).clone()).collect(),
    }
}

/// Where the next page is: on the same host, because the headers of this source are for it alone.
fn next_url(json: &Json, path: &str, here: &Url) -> std::result::Result<Option<String>, String> {
    let found = find(json, path)?;
    let text = match found.as_slice() {
        [] | [Json::Null] => return Ok(None),
        [Json::String(text)] if text.is_empty() => return Ok(None),
        [Json::String(text)] => text,
        _ => return Err(format!("what stands at {path} is not one address")),
    };
    let next = here.join(text).map_err(|_| format!("what stands at {path} is not an address"))?;
    if next.origin() != here.origin() {
        return Err(
            "the next page is on another host, which does not get this source's headers".to_owned()
        );
    }
    if next == *here {
        return Err("the next page is the page itself".to_owned());
    }
    Ok(Some(next.into()))
}

fn rows(
    bound: &Bound,
    records: Vec<Json>,
    pulled: &mut Pulled,
    refusals: &mut Vec<String>,
) -> Vec<Vec<Value>> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        pulled.records += 1;
        let found = if record.is_object() {
            bound.row(&record, &format!("record {}: ", pulled.records)).map_err(|faults| {
                faults
                    .into_iter()
                    .next()
                    .map_or_else(String::new, |fault| format!("{}: {}", fault.field, fault.problem))
            })
        } else {
            Err(format!("record {} is not an object", pulled.records))
        };
        match found {
            Ok(row) => rows.push(row),
            Err(refusal) => {
                pulled.rejected += 1;
                if refusals.len() < REFUSALS_TOLD_MAX {
                    refusals.push(refusal);
                }
            }
        }
    }
    rows
}

async fn feed(
    app: &App,
    kept: &mut Kept,
    table: &Table,
    (bound, pull): (&Bound, &Pull),
    mut rows: Vec<Vec<Value>>,
    pulled: &mut Pulled,
) -> Result<()> {
    let key: Vec<ColumnId> = pull.upsert_by.iter().copied().map(ColumnId).collect();
    while !rows.is_empty() {
        let later = rows.split_off(rows.len().min(limits::INSERT_ROWS_MAX));
        let before = kept.state.rows;
        kept.state.rows += rows.len() as u64;
        let notes = vec![kept.note()];
        let fed = app.engine.store().feed_rows(table.id, &key, &bound.ids(), rows, notes).await;
        if fed.is_err() {
            kept.state.rows = before;
        }
        let fed = fed?;
        kept.saved();
        pulled.inserted += count(&fed);
        pulled.updated += fed.updated;
        rows = later;
    }
    Ok(())
}

fn count(fed: &Upserted) -> u64 {
    fed.inserted.map_or(0, |(first, last)| u64::try_from(last.0 - first.0 + 1).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_on_the_same_host_and_another_page() {
        let here: Url = "https://api.example/v1/items?page=1".parse().unwrap();
        let next = |value: Json| next_url(&json!({"next": value}), "$.next", &here);
        let second = "https://api.example/v1/items?page=2";
        assert_eq!(next(json!(second)), Ok(Some(second.to_owned())));
        assert_eq!(next(json!("?page=2")), Ok(Some(second.to_owned())));
        assert_eq!(next(json!(null)), Ok(None));
        assert_eq!(next(json!("")), Ok(None));
        assert_eq!(next_url(&json!({}), "$.next", &here), Ok(None));
        let refused =
            [json!("https://evil.example/"), json!("http://api.example/v1/items?page=2"), json!(2)];
        for value in refused.into_iter().chain([json!(here.as_str())]) {
            assert!(next(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_list_without_items_is_there_all_the_same() {
        let json = json!({"data": [], "other": 1});
        assert!(is_empty_list(&json, "$.data[*]"));
        for path in ["$.dat[*]", "$.other[*]", "$.data"] {
            assert!(!is_empty_list(&json, path), "{path}");
        }
    }

    #[test]
    fn one_list_means_its_items() {
        let (list, one) = (json!([{"a": 1}, {"a": 2}]), json!({"a": 1}));
        assert_eq!(as_records(vec![&list]).len(), 2);
        assert_eq!(as_records(vec![&one]), vec![one.clone()]);
        assert_eq!(as_records(vec![&one, &one]).len(), 2);
    }
}
