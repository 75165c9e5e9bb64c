//! One column that runs by itself looks at what is new in its table, a stretch of changes at a time, and begins a run where
//! something of it is due.
//!
//! It never looks further than those columns have come that it needs and that run by themselves too: where one of them is
//! put off, paused say, rows would be left out for want of a value that is yet to come. A column that has begun its run over
//! all that it saw is passed on as if it were done: the run of the next one comes after that run, row by row.

use std::collections::HashMap;

use paceline_model::{
    ColumnId, DueQuery, NewRun, RowId, Run, RunId, RunOptions, RunStatus, Scope, Table, TableEnd,
    TableId,
};

use super::super::{Asked, Engine};
use super::touched::Touched;
use super::{AutoRun, Begun, Column, SWITCH, told};
use crate::Result;

/// Changes read at once; one may tell of 10,000 rows.
const CHANGES_MAX: usize = 500;

/// Who looks.
pub(super) struct Look<'t> {
    pub(super) table: &'t Table,
    pub(super) column: &'t Column,
    pub(super) auto_run: AutoRun,
    /// The smart columns that it needs.
    pub(super) needs: &'t [ColumnId],
    /// How far those of them have come that run by themselves.
    pub(super) bound: Option<TableEnd>,
}

/// A stretch of what is new.
struct Stretch {
    touched: Touched,
    upto: TableEnd,
}

/// A run to be begun.
struct Due {
    scope: Scope,
    options: RunOptions,
    /// See [`Begun::whole`].
    whole: bool,
}

impl Look<'_> {
    /// What the column is called by now.
    fn name_in<'n>(&'n self, table: &'n Table) -> &'n str {
        let known = table.columns.iter().find(|known| known.id == self.column.id);
        &known.unwrap_or(self.column).name
    }
}

impl Engine {
    /// Begins a run of a column if something new is due, and keeps how far it has looked once nothing of it is left to do.
    /// `own` is its run that is not at its end. Answers up to where those that need it may look.
    pub(super) async fn look_as(
        &self,
        look: &Look<'_>,
        own: Option<RunId>,
        begun: &mut HashMap<ColumnId, Begun>,
    ) -> Result<TableEnd> {
        let column = look.column.id;
        let Some(mut seen) = self.seen(column).await? else {
            self.watch_from_now(look.table.id, column).await?;
            return Ok(TableEnd::default());
        };
        if let Some(own) = own {
            // A paused one waits for a person, and what is new with it.
            let whole = begun.get(&column).filter(|begun| begun.run == own && begun.whole);
            return Ok(whole.map_or(seen, |begun| begun.upto));
        }
        // What it began a run for comes first, by itself: else on a busy table the stretch would grow for ever.
        let first = begun.remove(&column).map(|begun| begun.upto);
        while let Some(Stretch { touched, upto }) = self.stretch(look, seen, first).await? {
            let due = self.due(look, &touched).await?;
            // What a person says of the column meanwhile holds: nobody says anything from here on.
            let _held = self.inner.schema.lock().await;
            let Some(table) = self.still(look, seen).await? else { return Ok(seen) };
            if let Some(Due { scope, options, whole }) = due {
                let name = look.name_in(&table);
                let runs = self.start_runs(&table, &[name], scope, options).await?;
                let run = runs.first().map_or(RunId(0), |run| run.id);
                begun.insert(column, Begun { run, upto, whole });
                return Ok(if whole { upto } else { seen });
            }
            seen = upto;
            self.keep_seen(column, seen).await?;
        }
        Ok(seen)
    }

    /// The table as it is now, if the column is still told what it was told, and was not told anew to begin from somewhere
    /// else.
    async fn still(&self, look: &Look<'_>, seen: TableEnd) -> Result<Option<Table>> {
        let table = self.fresh(look.table.id).await?;
        let column = table.columns.iter().find(|known| known.id == look.column.id);
        let is_told = column.is_some_and(|column| told(column) == look.auto_run);
        Ok((is_told && self.seen(look.column.id).await? == Some(seen)).then_some(table))
    }

    /// What comes after what a column has seen; `None` if it has to wait for more.
    async fn stretch(
        &self,
        look: &Look<'_>,
        seen: TableEnd,
        first: Option<TableEnd>,
    ) -> Result<Option<Stretch>> {
        let store = &self.inner.store;
        let (mut changes, oldest) =
            store.changes_after(look.table.id, seen.sequence, CHANGES_MAX).await?;
        if seen.sequence < oldest {
            return self.after_a_gap(look, seen).await;
        }
        let first = first.filter(|first| first.sequence > seen.sequence);
        for end in [look.bound, first].into_iter().flatten() {
            changes.retain(|change| change.sequence <= end.sequence);
        }
        let Some(last) = changes.last() else { return Ok(None) };
        let touched = Touched::of(&changes, look.auto_run, look.needs);
        let newest = touched.inserted.iter().map(|(_, last)| *last).max();
        let row = newest.map_or(seen.row, |newest| newest.max(seen.row));
        Ok(Some(Stretch { upto: TableEnd { sequence: last.sequence, row }, touched }))
    }

    /// Changes that it has not seen are not kept any more. Which rows came is known all the same, because ids only grow;
    /// which changed is asked of all of them.
    async fn after_a_gap(&self, look: &Look<'_>, seen: TableEnd) -> Result<Option<Stretch>> {
        let end = self.inner.store.table_end(look.table.id).await?;
        let upto = look.bound.filter(|bound| bound.sequence < end.sequence).unwrap_or(end);
        if upto.sequence <= seen.sequence {
            return Ok(None);
        }
        let came = (RowId(seen.row.0.saturating_add(1)), upto.row);
        let touched = Touched {
            inserted: if came.0 <= came.1 { vec![came] } else { Vec::new() },
            any: look.auto_run == AutoRun::OnChange,
            ..Touched::default()
        };
        Ok(Some(Stretch { touched, upto }))
    }

    /// The run that a column is to begin over the rows that were touched, if any of its cells is due.
    async fn due(&self, look: &Look<'_>, touched: &Touched) -> Result<Option<Due>> {
        if touched.is_empty() || self.is_told_to_stop(look.table.id, look.column.id).await? {
            return Ok(None);
        }
        let (table, column) = (look.table, look.column);
        let asks = touched.asks();
        let whole = asks.len() == 1;
        for (scope, filter) in asks {
            let options =
                RunOptions { filter: Some(filter), automatic: true, ..RunOptions::default() };
            let run =
                NewRun { options: options.clone(), ..NewRun::new(table.id, column.id, scope) };
            let query = DueQuery { run, after: RowId(0), max: 1 };
            if self.inner.store.due_cells(&query, &[]).await?.is_empty() {
                continue;
            }
            // A stale cell that turns out not to be stays as it is: nothing is called for it.
            if scope == Scope::Stale && self.is_unmoved(table, &column.name, &options).await {
                continue;
            }
            return Ok(Some(Due { scope, options, whole }));
        }
        Ok(None)
    }

    /// A column of which that cannot be told has a run begun: it pauses with the reason, where a person sees it.
    async fn is_unmoved(&self, table: &Table, column: &str, options: &RunOptions) -> bool {
        let asked = Asked { scope: Scope::Stale, options, dependents: false };
        let plan = self.plan(table, column, asked).await;
        plan.is_ok_and(|plan| plan.cells == plan.unchanged)
    }

    /// Whether a person has cancelled what the column did by itself, and has not let it go on since.
    async fn is_told_to_stop(&self, table: TableId, column: ColumnId) -> Result<bool> {
        let newest = self.inner.store.newest_run(column).await?;
        let cancelled = |run: &Run| run.options.automatic && run.status == RunStatus::Cancelled;
        let Some(run) = newest.filter(cancelled) else { return Ok(false) };
        let switch = self.inner.store.setting(&format!("{SWITCH}{table}")).await?;
        let switched_on = switch.and_then(|newest| newest.parse::<i64>().ok());
        Ok(switched_on < Some(run.id.0))
    }
}
