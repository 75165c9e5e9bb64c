//! Copying the rows that appear in another table, each once: what is copied and how far the copying has come are written
//! in one transaction.

use paceline_model::{Column, Note, RowId, RowQuery, Table, Value, limits};
use serde_json::{Map, Value as Json};

use super::kept::{Kept, Micros, Source, SourceKind, State};
use super::mapping::{Bound, Way};
use super::{Draft, filter_of};
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::follow::{Position, Watch};
use crate::kept;

/// Rows that are read and copied at once.
const COPIED_AT_ONCE: usize = 500;

/// Makes a connected table.
pub(crate) async fn connect(app: &App, table: &Table, name: &str, draft: &Draft) -> Result<Kept> {
    let other = draft.other_table(app).await?;
    let kind = draft.connected(table, &other)?;
    let watch = watch(&kind, &other)?;
    let position = Position::now(app, &other, &watch, !draft.include_existing()).await?;
    let state = State { position: Some(position), ..State::default() };
    super::make(app, table, name, state, |_| Ok(kind)).await
}

/// One step of copying; false if there is nothing more to do for now.
pub(super) async fn step(app: &App, id: i64) -> Result<bool> {
    let turn = app.sources.turn(id);
    let _turn = turn.lock().await;
    let Some(mut kept) = kept::load::<Source>(app, id).await? else { return Ok(false) };
    if !kept.asked.enabled {
        return Ok(false);
    }
    match copy(app, &mut kept).await {
        Ok(more) => Ok(more),
        Err(error) => {
            let told = Some(error.0.message.clone());
            // The same trouble is written down once: writing wakes whoever waits for changes.
            if kept.state.last_error != told && !error.0.retryable {
                let mut kept = kept::load::<Source>(app, id).await?.unwrap_or(kept);
                kept.state.last_error = told;
                kept.save(app).await?;
            }
            Err(error)
        }
    }
}

async fn copy(app: &App, kept: &mut Kept) -> Result<bool> {
    let SourceKind::ConnectedTable { source_table, field_mapping, .. } = &kept.asked.kind else {
        return Ok(false);
    };
    let store = app.engine.store();
    let table = store.table(&kept.table().to_string()).await?.ok_or_else(|| gone("its table"))?;
    let other = store.table(&source_table.to_string()).await?;
    let other = other.ok_or_else(|| gone("the table that it copies from"))?;
    let bound = field_mapping.bind(&table, Way::In)?;
    let watch = watch(&kept.asked.kind, &other)?;
    let mut notes = Vec::new();
    if kept.state.found.is_empty() {
        let mut position = kept.state.position.clone().unwrap_or_default();
        let step = position.step(app, &other, &watch).await?;
        if !step.moved {
            return Ok(false);
        }
        kept.state.position = Some(position);
        kept.state.found = step.rows.iter().map(|row| row.0).collect();
        notes = step.notes;
    }
    let most = kept.state.found.len().min(COPIED_AT_ONCE).min(app.config.limits.insert_rows_max);
    let found: Vec<i64> = kept.state.found.drain(..most).collect();
    let rows = read(app, &other, &bound, &found).await?;
    feed(app, kept, &table, &bound, rows, notes).await
}

async fn feed(
    app: &App,
    kept: &mut Kept,
    table: &Table,
    bound: &Bound,
    read: Vec<Json>,
    mut notes: Vec<Note>,
) -> Result<bool> {
    let (mut rows, mut rejected) = (Vec::with_capacity(read.len()), Vec::new());
    for record in &read {
        let at = format!("row {}: ", record["_ht_id"]);
        match bound.row(record, &at) {
            Ok(row) => rows.push(row),
            Err(faults) => rejected.extend(faults.into_iter().next()),
        }
    }
    let state = &mut kept.state;
    if !rows.is_empty() || !rejected.is_empty() {
        state.last_run = Some(Micros::from(app.clock.wall()));
        state.last_error =
            rejected.first().map(|fault| format!("{}: {}", fault.field, fault.problem));
    }
    state.rows += rows.len() as u64;
    state.rejected += rejected.len() as u64;
    notes.push(kept.note());
    if rows.is_empty() {
        app.engine.store().keep(notes).await?;
    } else {
        app.engine.store().feed_rows(table.id, &[], &bound.ids(), rows, notes).await?;
    }
    Ok(true)
}

/// The rows of the other table that are still there, as records of column names and values.
async fn read(app: &App, other: &Table, bound: &Bound, found: &[i64]) -> Result<Vec<Json>> {
    let wanted: Vec<&Column> =
        other.columns.iter().filter(|column| bound.reads(&column.name)).collect();
    let mut records = Vec::with_capacity(found.len());
    for row in rows_of(app, other, &wanted, found).await? {
        let named = wanted.iter().map(|column| column.name.clone());
        let mut record: Map<String, Json> = named.zip(row.1.iter().map(Value::to_json)).collect();
        record.insert("_ht_id".to_owned(), row.0.0.into());
        records.push(Json::Object(record));
    }
    Ok(records)
}

/// The values of these rows, which are ascending, without those that are gone. Neighbours are read together.
pub(crate) async fn rows_of(
    app: &App,
    table: &Table,
    columns: &[&Column],
    rows: &[i64],
) -> Result<Vec<(RowId, Vec<Value>)>> {
    let mut read = Vec::with_capacity(rows.len());
    let mut rest = rows;
    while let Some(first) = rest.first().copied() {
        let near = rest.iter().take_while(|row| **row - first < COPIED_AT_ONCE as i64).count();
        let (piece, later) = rest.split_at(near.max(1));
        let last = piece.last().copied().unwrap_or(first);
        let query = RowQuery {
            columns: columns.iter().map(|column| column.id).collect(),
            after: RowId(first - 1),
            limit: usize::try_from(last - first + 1).unwrap_or(1).min(limits::PAGE_ROWS_MAX),
            ..RowQuery::of(table.id)
        };
        let found = app.engine.store().rows(query).await?;
        let wanted = found.into_iter().filter(|row| piece.binary_search(&row.id.0).is_ok());
        read.extend(wanted.map(|row| (row.id, row.values)));
        rest = later;
    }
    Ok(read)
}

fn watch(kind: &SourceKind, other: &Table) -> Result<Watch> {
    match kind {
        SourceKind::ConnectedTable { filter: Some(filter), .. } => {
            let filter = filter_of(other, "config.filter", Some(filter))?;
            Ok(Watch::Match { filter, once: true })
        }
        _ => Ok(Watch::New),
    }
}

fn gone(what: &str) -> ApiError {
    ApiError::new(Code::Conflict, format!("{what} was deleted; restore it, or delete the source"))
}
