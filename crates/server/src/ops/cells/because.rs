//! What is known of a cell, put into a sentence and a next step.

use paceline_engine::Moved;
use paceline_model::{
    Attempt, AttemptClass, Cell, CellState, Column, Row, Run, RunStatus, Scope, SmartColumn, Table,
    Value,
};

use serde_json::json;

use crate::envelope::Hint;

/// Everything that bears on one cell.
pub(super) struct Seen<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a Column,
    pub(super) row: &'a Row,
    pub(super) value: &'a Value,
    pub(super) cell: Option<&'a Cell>,
    /// The last attempt made for it.
    pub(super) last: Option<&'a Attempt>,
    /// The newest run of the column.
    pub(super) newest: Option<&'a Run>,
    /// What moved since its cell was completed.
    pub(super) moved: &'a [Moved],
}

impl Seen<'_> {
    pub(super) fn sentence(&self) -> String {
        let Some(smart) = &self.column.smart else {
            return self.plain();
        };
        let Some(cell) = self.cell else {
            return self.idle();
        };
        let told = cell.error.as_ref().map_or("no reason is on record", |e| e.message.as_str());
        match cell.state {
            CellState::Completed => {
                format!("{}{}", self.given(cell, smart), self.stale(cell, smart))
            }
            CellState::Failed => format!("given up: {told}{}", self.stopped()),
            CellState::Skipped => format!("nothing was called for it: {told}"),
            CellState::Unknown => format!(
                "the call left, and whether it took effect nobody knows: {told}. It is not sent again on its own"
            ),
        }
    }

    /// Where the value of a completed cell comes from.
    fn given(&self, cell: &Cell, smart: &SmartColumn) -> String {
        let is_empty = *self.value == Value::Null;
        if cell.locked {
            let what = if is_empty { "emptied it" } else { "wrote it" };
            return format!("a person {what}; it is locked, and no run touches it");
        }
        if self.moved.contains(&Moved::Unlocked) {
            return "a person wrote it, and unlocked it since: the next run may fill it".to_owned();
        }
        if smart.kind.is_local() {
            let what = if is_empty { "gave nothing" } else { "gave it" };
            return format!(
                "the column's {} {what}; nothing is called for it",
                smart.kind.as_str()
            );
        }
        let Some(last) = self.last else {
            return "no call was made for it: the value is that of an equal request, or a person's word".to_owned();
        };
        match &last.source {
            Some(source) if !is_empty => format!("the source {source:?} gave it"),
            _ if is_empty => {
                "the call for it succeeded and gave nothing: what `extract` points to is not in the reply, or is null"
                    .to_owned()
            }
            _ => "the call for it succeeded".to_owned(),
        }
    }

    /// What has changed since a completed cell was made.
    fn stale(&self, cell: &Cell, smart: &SmartColumn) -> String {
        match what(self.moved) {
            Some(what) => format!("; stale: {what}"),
            None if cell.locked || cell.version >= smart.version => String::new(),
            None => format!(
                ". It was made with version {} of the column's configuration, which is at {} by now",
                cell.version, smart.version
            ),
        }
    }

    fn plain(&self) -> String {
        let what = "the column holds data, and no call fills it";
        match self.value {
            Value::Null => format!("{what}; nobody has written a value into row {}", self.row.id),
            _ => format!("{what}; somebody wrote this value into row {}", self.row.id),
        }
    }

    fn idle(&self) -> String {
        let Some(run) = self.newest else {
            return "nobody has asked for it: no run of this column was ever started".to_owned();
        };
        let (id, counts) = (run.id, run.counts);
        if self.row.created_at > run.created_at {
            return format!(
                "the row was inserted after run {id} began, and no run since has covered it"
            );
        }
        match run.status {
            RunStatus::Paused => {
                format!("run {id}, which would fill it, is paused: {}", reason(run))
            }
            RunStatus::Queued | RunStatus::Running => {
                let tried = match self.last {
                    Some(last) => tried(last),
                    None => "has not come to it yet".to_owned(),
                };
                let (ended, total) = (counts.ended(), counts.total);
                format!("run {id} is at work ({ended} of {total} cells have ended) and {tried}")
            }
            RunStatus::Cancelled => {
                format!("run {id} was cancelled before it came to this row: {}", reason(run))
            }
            RunStatus::Completed | RunStatus::CompletedWithErrors => {
                let scope = run.scope.as_str();
                format!(
                    "the newest run, {id}, took the cells of scope {scope}, and this one was none of them"
                )
            }
        }
    }

    /// What holds up trying again, if something does.
    fn stopped(&self) -> String {
        match self.newest {
            Some(run) if run.status == RunStatus::Paused => {
                format!("; and run {} of the column is paused: {}", run.id, reason(run))
            }
            Some(run) if !run.status.is_final() => {
                format!("; run {} of the column is at work", run.id)
            }
            _ => String::new(),
        }
    }

    /// What to do about it, as a call that works as it stands.
    pub(super) fn hint(&self) -> Hint {
        let table = |name: &'static str, why: &str| {
            Hint::new(name, why).with("table", self.table.name.as_str())
        };
        let column = |name, why: &str| table(name, why).with("column", self.column.name.as_str());
        let Some(smart) = &self.column.smart else {
            return table("get_table_schema", "see which columns are filled by calls");
        };
        let open = self.newest.filter(|run| !run.status.is_final());
        match (self.cell.map(|cell| cell.state), open) {
            (None | Some(CellState::Failed), Some(run)) if run.status == RunStatus::Paused => {
                column(
                    "retry_failed_cells",
                    "once the reason is dealt with: lets the paused run go on",
                )
            }
            (None | Some(CellState::Failed), Some(run)) => {
                Hint::new("get_run", "watch the run that is at work").with("run", run.id.0)
            }
            (None, None) => column("run_column", "fill the cells that nobody has asked for"),
            (Some(CellState::Failed), None) => column(
                "retry_failed_cells",
                "once the reason is dealt with: calls again for the cells that failed",
            ),
            (Some(CellState::Unknown), None) if smart.is_job() => {
                column("run_column", "asks the vendor what became of the unknown ones")
                    .with("scope", Scope::Unknown.as_str())
            }
            (Some(CellState::Skipped), _) => {
                table("query_rows", "see which value of the row is missing")
            }
            (Some(CellState::Unknown), _) => {
                let why = "if the vendor has nothing of it; else say done or failed";
                column("settle_cell", why).with("row", self.row.id.0).with("outcome", "resend")
            }
            (Some(CellState::Completed), _) if self.cell.is_some_and(|cell| cell.locked) => {
                column("unlock_cells", "lets runs fill it again")
                    .with("where", json!({"_ht_id": self.row.id.0}))
            }
            (Some(CellState::Completed), None) if !self.moved.is_empty() => {
                column("run_column", "fills the cells again whose inputs have changed")
                    .with("scope", Scope::Stale.as_str())
            }
            (Some(CellState::Completed), _) => {
                table("get_table_schema", "see how the column is filled")
            }
        }
    }
}

/// `the configuration and input city changed since; its function has a new version`; none if nothing did.
fn what(moved: &[Moved]) -> Option<String> {
    let mut inputs: Vec<&str> = Vec::new();
    let mut outside = Vec::new();
    for moved in moved {
        match moved {
            Moved::Input(name) => inputs.push(name),
            Moved::Configuration | Moved::Unlocked => {}
            Moved::Function => outside.push("its function has a new version".to_owned()),
            Moved::Provider => outside.push("its provider was changed".to_owned()),
            Moved::Lookup(table) => {
                outside.push(format!("the rows of table {table} give something else for it now"));
            }
        }
    }
    let configuration = moved.contains(&Moved::Configuration).then_some("the configuration");
    let inputs = match inputs.as_slice() {
        [] => None,
        [one] => Some(format!("input {one}")),
        several => Some(format!("inputs {}", several.join(", "))),
    };
    let parts: Vec<String> = configuration.map(str::to_owned).into_iter().chain(inputs).collect();
    let changed = (!parts.is_empty()).then(|| format!("{} changed since", parts.join(" and ")));
    let all: Vec<String> = changed.into_iter().chain(outside).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn reason(run: &Run) -> &str {
    run.reason.as_deref().unwrap_or("no reason is on record")
}

fn tried(last: &Attempt) -> String {
    let number = last.number;
    let how = match last.class {
        AttemptClass::Throttled => "was refused for its rate; it waits for the vendor's limit",
        AttemptClass::Success => "succeeded; it is about to be recorded",
        _ => "failed; it waits to be tried again",
    };
    let status = last.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
    format!("has tried it: attempt {number}{status} {how}")
}
