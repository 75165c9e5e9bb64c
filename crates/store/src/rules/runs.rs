//! What every backend refuses of runs, and how their options are kept.

use paceline_model::{
    Column, ColumnId, Error, NewRun, Run, RunId, RunOptions, RunStatus, Scope, limits,
};

use super::check_length;
use crate::error::{Fault, Result};
use crate::filter::columns_of;

/// Refuses a run of a column that cannot be run this way.
pub(crate) fn check_runnable(column: &Column, new: &NewRun) -> Result<()> {
    let Some(smart) = &column.smart else {
        return Err(Error::invalid(format!(
            "column {:?} is not a smart column, so there is nothing to run",
            column.name
        ))
        .into());
    };
    if new.scope == Scope::Unknown && !smart.is_job() {
        return Err(Error::invalid(format!(
            "column {:?} makes one call per cell (kind {}): what became of its unknown cells cannot be looked up; check with \
             the vendor, then settle each of them (settle_cell) as done, failed or to be sent again",
            column.name,
            smart.kind.as_str()
        ))
        .into());
    }
    check_after(new)
}

/// Refuses runs to come after that cannot be told apart, or more than there can be.
fn check_after(new: &NewRun) -> Result<()> {
    let after = &new.options.after;
    if new.scope == Scope::Following && after.is_empty() {
        let problem =
            "the scope following is of a run that comes after others; name them in `after`";
        return Err(Error::invalid(problem).into());
    }
    if after.len() > limits::TABLE_COLUMNS_MAX {
        return Err(Error::invalid(format!(
            "a run after {} others; at most {} are allowed, one for each column",
            after.len(),
            limits::TABLE_COLUMNS_MAX
        ))
        .into());
    }
    for (index, run) in after.iter().enumerate() {
        if after[..index].contains(run) {
            return Err(Error::invalid(format!("run {run} stands in `after` twice")).into());
        }
    }
    Ok(())
}

/// Refuses more due cells than one call may ask for.
pub(crate) fn check_due(max: usize) -> paceline_model::Result<()> {
    if max > limits::PAGE_ROWS_MAX {
        return Err(Error::invalid(format!(
            "{max} due cells in one call; at most {} are allowed: go on after the last one",
            limits::PAGE_ROWS_MAX
        )));
    }
    Ok(())
}

/// What is said of a run to come after that is none of the table.
pub(crate) fn missing_upstream(table: &str, run: RunId) -> Fault {
    Error::Missing(format!("table {table:?} has no run {run} that another could come after")).into()
}

/// The options of a run as they are kept; nothing for none.
pub(crate) fn run_options_text(options: &RunOptions) -> Result<Option<String>> {
    if *options == RunOptions::default() {
        return Ok(None);
    }
    let text = serde_json::to_string(options).ok();
    // What cannot be read back (nested too deep, say) is refused while somebody is there to hear of it.
    let same =
        |text: &String| serde_json::from_str(text).is_ok_and(|read: RunOptions| read == *options);
    let Some(text) = text.filter(same) else {
        return Err(Error::invalid("the options of the run cannot be kept as JSON").into());
    };
    check_length("options of a run", text.len(), limits::VALUE_BYTES_MAX)?;
    Ok(Some(text))
}

/// Kept options of a run.
pub(crate) fn parse_run_options(text: Option<&str>) -> Result<RunOptions> {
    let Some(text) = text else { return Ok(RunOptions::default()) };
    serde_json::from_str(text).map_err(|error| {
        let class = error.classify();
        Error::Corrupt(format!("stored options of a run cannot be read ({class:?})")).into()
    })
}

/// A stored total, which counts what is due, as the run has it: no more than it may take.
pub(crate) fn total_of(due: u64, options: &RunOptions) -> u64 {
    options.first.map_or(due, |first| due.min(first))
}

/// The total of a run that moves to that status, if it is known only now: what was due could be said no better than as a
/// bound when it was made.
pub(crate) fn settled_total(run: &Run, status: RunStatus) -> Option<u64> {
    let ended = matches!(status, RunStatus::Completed | RunStatus::CompletedWithErrors);
    let bound = matches!(run.scope, Scope::Stale | Scope::Following)
        || run.options.filter.is_some()
        || !run.options.after.is_empty();
    (ended && bound).then(|| run.counts.total.min(run.counts.ended()))
}

/// Refuses to take a column away from a run that looks at it to know which rows it takes.
pub(crate) fn check_not_looked_at(
    run: RunId,
    options: &RunOptions,
    column: ColumnId,
    name: &str,
) -> Result<()> {
    let Some(filter) = &options.filter else { return Ok(()) };
    if columns_of(Some(filter), &[])?.contains(&column) {
        return Err(Error::Conflict(format!(
            "the filter of run {run} looks at column {name:?}; let it end, or cancel it"
        ))
        .into());
    }
    Ok(())
}
