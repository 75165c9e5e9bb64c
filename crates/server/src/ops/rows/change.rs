//! Rows in: inserted, or updated where they are there already. Rows changed and deleted by filter or by their ids.

use paceline_model::{Column, ColumnId, ColumnType, RowId, Table, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::filters::{chosen, is_everything};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::ops::insert::{GivenRows, Incoming, Told, incoming, values};
use crate::ops::{column, table};

#[derive(Debug, Deserialize)]
pub(crate) struct InsertRows {
    table: String,
    upsert_by: Option<Vec<String>>,
    #[serde(default)]
    ignore_unknown: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateRows {
    table: String,
    #[serde(rename = "where")]
    filter: Option<Json>,
    ids: Option<Json>,
    values: Map<String, Json>,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteRows {
    table: String,
    #[serde(rename = "where")]
    filter: Option<Json>,
    ids: Option<Json>,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Inserted {
    /// New rows.
    inserted: u64,
    /// Rows that were there already and were updated; only with `upsert_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<u64>,
    /// The ids of the new rows go from here
    first_id: Option<RowId>,
    /// to here without a gap.
    last_id: Option<RowId>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Updated {
    updated: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    deleted: u64,
}

pub(crate) async fn insert(
    app: App,
    input: InsertRows,
    given: GivenRows,
) -> Result<Outcome<Inserted>> {
    let table = table(&app, &input.table).await?;
    let rows_max = app.config.limits.insert_rows_max;
    let incoming = incoming(&table, given, rows_max, input.ignore_unknown)?;
    let Incoming { columns, rows, names } = incoming;
    let store = app.engine.store();
    let given = rows.len() as u64;
    let written = with_values(&columns, &rows);
    let (ids, updated) = match &input.upsert_by {
        None => (store.insert_rows(table.id, &columns, rows).await?, None),
        Some(key) => {
            let key = key_columns(&table, key, &columns, given)?;
            let done = store.upsert_rows(table.id, &key, &columns, rows).await?;
            (done.inserted, Some(done.updated))
        }
    };
    let inserted = ids.map_or(0, |(first, last)| last.0.abs_diff(first.0) + 1);
    let data = Inserted {
        inserted,
        updated,
        first_id: ids.map(|(first, _)| first),
        last_id: ids.map(|(_, last)| last),
    };
    let outcome = Outcome::new(data)
        .meta("table", table.name.as_str())
        .meta("rows_affected", inserted + updated.unwrap_or(0));
    let smart = table.columns.iter().find(|column| column.smart.is_some());
    let hint = match smart {
        Some(smart) if inserted > 0 => {
            Hint::new("run_column", "fill the smart column of the new rows")
                .with("table", table.name.as_str())
                .with("column", smart.name.as_str())
        }
        _ => Hint::new("query_rows", "look at the rows").with("table", table.name.as_str()),
    };
    Ok(locked(told(outcome, names).hint(hint), &table, &written))
}

/// The columns that get a value in any of these rows.
fn with_values(columns: &[ColumnId], rows: &[Vec<Value>]) -> Vec<ColumnId> {
    let written = columns.iter().enumerate().filter(|(at, _)| {
        rows.iter().any(|row| row.get(*at).is_some_and(|value| !value.is_null()))
    });
    written.map(|(_, column)| *column).collect()
}

/// The columns by which a row is known to be there already.
fn key_columns(
    table: &Table,
    names: &[String],
    given: &[ColumnId],
    rows: u64,
) -> Result<Vec<ColumnId>> {
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let column = column(table, name)?;
        let problem = if column.smart.is_some() {
            "is a smart column; rows are known again by their data"
        } else if matches!(column.kind, ColumnType::Json | ColumnType::MultiSelect) {
            "holds JSON, which is never surely the same; name a column of text or numbers"
        } else if key.contains(&column.id) {
            "is named twice"
        } else if rows > 0 && !given.contains(&column.id) {
            "is given by none of the rows; without it all of them would be new"
        } else {
            key.push(column.id);
            continue;
        };
        return Err(ApiError::field("upsert_by", format!("{name:?} {problem}")));
    }
    Ok(key)
}

pub(crate) async fn update(app: App, input: UpdateRows) -> Result<Outcome<Updated>> {
    let table = table(&app, &input.table).await?;
    let filter = chosen(&table, input.filter.as_ref(), input.ids.as_ref())?;
    let given = input.values.clone();
    let (columns, values, names) = values(&table, input.values)?;
    if columns.is_empty() {
        return Err(ApiError::field("values", "names no column; there is nothing to change"));
    }
    let store = app.engine.store();
    if is_everything(&filter) && !input.confirm {
        let count = store.count_rows(table.id, None).await?;
        let again = Hint::new("update_rows", "change every row of the table")
            .with("table", table.name.as_str())
            .with("where", Json::Object(Map::new()))
            .with("values", given)
            .with("confirm", true);
        return Err(unconfirmed(format!("this changes all {count} rows of the table"), again));
    }
    let updated = store.update_rows(table.id, filter, &columns, values).await?;
    let outcome = Outcome::new(Updated { updated })
        .meta("table", table.name.as_str())
        .meta("rows_affected", updated);
    let hint = Hint::new("query_rows", "look at the rows").with("table", table.name.as_str());
    Ok(locked(told(outcome, names).hint(hint), &table, &columns))
}

/// Tells that runs leave the cells alone that were written into smart columns.
fn locked<T>(outcome: Outcome<T>, table: &Table, columns: &[ColumnId]) -> Outcome<T> {
    let smart = |column: &&Column| column.smart.is_some() && columns.contains(&column.id);
    let names: Vec<&str> =
        table.columns.iter().filter(smart).map(|column| column.name.as_str()).collect();
    let Some(first) = names.first() else { return outcome };
    let unlock = Hint::new("unlock_cells", "let runs fill these cells again")
        .with("table", table.name.as_str())
        .with("column", *first);
    outcome.meta("locked", names).hint(unlock)
}

pub(crate) async fn delete(app: App, input: DeleteRows) -> Result<Outcome<Deleted>> {
    let table = table(&app, &input.table).await?;
    let filter = chosen(&table, input.filter.as_ref(), input.ids.as_ref())?;
    let store = app.engine.store();
    if !input.confirm {
        let all = store.count_rows(table.id, None).await?;
        let count = store.count_rows(table.id, Some(filter)).await?;
        let mut again = Hint::new("delete_rows", "delete these rows for good")
            .with("table", table.name.as_str());
        for (name, given) in [("where", input.filter), ("ids", input.ids)] {
            if let Some(given) = given {
                again = again.with(name, given);
            }
        }
        let message = format!("this deletes {count} of the {all} rows of the table, for good");
        let look = Hint::new("query_rows", "look at the rows first");
        let error = unconfirmed(message, again.with("confirm", true));
        return Err(error.hint(look.with("table", table.name.as_str())));
    }
    let deleted = store.delete_rows(table.id, filter).await?;
    let hint = Hint::new("count_rows", "how many are left").with("table", table.name.as_str());
    Ok(Outcome::new(Deleted { deleted })
        .meta("table", table.name)
        .meta("rows_affected", deleted)
        .hint(hint))
}

/// That a call must be sent again with `confirm`; `again` is that call.
pub(crate) fn unconfirmed(message: String, again: Hint) -> ApiError {
    ApiError::new(Code::ConfirmationRequired, message).hint(again)
}

/// With what was made of names that no column has.
fn told<T>(mut outcome: Outcome<T>, names: Told) -> Outcome<T> {
    if !names.corrected.is_empty() {
        outcome = outcome.meta("corrected", names.corrected);
    }
    if !names.ignored.is_empty() {
        outcome = outcome.meta("ignored", names.ignored);
    }
    outcome
}
