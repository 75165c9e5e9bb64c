//! Asking an API for records, by the clock or when somebody wants it now. Pages are asked for one after the other, never two
//! at once; ticks that were missed while the server was down are made up for by one run, not by as many.

mod page;

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{ColumnId, Table, Upserted, Value, limits};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::kept::{Kept, Micros, Pull, Source, SourceKind};
use super::mapping::{Bound, Way};
use super::schedule::Schedule;
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::kept;
use page::{fetch, read};

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
    let Some(mut kept) = kept::load::<Source>(app, id).await? else { return Ok(None) };
    let SourceKind::ApiPull(pull) = &kept.asked.kind else { return Ok(None) };
    let schedule = pull.schedule.as_deref().and_then(|text| Schedule::parse(text).ok());
    let Some(schedule) = schedule.filter(|_| kept.asked.enabled) else { return Ok(None) };
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
    let mut kept = kept::load::<Source>(app, id).await?.ok_or_else(gone)?;
    run(app, &mut kept).await
}

async fn run(app: &App, kept: &mut Kept) -> Result<Pulled> {
    let SourceKind::ApiPull(pull) = kept.asked.kind.clone() else {
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
        let page = match fetch(app, kept.asked.state, pull, &url).await {
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
    let rows_max = app.config.limits.insert_rows_max;
    while !rows.is_empty() {
        let later = rows.split_off(rows.len().min(rows_max));
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
