//! What decides, before anything is done for a row, whether it is done at all: how the columns stand that it needs, its
//! condition, and whether its cell is made from what there is now.

mod condition;
mod elsewhere;
mod fingerprint;
mod upstream;

use std::sync::Arc;

use paceline_model::{
    CellBefore, CellError, CellState, Column, ColumnId, Fingerprint, RowId, Scope, Table, Task,
    TaskReport, TaskStep, Value,
};

use crate::common::{Common, Terms};
use crate::kind::{Bound, Call, Outside, Tools};
use crate::task::cell_error;
use condition::Seen;
use elsewhere::OtherTable;
pub use fingerprint::Moved;
use fingerprint::Prints;
use upstream::Failures;

/// A cell that is left out because its condition does not hold.
pub(crate) const CONDITION: &str = "CONDITION";
/// A cell that is left out because a column that it needs is not done with its row.
const UPSTREAM_FAILED: &str = "UPSTREAM_FAILED";
const UPSTREAM_SKIPPED: &str = "UPSTREAM_SKIPPED";
const UPSTREAM_EMPTY: &str = "UPSTREAM_EMPTY";
/// Why cells are left out here: each of these may be over when something moves.
const LEFT_OUT: [&str; 4] = [CONDITION, UPSTREAM_FAILED, UPSTREAM_SKIPPED, UPSTREAM_EMPTY];

/// What a run of a column asks of a row before it does anything for it.
pub(crate) struct Triage {
    scope: Scope,
    table: Table,
    /// What tasks carry: first the values that the work takes, then what else is asked for.
    columns: Vec<ColumnId>,
    /// How many of them the work takes.
    inputs: usize,
    terms: Terms,
    prints: Prints,
    /// Whether a column's state alone is asked for, so that it may be any; by the place in `columns`.
    any_state: Vec<bool>,
    /// Whether a column is smart; by the place in `columns`.
    smart: Vec<bool>,
    /// Renders the request of a row, to see whether it can do without a value.
    call: Option<Arc<dyn Call>>,
    /// What is asked again whether it still gives a cell's value, because it reads another table.
    elsewhere: Option<OtherTable>,
}

/// Claimed tasks, by what comes next.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Those to work on, with what their cells will be made from. They carry the work's own inputs only.
    pub(crate) work: Vec<(Task, Fingerprint)>,
    /// Those that came to their end.
    pub(crate) ended: Vec<TaskReport>,
}

/// What comes next for a task.
enum Verdict {
    Work,
    Leave,
    Skip(CellError),
    /// A column at this place of `columns` has failed, or its outcome is unknown.
    Failed(usize, CellState),
}

impl Triage {
    /// Of a run over that scope. `identity` is the configuration as text: see [`Call::identity`].
    pub(crate) fn new(
        table: &Table,
        column: &Column,
        (common, terms): (&Common, Terms),
        (bound, identity, outside): (&Bound, &str, Option<&Outside>),
        scope: Scope,
    ) -> Self {
        let mut columns = bound.inputs().to_vec();
        let inputs = columns.len();
        for needed in terms.columns() {
            if !columns.contains(&needed) {
                columns.push(needed);
            }
        }
        let states = terms.run_if.as_ref().map(|filter| filter.columns().1).unwrap_or_default();
        let any_state = columns.iter().enumerate().map(|(at, column)| {
            at >= inputs && states.contains(column) && !terms.depends_on.contains(column)
        });
        let mut any_state: Vec<bool> = any_state.collect();
        let elsewhere = OtherTable::of(bound, column, columns.len());
        if elsewhere.is_some() {
            columns.push(column.id);
            any_state.push(true);
        }
        let (reuse, call) = match bound {
            Bound::Call(call) => {
                (common.reuse.unwrap_or(call.repeatable()), Some(Arc::clone(call)))
            }
            Bound::Job(..) | Bound::Local(_) => (false, None),
        };
        let is_smart = |id: &ColumnId| {
            let known = table.columns.iter().find(|column| column.id == *id);
            known.is_some_and(|column| column.smart.is_some())
        };
        Self {
            scope,
            table: table.clone(),
            any_state,
            smart: columns.iter().map(is_smart).collect(),
            columns,
            inputs,
            prints: Prints::new(identity, column.kind, terms.run_if.as_ref(), reuse, outside),
            terms,
            call,
            elsewhere,
        }
    }

    /// The columns whose values and states the tasks must carry, in this order.
    pub(crate) fn columns(&self) -> &[ColumnId] {
        &self.columns
    }

    /// What a cell would be made from.
    pub(crate) fn fingerprint(&self, values: &[Value]) -> Fingerprint {
        self.prints.of(values.get(..self.inputs).unwrap_or(values))
    }

    /// Whether cells may share a call.
    pub(crate) fn shares_calls(&self) -> bool {
        self.prints.have_keys()
    }

    /// What of that has moved since a cell was made.
    pub(crate) fn moved(&self, then: &Fingerprint, now: &Fingerprint) -> Vec<Moved> {
        self.prints.moved(then, now, |at| self.name(at).to_owned())
    }

    /// Says of each task what comes next.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sort(
        &self,
        tools: &Tools,
        tasks: Vec<Task>,
    ) -> paceline_model::Result<Sorted> {
        let mut sorted = Sorted::default();
        let mut failures = Failures::default();
        let moved = self.moved_elsewhere(tools, &tasks).await?;
        for mut task in tasks {
            let now = self.fingerprint(&task.inputs);
            match self.verdict(&task, &now, moved.contains(&task.row)) {
                Verdict::Work => {
                    task.inputs.truncate(self.inputs);
                    sorted.work.push((task, now));
                }
                Verdict::Leave => {
                    sorted.ended.push(TaskReport::new(task.row, None, TaskStep::Leave));
                }
                Verdict::Skip(error) => sorted.ended.push(skipped(task.row, error)),
                Verdict::Failed(at, state) => failures.add(self.columns[at], task.row, state),
            }
        }
        let told = failures.told(tools.store.as_ref(), |column| self.name_of(column)).await?;
        sorted.ended.extend(told.into_iter().map(|(row, error)| skipped(row, error)));
        Ok(sorted)
    }

    /// `elsewhere` says that another table's rows give something else for it now.
    fn verdict(&self, task: &Task, now: &Fingerprint, elsewhere: bool) -> Verdict {
        // What was begun goes on, whatever the row has come to: somebody has to learn its end.
        if task.note.is_some() || self.scope == Scope::Unknown {
            return Verdict::Work;
        }
        let before = task.cell.as_ref();
        if before.is_some_and(|cell| cell.locked) {
            return Verdict::Leave;
        }
        if self.takes_what_moved()
            && let Some(cell) = before
        {
            if is_unmoved(cell, now) && !elsewhere {
                return Verdict::Leave;
            }
            // A person, or another program, left it out; nothing that moves changes that.
            let code = cell.error_code.as_deref().unwrap_or_default();
            if cell.state == CellState::Skipped && !LEFT_OUT.contains(&code) {
                return Verdict::Leave;
            }
        }
        let verdict = self.upstream(task).or_else(|| self.condition(task));
        let code = match &verdict {
            Some(Verdict::Skip(error)) => error.code.as_str(),
            Some(Verdict::Failed(..)) => UPSTREAM_FAILED,
            _ => return Verdict::Work,
        };
        // It was left out for this before: nothing moved.
        let as_before = before.is_some_and(|cell| {
            cell.state == CellState::Skipped && cell.error_code.as_deref() == Some(code)
        });
        match verdict {
            Some(verdict) if !(as_before && self.scope != Scope::All) => verdict,
            _ => Verdict::Leave,
        }
    }

    /// Whether it leaves alone what is as it would be made now.
    fn takes_what_moved(&self) -> bool {
        matches!(self.scope, Scope::Stale | Scope::Following)
    }

    /// What the columns that it needs have to say.
    fn upstream(&self, task: &Task) -> Option<Verdict> {
        let states = || task.states.iter().enumerate().filter(|(at, _)| !self.may_be_any(*at));
        if let Some((at, state)) = states().find_map(|(at, state)| match state {
            Some(state @ (CellState::Failed | CellState::Unknown)) => Some((at, *state)),
            _ => None,
        }) {
            return Some(Verdict::Failed(at, state));
        }
        if let Some((at, _)) = states().find(|(_, state)| **state == Some(CellState::Skipped)) {
            let name = self.name(at);
            let message = format!(
                "column {name} was skipped in this row, and this one needs it; see the cell of {name} for why"
            );
            return Some(Verdict::Skip(cell_error(UPSTREAM_SKIPPED, message)));
        }
        let empty = |at: usize| task.inputs.get(at).is_none_or(Value::is_null);
        let (at, _) = states().find(|(at, state)| {
            state.is_none() && self.smart.get(*at) == Some(&true) && empty(*at)
        })?;
        if at < self.inputs && self.does_without(task) {
            return None;
        }
        let name = self.name(at);
        let message = format!("column {name} has no value in this row yet; run {name} first");
        Some(Verdict::Skip(cell_error(UPSTREAM_EMPTY, message)))
    }

    fn condition(&self, task: &Task) -> Option<Verdict> {
        let unmet = self.terms.run_if.as_ref()?.unmet(&Seen { triage: self, task })?;
        let message = format!("run_if does not hold: {}", unmet.to_json(&self.table));
        Some(Verdict::Skip(cell_error(CONDITION, message)))
    }

    /// Whether its request can be made without the values that are missing: its templates have defaults for them.
    fn does_without(&self, task: &Task) -> bool {
        let inputs = task.inputs.get(..self.inputs).unwrap_or(&task.inputs);
        self.call.as_ref().is_some_and(|call| match call.render(inputs, "") {
            Ok(_) => true,
            Err(error) => error.code != "MISSING_VALUE",
        })
    }

    fn may_be_any(&self, at: usize) -> bool {
        self.any_state.get(at).copied().unwrap_or_default()
    }

    fn name(&self, at: usize) -> &str {
        self.columns.get(at).map_or("that is gone", |column| self.name_of(*column))
    }

    /// What a column of the table is called.
    pub(crate) fn name_of(&self, column: ColumnId) -> &str {
        let known = self.table.columns.iter().find(|known| known.id == column);
        known.map_or("that is gone", |column| &column.name)
    }
}

/// Whether a cell was made from what there is now, or failed with it. Of a cell whose end is a person's word alone nobody knows what it was made
/// from, so nothing has moved.
fn is_unmoved(cell: &CellBefore, now: &Fingerprint) -> bool {
    let then = cell.fingerprint.as_ref();
    let is_made = matches!(cell.state, CellState::Completed | CellState::Failed);
    is_made && then.is_none_or(|then| then.parts == now.parts)
}

/// The report of a cell that is left out.
fn skipped(row: RowId, error: CellError) -> TaskReport {
    let step = TaskStep::Finish { state: CellState::Skipped, value: None, error: Some(error) };
    TaskReport::new(row, None, step)
}
