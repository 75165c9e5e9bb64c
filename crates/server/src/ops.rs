//! The operations: typed input, typed output, and no word of HTTP. What several of them need stands here.

pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod cells;
pub(crate) mod columns;
pub(crate) mod cursor;
pub(crate) mod failures;
pub(crate) mod files;
pub(crate) mod functions;
pub(crate) mod insert;
pub(crate) mod keys;
pub(crate) mod providers;
pub(crate) mod proxy;
pub(crate) mod recordings;
pub(crate) mod rows;
pub(crate) mod runs;
pub(crate) mod shared_budgets;
pub(crate) mod smart;
pub(crate) mod sources;
pub(crate) mod system;
pub(crate) mod tables;
pub(crate) mod webhooks;

use paceline_clock::Timestamp;
use paceline_model::{Column, SmartColumn, Table, check_name, suggest};

use crate::App;
use crate::envelope::Hint;
use crate::error::{ApiError, Code, Result};

/// What system columns and tables begin with.
const SYSTEM_PREFIX: &str = "_ht_";

/// The table of that name or id.
pub(crate) async fn table(app: &App, name: &str) -> Result<Table> {
    if let Some(table) = app.engine.store().table(name).await? {
        return Ok(table);
    }
    if let Some(gone) = tables::deleted(app, name).await? {
        return Err(tables::is_deleted(&gone));
    }
    let tables = app.engine.store().tables().await?;
    let meant = suggest(name, tables.iter().map(|table| table.name.as_str()));
    let mut error =
        ApiError::new(Code::TableNotFound, format!("there is no table {name:?}")).meant(meant);
    if let Some(meant) = meant {
        error = error.hint(
            Hint::new("get_table_schema", "the table that was probably meant").with("table", meant),
        );
    }
    Err(error.hint(Hint::new("list_tables", "see which tables there are")))
}

/// The column of that name, or failing that of that title.
pub(crate) fn column<'a>(table: &'a Table, name: &str) -> Result<&'a Column> {
    table.column(name).ok_or_else(|| {
        let meant = suggest(name, table.columns.iter().map(|column| column.name.as_str()));
        let message = format!("table {:?} has no column {name:?}", table.name);
        ApiError::new(Code::ColumnNotFound, message).meant(meant).hint(schema_hint(table))
    })
}

/// The smart column of that name.
fn smart_column<'a>(table: &'a Table, name: &str) -> Result<(&'a Column, &'a SmartColumn)> {
    let column = column(table, name)?;
    let smart = column.smart.as_ref().ok_or_else(|| {
        ApiError::field(
            "column",
            format!("{name:?} holds data and is not a smart column; no call fills it"),
        )
        .fix("name a smart column of the table, or add one")
        .hint(schema_hint(table))
    })?;
    Ok((column, smart))
}

pub(crate) fn schema_hint(table: &Table) -> Hint {
    Hint::new("get_table_schema", "see the columns of the table").with("table", table.name.as_str())
}

/// Checks a name that somebody gives to something (`kind` is table or column).
fn check_new_name(kind: &str, field: &str, name: &str) -> Result<()> {
    if name.starts_with(SYSTEM_PREFIX) {
        let message = format!("{field}: the prefix {SYSTEM_PREFIX} belongs to the system");
        return Err(ApiError::new(Code::ReservedPrefix, message));
    }
    let code = if kind == "table" { Code::InvalidTableName } else { Code::InvalidColumnName };
    check_name(kind, name).map_err(|error| ApiError::new(code, format!("{field}: {error}")))?;
    // A number in the place of a name is an id, and a name never begins with a digit, so the two cannot be confused.
    Ok(())
}

/// A moment as ISO 8601, always to the microsecond so that moments sort as text; `None` if it lies beyond the year 9999.
pub(crate) fn iso(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(at.as_micros()).ok().map(|at| format!("{at:.6}"))
}
