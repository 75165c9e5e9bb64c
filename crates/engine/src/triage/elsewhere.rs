//! Cells whose values come from another table: its rows move without anything moving here, so they are asked again what
//! they give.

use std::collections::BTreeSet;
use std::sync::Arc;

use paceline_model::{CellBefore, CellState, Column, Fingerprint, RowId, Task, Value};

use super::{Triage, is_unmoved};
use crate::kind::{Bound, Local, Tools};

/// What is asked.
pub(super) struct OtherTable {
    local: Arc<dyn Local>,
    column: Column,
    /// The place of the column's own value in what tasks carry.
    own: usize,
}

impl OtherTable {
    /// None where nothing is read of another table.
    pub(super) fn of(bound: &Bound, column: &Column, own: usize) -> Option<Self> {
        let Bound::Local(local) = bound else { return None };
        local.reads()?;
        Some(Self { local: Arc::clone(local), column: column.clone(), own })
    }
}

impl Triage {
    /// The other table's name, where a completed cell of this row, made from these values, would get another value now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn reads_other(
        &self,
        tools: &Tools,
        (row, values): (RowId, Vec<Value>),
        then: Fingerprint,
    ) -> paceline_model::Result<Option<&str>> {
        let Some(elsewhere) = &self.elsewhere else { return Ok(None) };
        let cell = CellBefore {
            state: CellState::Completed,
            error_code: None,
            fingerprint: Some(then),
            locked: false,
        };
        let task = Task {
            row,
            inputs: values,
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: Some(cell),
            states: Vec::new(),
        };
        let moved = self.asked_again(elsewhere, tools, &[task]).await?;
        Ok(elsewhere.local.reads().filter(|_| moved.contains(&row)))
    }

    /// Of tasks whose inputs have not moved, those to whose cells the other table's rows give something else now.
    pub(super) async fn moved_elsewhere(
        &self,
        tools: &Tools,
        tasks: &[Task],
    ) -> paceline_model::Result<BTreeSet<RowId>> {
        match &self.elsewhere {
            Some(elsewhere) if self.takes_what_moved() => {
                self.asked_again(elsewhere, tools, tasks).await
            }
            _ => Ok(BTreeSet::new()),
        }
    }

    async fn asked_again(
        &self,
        elsewhere: &OtherTable,
        tools: &Tools,
        tasks: &[Task],
    ) -> paceline_model::Result<BTreeSet<RowId>> {
        let unmoved = tasks.iter().filter(|task| {
            let now = self.fingerprint(&task.inputs);
            // A person's word is not asked again.
            let made = task.cell.as_ref().filter(|it| it.fingerprint.is_some() && !it.locked);
            made.is_some_and(|cell| is_unmoved(cell, &now))
        });
        let mut asked: Vec<Task> = unmoved.cloned().collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let own = |task: &Task| task.inputs.get(elsewhere.own).cloned().unwrap_or_default();
        let before: Vec<Value> = asked.iter().map(own).collect();
        for task in &mut asked {
            task.inputs.truncate(self.inputs);
        }
        let filled = elsewhere.local.fill(tools, &elsewhere.column, &asked).await;
        let filled = filled.map_err(crate::Error::into_store)?;
        let pairs = asked.iter().zip(filled).zip(before);
        let moved = pairs.filter(|((_, now), before)| match now {
            // As the store gives it back, 3.0 may be 3.
            Ok(now) => now != before && now.to_text() != before.to_text(),
            Err(_) => true,
        });
        Ok(moved.map(|((task, _), _)| task.row).collect())
    }
}
