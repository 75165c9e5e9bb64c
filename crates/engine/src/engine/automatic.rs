//! Columns that run by themselves when rows are inserted or change (spec R1), and the switch of a table that keeps them
//! from it.
//!
//! What was seen is a position among the table's changes, kept in the store after the runs for them were made: a crash
//! loses no row and repeats none, because such a run takes only rows whose cell is empty or stale. Only rows that came or
//! changed since the column was told to run by itself are taken: telling it so costs nothing. A person who cancels an
//! automatic run is obeyed: the column does not begin by itself again before somebody has run it, or has switched its
//! table on again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_model::{
    Change, ChangeKind, ColumnId, DueQuery, Filter, NewRun, Operator, RowId, Run, RunOptions,
    RunStatus, Scope, Subject, Table, TableId, Test, Value, limits,
};

use super::{Asked, Engine};
use crate::Result;
use crate::common::AutoRun;

/// Which changes were seen, by table.
const SEEN: &str = "automatic_seen:";
/// Tables whose columns do not run by themselves, whatever they are told; and the newest run there was when a table was
/// switched on again.
const SWITCH: &str = "automatic:";
const OFF: &str = "off";
/// Changes read at once.
const CHANGES_MAX: usize = 1_000;
/// Ranges of rows in the filter of one run; further ones get a run of their own.
const RANGES_MAX: usize = 100;
/// Time between two looks, so that a busy table is not looked at with every commit.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Rows that came, and rows that changed, for one column.
#[derive(Default)]
struct Touched {
    inserted: Vec<(RowId, RowId)>,
    changed: BTreeSet<RowId>,
    /// More changed than was told.
    any: bool,
}

impl Engine {
    /// Watches all tables, and starts runs of the columns that run by themselves. Never ends; drop it to stop.
    pub async fn run_automatically(&self) {
        let mut seen = 0;
        loop {
            if let Err(error) = self.look_for_work().await {
                tracing::warn!(%error, "columns that run by themselves were not looked at; they will be again");
            }
            self.inner.clock.sleep(LOOK_EVERY).await;
            seen = self.inner.store.next_change(seen).await;
        }
    }

    /// Lets the columns of a table run by themselves as they are told, or keeps all of them from it. Runs at work go on.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_automatic(&self, table: TableId, enabled: bool) -> Result<()> {
        let newest = self.inner.store.runs(table, 1).await?.first().map_or(0, |run| run.id.0);
        let value = if enabled { newest.to_string() } else { OFF.to_owned() };
        if enabled && !self.is_automatic(table).await? {
            // What came while it was off stays as it is.
            self.forget_changes(table).await?;
        }
        Ok(self.inner.store.set_setting(&format!("{SWITCH}{table}"), &value).await?)
    }

    /// Whether columns of a table may run by themselves.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_automatic(&self, table: TableId) -> Result<bool> {
        let switch = self.inner.store.setting(&format!("{SWITCH}{table}")).await?;
        Ok(switch.as_deref() != Some(OFF))
    }

    /// From now on the changes of a table are looked at, if any of its columns is told to run by itself.
    pub(super) async fn watch_told(&self, table: &Table) -> Result<()> {
        if self.told_to_run(table).is_empty() {
            return Ok(());
        }
        match self.inner.store.setting(&format!("{SEEN}{}", table.id)).await? {
            Some(_) => Ok(()),
            None => self.forget_changes(table.id).await,
        }
    }

    async fn forget_changes(&self, table: TableId) -> Result<()> {
        let mut last = 0;
        loop {
            let (changes, _) = self.inner.store.changes_after(table, last, CHANGES_MAX).await?;
            last = changes.last().map_or(last, |change| change.sequence);
            if changes.len() < CHANGES_MAX {
                return self.seen(table, last).await;
            }
        }
    }

    async fn seen(&self, table: TableId, sequence: i64) -> Result<()> {
        let name = format!("{SEEN}{table}");
        Ok(self.inner.store.set_setting(&name, &sequence.to_string()).await?)
    }

    async fn look_for_work(&self) -> Result<()> {
        for table in self.inner.store.tables().await? {
            let told = self.told_to_run(&table);
            if !told.is_empty()
                && let Err(error) = self.look_at(&table, &told).await
            {
                tracing::warn!(table = %table.name, %error, "its columns do not run by themselves now");
            }
        }
        Ok(())
    }

    /// The columns of a table that are told to run by themselves.
    fn told_to_run(&self, table: &Table) -> Vec<(ColumnId, AutoRun)> {
        let told = |column: &paceline_model::Column| {
            let auto_run = crate::common::auto_run(&column.smart.as_ref()?.config);
            (auto_run != AutoRun::Never).then_some((column.id, auto_run))
        };
        table.columns.iter().filter_map(told).collect()
    }

    /// Starts what the changes of a table ask for, and keeps how far it has looked once nothing of them is left to do.
    async fn look_at(&self, table: &Table, told: &[(ColumnId, AutoRun)]) -> Result<()> {
        let seen = self.inner.store.setting(&format!("{SEEN}{}", table.id)).await?;
        let Some(after) = seen.and_then(|seen| seen.parse::<i64>().ok()) else {
            return self.watch_told(table).await;
        };
        let (changes, _) = self.inner.store.changes_after(table.id, after, CHANGES_MAX).await?;
        let Some(last) = changes.last().map(|change| change.sequence) else { return Ok(()) };
        let mut done = true;
        if self.is_automatic(table.id).await? {
            let runs = self.inner.store.runs(table.id, usize::MAX).await?;
            for (column, touched) in self.touched(table, told, &changes) {
                done &= self.take_up(table, column, &touched, &runs).await?;
            }
        }
        if done { self.seen(table.id, last).await } else { Ok(()) }
    }

    /// What the changes mean for each column.
    fn touched(
        &self,
        table: &Table,
        told: &[(ColumnId, AutoRun)],
        changes: &[Change],
    ) -> BTreeMap<ColumnId, Touched> {
        let graph = self.graph(table);
        let mut all: BTreeMap<ColumnId, Touched> = BTreeMap::new();
        for change in changes {
            for (column, auto_run) in told {
                let touched = all.entry(*column).or_default();
                match &change.kind {
                    ChangeKind::RowsInserted { first, last } => {
                        touched.inserted.push((*first, *last));
                    }
                    _ if *auto_run != AutoRun::OnChange => {}
                    ChangeKind::RowsUpdated { rows } => touched.changed.extend(rows),
                    ChangeKind::Reload => touched.any = true,
                    ChangeKind::Cells { column: of, rows } if graph.needs(*column).contains(of) => {
                        touched.changed.extend(rows);
                    }
                    _ => {}
                }
            }
        }
        all.retain(|_, touched| !touched.is_empty());
        all
    }

    /// Starts a run of a column over the rows that were touched, if any of its cells is due; false if something of it is
    /// left to do.
    async fn take_up(
        &self,
        table: &Table,
        column: ColumnId,
        touched: &Touched,
        runs: &[Run],
    ) -> Result<bool> {
        // Newest first.
        let newest = runs.iter().find(|run| run.column == column);
        if let Some(run) = newest
            && !run.status.is_final()
        {
            // A paused one waits for a person, and its rows with it.
            return Ok(false);
        }
        if let Some(run) = newest
            && run.options.automatic
            && run.status == RunStatus::Cancelled
            && !self.was_switched_on_after(table.id, run).await?
        {
            return Ok(true);
        }
        let Some(name) = table.columns.iter().find(|known| known.id == column) else {
            return Ok(true);
        };
        for (scope, filter) in touched.asks() {
            let options =
                RunOptions { filter: Some(filter), automatic: true, ..RunOptions::default() };
            let run = NewRun { options: options.clone(), ..NewRun::new(table.id, column, scope) };
            let query = DueQuery { run, after: RowId(0), max: 1 };
            if self.inner.store.due_cells(&query, &[]).await?.is_empty() {
                continue;
            }
            // A stale cell that turns out not to be stays as it is: nothing is called for it.
            // What cannot be planned cannot begin either: its run is paused, and says why.
            if scope == Scope::Stale
                && self.is_unmoved(table, &name.name, &options).await.unwrap_or(false)
            {
                continue;
            }
            self.start_runs(table, &[&name.name], scope, options).await?;
            return Ok(false);
        }
        Ok(true)
    }

    async fn is_unmoved(&self, table: &Table, column: &str, options: &RunOptions) -> Result<bool> {
        let asked = Asked { scope: Scope::Stale, options, dependents: false };
        let plan = self.plan(table, column, asked).await?;
        Ok(plan.cells == plan.unchanged)
    }

    async fn was_switched_on_after(&self, table: TableId, run: &Run) -> Result<bool> {
        let switch = self.inner.store.setting(&format!("{SWITCH}{table}")).await?;
        Ok(switch.and_then(|newest| newest.parse::<i64>().ok()) >= Some(run.id.0))
    }
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.inserted.is_empty() && self.changed.is_empty() && !self.any
    }

    /// The scopes and the rows to run, each of a size that a filter may have.
    fn asks(&self) -> Vec<(Scope, Filter)> {
        if self.any {
            return vec![(Scope::Stale, Filter::All(Vec::new()))];
        }
        let ranges = joined(&self.inserted);
        let inserted = ranges.chunks(RANGES_MAX).map(|ranges| {
            let ranges = ranges.iter().map(|(first, last)| {
                of_ids(Operator::Between(Value::Int(first.0), Value::Int(last.0)))
            });
            (Scope::Empty, Filter::Any(ranges.collect()))
        });
        let rows: Vec<Value> = self.changed.iter().map(|row| Value::Int(row.0)).collect();
        let changed = rows.chunks(limits::FILTER_VALUES_MAX).flat_map(|rows| {
            let rows = of_ids(Operator::In(rows.to_vec()));
            [(Scope::Empty, rows.clone()), (Scope::Stale, rows)]
        });
        inserted.chain(changed).collect()
    }
}

fn of_ids(operator: Operator) -> Filter {
    Filter::Test(Test { subject: Subject::Id, path: Vec::new(), operator })
}

/// Ranges that follow one another as one.
fn joined(ranges: &[(RowId, RowId)]) -> Vec<(RowId, RowId)> {
    let mut all: Vec<(RowId, RowId)> = Vec::new();
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    for (first, last) in sorted {
        match all.last_mut() {
            Some((_, end)) if first.0 <= end.0.saturating_add(1) => *end = (*end).max(last),
            _ => all.push((first, last)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_that_follow_one_another_are_one_range() {
        let range = |first, last| (RowId(first), RowId(last));
        let given = [range(5, 6), range(1, 4), range(9, 9), range(6, 7)];
        assert_eq!(joined(&given), [range(1, 7), range(9, 9)]);
    }
}
