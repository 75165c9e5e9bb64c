//! What every backend refuses, and in which words; and the names that all of them keep.

mod columns;
mod items;
mod runs;

use paceline_model::{
    Attempt, AttemptClass, CellState, Column, ColumnType, Counts, Error, FilledCells, Note, RowId,
    Run, RunId, RunStatus, Scope, SmartKind, TableId, limits,
};
use serde_json::Value as Json;

pub(crate) use columns::*;
pub(crate) use items::*;
pub(crate) use runs::*;

use crate::error::{Fault, Result, unreadable};

/// Bytes of a setting's name.
const SETTING_NAME_BYTES_MAX: usize = 256;
/// Bytes of a budget's key.
const KEY_BYTES_MAX: usize = 256;
/// Rows that one claim looks at to find due ones. Cells that are filled already cost little, but not nothing.
pub(crate) const SCAN_ROWS_MAX: i64 = 20_000;

/// Refuses more rows than one call may insert, before anything is queued.
pub(crate) fn check_insert(count: usize) -> paceline_model::Result<()> {
    if count > limits::INSERT_ROWS_MAX {
        return Err(Error::invalid(format!(
            "{count} rows in one call; at most {} are allowed, none was inserted: send them in parts",
            limits::INSERT_ROWS_MAX
        )));
    }
    Ok(())
}

/// Refuses a page that is longer than one may be.
pub(crate) fn check_page(limit: usize) -> Result<()> {
    if limit > limits::PAGE_ROWS_MAX {
        return Err(Error::invalid(format!(
            "a page of {limit} rows; at most {} are allowed: read page by page, after the last row read",
            limits::PAGE_ROWS_MAX
        ))
        .into());
    }
    Ok(())
}

/// Refuses more cells than one call may read.
pub(crate) fn check_cells(found: usize, first: RowId, last: RowId) -> Result<()> {
    if found > limits::PAGE_ROWS_MAX {
        return Err(Error::invalid(format!(
            "more than {} cells between rows {first} and {last}; read them in parts",
            limits::PAGE_ROWS_MAX
        ))
        .into());
    }
    Ok(())
}

/// Refuses a batch that is too large to be one commit.
pub(crate) fn check_reports(count: usize) -> paceline_model::Result<()> {
    if count > limits::COMMIT_REPORTS_MAX {
        return Err(Error::invalid(format!(
            "{count} reports in one commit; at most {} are allowed",
            limits::COMMIT_REPORTS_MAX
        )));
    }
    Ok(())
}

/// Refuses filled cells that are too many for one commit, or out of order.
pub(crate) fn check_filled(filled: &FilledCells) -> paceline_model::Result<()> {
    let count = filled.cells.len();
    if count > limits::FILL_CELLS_MAX {
        return Err(Error::invalid(format!(
            "{count} filled cells in one commit; at most {} are allowed",
            limits::FILL_CELLS_MAX
        )));
    }
    let mut before = filled.after;
    for cell in &filled.cells {
        if cell.row <= before || cell.row > filled.cursor {
            return Err(Error::invalid(format!(
                "the filled cells must ascend by row between {} and {}, and row {} does not",
                filled.after, filled.cursor, cell.row
            )));
        }
        before = cell.row;
    }
    if filled.cursor < filled.after {
        return Err(Error::invalid("the cursor of a run does not go back"));
    }
    Ok(())
}

/// Refuses to fill cells that were not the run's next ones.
pub(crate) fn check_cursor(run: RunId, cursor: i64, filled: &FilledCells) -> Result<()> {
    if cursor != filled.after.0 {
        return Err(Error::Conflict(format!(
            "run {run} stands at row {cursor}, not at {}: somebody else has filled its cells; read its next cells again",
            filled.after
        ))
        .into());
    }
    Ok(())
}

/// Refuses a row that has not one value for each of the columns.
pub(crate) fn check_width(values: usize, columns: usize) -> Result<()> {
    if values != columns {
        return Err(Error::invalid(format!("it has {values} values for {columns} columns")).into());
    }
    Ok(())
}

/// Says which row of a call a refusal is about.
pub(crate) fn in_row(number: usize, fault: Fault) -> Fault {
    match fault.0 {
        Error::Invalid(text) => {
            Error::invalid(format!("row {number} of the call: {text}; none was inserted")).into()
        }
        other => other.into(),
    }
}

/// Refuses what is longer than it may be.
pub(crate) fn check_length(what: &str, length_bytes: usize, max_bytes: usize) -> Result<()> {
    if length_bytes > max_bytes {
        return Err(Error::invalid(format!(
            "the {what} is {length_bytes} bytes long; at most {max_bytes} are allowed"
        ))
        .into());
    }
    Ok(())
}

pub(crate) fn check_setting(name: &str, value: &str) -> Result<()> {
    check_length("setting name", name.len(), SETTING_NAME_BYTES_MAX)?;
    check_length("setting", value.len(), limits::VALUE_BYTES_MAX)
}

pub(crate) fn check_budget(key: &str, snapshot: &str) -> Result<()> {
    check_length("key of a budget", key.len(), KEY_BYTES_MAX)?;
    check_length("snapshot of a budget", snapshot.len(), limits::VALUE_BYTES_MAX)
}

pub(crate) fn check_note(note: &str) -> Result<()> {
    check_length("note of a cell", note.len(), limits::VALUE_BYTES_MAX)
}

pub(crate) fn table_exists(name: &str) -> Fault {
    Error::Exists(format!("a table named {name:?} exists already; choose another name")).into()
}

pub(crate) fn missing_table(table: TableId) -> Fault {
    Error::Missing(format!("there is no table {table}")).into()
}

pub(crate) fn not_deleted(table: TableId) -> Fault {
    Error::Missing(format!("there is no deleted table {table} that could be restored")).into()
}

/// What a deleted table is called, here and as an SQL table. No name of a user begins with an underscore.
pub(crate) fn deleted_name(table: TableId) -> String {
    format!("_ht_deleted_{table}")
}

pub(crate) fn missing_run(run: RunId) -> Fault {
    Error::Missing(format!("there is no run {run}")).into()
}

pub(crate) fn still_active(run: RunId, column: &str, status: &str) -> Fault {
    Error::Conflict(format!("run {run} of column {column:?} is {status}; let it end, or cancel it"))
        .into()
}

/// Refuses to move a run that is over.
pub(crate) fn check_not_final(run: &Run) -> Result<()> {
    if run.status.is_final() {
        return Err(Error::Conflict(format!(
            "run {} is {} and stays so; start a new run",
            run.id,
            run.status.as_str()
        ))
        .into());
    }
    Ok(())
}

/// Refuses a person's word on a cell that is in any state but unknown.
pub(crate) fn check_unknown(state: Option<&str>, row: RowId, column: &str) -> Result<()> {
    if state != Some(CellState::Unknown.as_str()) {
        let is = state.unwrap_or("empty");
        return Err(Error::Conflict(format!(
            "the cell of row {row} in column {column:?} is {is}; only an unknown one can be settled"
        ))
        .into());
    }
    Ok(())
}

pub(crate) fn looked_up_already(run: RunId, row: RowId) -> Fault {
    Error::Conflict(format!(
        "run {run} is looking up row {row} already; let it end, or cancel it, then settle the cell"
    ))
    .into()
}

/// JSON as it is kept.
pub(crate) fn json_text(what: &str, json: &Json) -> Result<String> {
    let text = json.to_string();
    check_length(what, text.len(), limits::VALUE_BYTES_MAX)?;
    Ok(text)
}

/// Kept JSON.
pub(crate) fn parse_json(what: &str, text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| {
        Error::Corrupt(format!("a stored {what} is not JSON ({:?})", error.classify())).into()
    })
}

/// A stored column type.
pub(crate) fn parse_column_type(name: &str) -> Result<ColumnType> {
    ColumnType::parse(name).ok_or_else(|| unreadable("column type", name))
}

/// A stored kind of a smart column.
pub(crate) fn parse_smart_kind(name: &str) -> Result<SmartKind> {
    SmartKind::parse(name).ok_or_else(|| unreadable("kind of a smart column", name))
}

/// A stored scope.
pub(crate) fn parse_scope(name: &str) -> Result<Scope> {
    Scope::parse(name).ok_or_else(|| unreadable("scope of a run", name))
}

/// A stored status.
pub(crate) fn parse_status(name: &str) -> Result<RunStatus> {
    RunStatus::parse(name).ok_or_else(|| unreadable("status of a run", name))
}

/// Notes in the order in which they are written: items first and by their ids, so that two writers take them in one order.
pub(crate) fn in_order(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| match note {
        Note::Item { id, .. } => (0, *id),
        Note::Entries { .. } => (1, 0),
    });
    notes
}

/// A stored cell state.
pub(crate) fn parse_cell_state(name: &str) -> Result<CellState> {
    CellState::parse(name).ok_or_else(|| unreadable("cell state", name))
}

/// A stored class of an attempt.
pub(crate) fn parse_class(name: &str) -> Result<AttemptClass> {
    AttemptClass::parse(name).ok_or_else(|| unreadable("class of an attempt", name))
}

/// Refuses more keys than one call may look for.
pub(crate) fn check_keys(count: usize) -> paceline_model::Result<()> {
    if count > limits::COMMIT_REPORTS_MAX {
        return Err(Error::invalid(format!(
            "{count} keys in one call; at most {} are allowed: ask in parts",
            limits::COMMIT_REPORTS_MAX
        )));
    }
    Ok(())
}

/// Refuses to lock cells of a column that has none.
pub(crate) fn check_lockable(column: &Column) -> Result<()> {
    if column.smart.is_none() {
        return Err(Error::invalid(format!(
            "column {:?} is not a smart column: no run writes to it, so there is nothing to lock",
            column.name
        ))
        .into());
    }
    Ok(())
}

/// What an attempt adds to the counts of its run.
pub(crate) fn counts_of(attempt: &Attempt) -> Counts {
    let mut counts = Counts::default();
    count_attempt(&mut counts, attempt);
    counts
}

/// Counts one attempt. One that did not leave cost nothing.
pub(crate) fn count_attempt(counts: &mut Counts, attempt: &Attempt) {
    let sent = attempt.sent_at.is_some();
    let cost_micros = if sent { attempt.cost_micros } else { 0 };
    counts.calls += u64::from(sent);
    counts.throttled += u64::from(attempt.class == AttemptClass::Throttled);
    counts.retries += u64::from(attempt.number > 1);
    counts.cost_micros = counts.cost_micros.saturating_add(cost_micros);
}

/// Counts one cell that ended.
pub(crate) fn count_end(counts: &mut Counts, state: CellState) {
    match state {
        CellState::Completed => counts.completed += 1,
        CellState::Failed => counts.failed += 1,
        CellState::Skipped => counts.skipped += 1,
        CellState::Unknown => counts.unknown += 1,
    }
}
