//! A row as a condition (`run_if`) looks at it.

use std::borrow::Cow;

use paceline_model::{CellState, ColumnId, Filter, FilterRow, Subject, Task, Value};

use super::Triage;

/// A task as a condition looks at it.
pub(super) struct Seen<'t> {
    pub(super) triage: &'t Triage,
    pub(super) task: &'t Task,
}

impl Seen<'_> {
    fn at(&self, column: ColumnId) -> Option<usize> {
        self.triage.columns.iter().position(|known| *known == column)
    }
}

impl FilterRow for Seen<'_> {
    fn value(&self, subject: Subject) -> Cow<'_, Value> {
        let value = match subject {
            Subject::Id => return Cow::Owned(Value::Int(self.task.row.0)),
            Subject::Column(column) => self.at(column).and_then(|at| self.task.inputs.get(at)),
            // Refused when the column is made.
            Subject::CreatedAt | Subject::UpdatedAt => None,
        };
        value.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
    }

    fn state(&self, column: ColumnId) -> Option<CellState> {
        self.at(column).and_then(|at| self.task.states.get(at).copied().flatten())
    }
}

/// For the field `run_if` of a fingerprint: the same for the same condition, whatever its columns are called.
pub(super) fn text_of(run_if: Option<&Filter>) -> String {
    run_if.and_then(|filter| serde_json::to_string(filter).ok()).unwrap_or_default()
}
