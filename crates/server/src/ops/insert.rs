//! Rows as they come in, against the columns of their table: names resolved, values checked, every fault with its place.

mod names;
mod text;

use bytes::Bytes;
use paceline_model::{ColumnId, Table, Value};
use serde_json::{Map, Value as Json};

use names::Names;

use crate::app::{FAULTS_TOLD_MAX, INSERT_VALUES_MAX};
use crate::catalog::check_rows;
use crate::error::{ApiError, Code, Result};

/// Rows as the store takes them.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The columns that any row names, in the order they came up.
    pub(crate) columns: Vec<ColumnId>,
    /// The values of each row in that order; what a row does not name is empty.
    pub(crate) rows: Vec<Vec<Value>>,
    /// What was made of the names.
    pub(crate) names: Told,
}

/// What was made of names that no column has.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Each with the column that was taken for it.
    pub(crate) corrected: Map<String, Json>,
    /// Each as it was given; no value of it was kept.
    pub(crate) ignored: Vec<String>,
}

/// Rows as a face has them.
pub(crate) enum GivenRows {
    /// As JSON; each is an object.
    Parsed(Vec<Json>),
    /// As text that begins a list, well formed and not looked at more closely.
    Text(Bytes),
}

/// Checks a whole call; nothing is inserted if anything is wrong. Of a name that no column has, and that no correction is
/// beyond doubt for, the values are left out if the caller says so (`ignore_unknown`), else the call is refused: nothing is
/// lost silently.
///
/// # Errors
/// `BATCH_TOO_LARGE` with the limit; else the first fault about names, or the first ten about values.
pub(crate) fn incoming(
    table: &Table,
    given: GivenRows,
    rows_max: usize,
    ignore_unknown: bool,
) -> Result<Incoming> {
    let given = match given {
        GivenRows::Parsed(rows) => rows,
        GivenRows::Text(text) => {
            if let Some(incoming) = text::incoming(table, &text, rows_max, ignore_unknown) {
                return Ok(incoming);
            }
            parsed(&text)?
        }
    };
    let total = given.len();
    if total > rows_max {
        let message = format!("{total} rows in one call; at most {rows_max} are taken");
        let calls = total.div_ceil(rows_max);
        let fix =
            format!("split it into {calls} calls of up to {rows_max} rows; nothing was inserted");
        return Err(ApiError::new(Code::BatchTooLarge, message).fix(fix));
    }
    let mut names = Names::of(table, "rows", ignore_unknown);
    let mut rows = Vec::with_capacity(total);
    for (index, row) in given.into_iter().enumerate() {
        let Json::Object(fields) = row else { continue };
        rows.push(names.row(Some(index), fields)?);
        if names.faults.len() > FAULTS_TOLD_MAX {
            break;
        }
        if is_too_wide(total, names.columns.len()) {
            let message = format!(
                "{total} rows times the {} columns that they name so far are more than {INSERT_VALUES_MAX} values",
                names.columns.len()
            );
            return Err(ApiError::new(Code::BatchTooLarge, message));
        }
    }
    names.end(rows)
}

/// Rows that are not as they should be, as JSON.
fn parsed(text: &[u8]) -> Result<Vec<Json>> {
    let json = serde_json::from_slice(text).map_err(|error| {
        ApiError::new(Code::InvalidJson, format!("rows: cannot be read as JSON: {error}"))
    })?;
    match json {
        Json::Array(rows) => check_rows(rows),
        _ => Err(ApiError::field("rows", "is not a list of objects")),
    }
}

fn is_too_wide(rows: usize, columns: usize) -> bool {
    rows.saturating_mul(columns) > INSERT_VALUES_MAX
}

/// The values of an update, checked as those of a row.
///
/// # Errors
/// As [`incoming`].
pub(crate) fn values(
    table: &Table,
    given: Map<String, Json>,
) -> Result<(Vec<ColumnId>, Vec<Value>, Told)> {
    let mut names = Names::of(table, "values", false);
    let values = names.row(None, given)?;
    let mut one = names.end(vec![values])?;
    Ok((one.columns, one.rows.pop().unwrap_or_default(), one.names))
}
