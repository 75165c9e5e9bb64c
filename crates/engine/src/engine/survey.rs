//! Looks at every cell that a run would take up, as the run would: what it counts is the run's plan, and what it has seen the
//! plan's token.

use std::collections::HashSet;

use paceline_model::{
    CellState, Column, DueQuery, Fingerprint, NewRun, RowId, RunOptions, Table, Task, TaskReport,
    TaskStep,
};

use super::Engine;
use super::plan::{Asked, Plan};
use crate::triage::{Sorted, Triage};
use crate::{Error, Result};

/// Rows looked at in one step.
const STEP_ROWS: usize = 1_000;

/// Calls that a cell of a run may lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// For each call of a plan: more than one of a waterfall, none of a column that calls nobody.
    pub(super) per_call: u64,
    /// For each cell, by the columns that follow.
    pub(super) per_cell: u64,
    /// What those cost, in whole units.
    pub(super) cost_per_cell: f64,
}

impl Load {
    /// Whether nobody is called.
    pub(super) fn is_none(&self) -> bool {
        self.per_call + self.per_cell == 0
    }

    pub(super) fn following(&self, plan: &Plan) -> u64 {
        plan.taken().saturating_mul(self.per_cell)
    }

    pub(super) fn following_cost(&self, plan: &Plan) -> u64 {
        (self.cost_per_cell * 1e6 * plan.taken() as f64).round() as u64
    }
}

impl Plan {
    /// Cells that come to an end by the run.
    fn taken(&self) -> u64 {
        self.cells.saturating_sub(self.unchanged)
    }
}

/// Counts cells, and remembers which they are.
pub(super) struct Survey {
    plan: Plan,
    load: Load,
    keys: HashSet<[u8; 16]>,
    digest: blake3::Hasher,
}

impl Engine {
    /// Looks at everything a run would take up, until it may make more than `until` calls.
    pub(super) async fn survey(
        &self,
        table: &Table,
        column: &Column,
        (asked, load): (Asked<'_>, &Load),
        triage: &Triage,
        until: u64,
    ) -> Result<Survey> {
        let mut survey = Survey::new(table, column, asked, *load)?;
        // Cells that stay as they are do not count towards the first so many, and only here it is seen which those are.
        let options = RunOptions { first: None, ..asked.options.clone() };
        let run = NewRun { options, ..NewRun::new(table.id, column.id, asked.scope) };
        let mut query = DueQuery { run, after: RowId(0), max: STEP_ROWS };
        let mut left = asked.options.first.unwrap_or(u64::MAX);
        while left > 0 && survey.calls_at_most() <= until {
            let tasks = self.inner.store.due_cells(&query, triage.columns()).await?;
            let Some(last) = tasks.last() else { break };
            query.after = last.row;
            let is_last = tasks.len() < query.max;
            let mut tasks = tasks.into_iter().peekable();
            while left > 0 && tasks.peek().is_some() {
                let some =
                    tasks.by_ref().take(usize::try_from(left).unwrap_or(STEP_ROWS)).collect();
                left -= self.count(column, triage, &mut survey, some).await?;
            }
            if is_last {
                break;
            }
        }
        Ok(survey)
    }

    /// Counts some of the tasks. Answers how many of them the run would bring to an end.
    async fn count(
        &self,
        column: &Column,
        triage: &Triage,
        survey: &mut Survey,
        tasks: Vec<Task>,
    ) -> Result<u64> {
        let before = survey.plan.taken();
        survey.plan.cells += tasks.len() as u64;
        let Sorted { work, ended } = triage.sort(&self.inner.tools, tasks).await?;
        survey.ended(&ended);
        if survey.load.per_call > 0 {
            let known = self.known(column, survey, &work).await?;
            survey.work(&work, &known);
        } else {
            work.iter().for_each(|(task, print)| survey.digest(task.row, &print.parts));
        }
        Ok(survey.plan.taken() - before)
    }

    /// Which of these tasks an earlier cell has the value for, by their place.
    async fn known(
        &self,
        column: &Column,
        survey: &mut Survey,
        work: &[(Task, Fingerprint)],
    ) -> Result<HashSet<[u8; 16]>> {
        let keys: Vec<[u8; 16]> = work
            .iter()
            .filter_map(|(_, print)| print.key)
            .filter(|key| !survey.keys.contains(key))
            .collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let values = self.inner.store.reusable_values(column.id, &keys).await?;
        Ok(keys.into_iter().zip(values).filter_map(|(key, value)| value.map(|_| key)).collect())
    }
}

impl Survey {
    fn new(table: &Table, column: &Column, asked: Asked<'_>, load: Load) -> Result<Self> {
        let version = column.smart.as_ref().map_or(0, |smart| smart.version);
        let Asked { scope, options, dependents } = asked;
        // With what follows: other columns that need this one are another plan.
        let following = dependents.then_some((load.per_cell, load.cost_per_cell));
        let asked = (table.id, column.id, version, scope, options, following);
        let asked =
            serde_json::to_string(&asked).map_err(|error| Error::Internal(error.to_string()))?;
        let mut digest = blake3::Hasher::new();
        digest.update(asked.as_bytes());
        Ok(Self { plan: Plan::default(), load, keys: HashSet::new(), digest })
    }

    /// Calls that the cells looked at so far may lead to.
    pub(super) fn calls_at_most(&self) -> u64 {
        let calls = self.plan.calls.saturating_mul(self.load.per_call);
        calls.saturating_add(self.load.following(&self.plan))
    }

    pub(super) fn into_parts(self) -> (Plan, blake3::Hasher) {
        (self.plan, self.digest)
    }

    fn digest(&mut self, row: RowId, parts: &[u32]) {
        self.digest.update(&row.0.to_le_bytes());
        for part in parts {
            self.digest.update(&part.to_le_bytes());
        }
    }

    fn ended(&mut self, reports: &[TaskReport]) {
        for report in reports {
            self.digest(report.row, &[]);
            match &report.step {
                TaskStep::Finish { state: CellState::Skipped, error, .. } => {
                    let code = error.as_ref().map_or("", |error| error.code.as_str());
                    *self.plan.skipped.entry(code.to_owned()).or_default() += 1;
                }
                _ => self.plan.unchanged += 1,
            }
        }
    }

    fn work(&mut self, work: &[(Task, Fingerprint)], known: &HashSet<[u8; 16]>) {
        for (task, print) in work {
            self.digest(task.row, &print.parts);
            match print.key {
                Some(key) if self.keys.contains(&key) => self.plan.shared += 1,
                Some(key) if known.contains(&key) => self.plan.reused += 1,
                Some(key) => {
                    self.keys.insert(key);
                    self.plan.calls += 1;
                }
                None => self.plan.calls += 1,
            }
        }
    }
}
