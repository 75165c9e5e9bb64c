//! Columns that run by themselves when rows are inserted or change (spec R1), and the switch of a table that keeps them
//! from it.
//!
//! How far a column has looked is kept in the store, and moved on after the runs for what it saw have ended: a crash loses
//! no row and repeats none, because such a run takes only rows whose cell is empty or not made from what there is now.
//! Only rows that came or changed since the column was told to run by itself are taken: telling it so costs nothing. A
//! person who cancels an automatic run is obeyed: the column does not begin by itself again before somebody has run it, or
//! has switched its table on again.

mod look;
mod touched;

use std::collections::HashMap;
use std::time::Duration;

use paceline_model::{Column, ColumnId, RowId, RunId, Table, TableEnd, TableId};

use super::Engine;
use crate::Result;
use crate::common::AutoRun;

/// How far a column has looked, as "SEQUENCE ROW": see [`TableEnd`].
const SEEN: &str = "automatic_seen:";
/// Tables whose columns do not run by themselves, whatever they are told; and the newest run there was when a table was
/// switched on again.
const SWITCH: &str = "automatic:";
const OFF: &str = "off";
/// Time between two looks, so that a busy table is not looked at with every commit.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// When to look again, though nothing has changed, after something could not be done.
const RETRY_EVERY: Duration = Duration::from_secs(30);

/// What is known from one look to the next. Without it, after a restart, only more is looked at again.
#[derive(Debug, Default)]
struct Watch {
    /// How far each table had come when all of it was looked at.
    ends: HashMap<TableId, TableEnd>,
    /// The newest run that was begun here of a column.
    begun: HashMap<ColumnId, Begun>,
}

/// A run that was begun for what a column saw.
#[derive(Clone, Copy, Debug)]
struct Begun {
    run: RunId,
    /// What was seen goes up to here.
    upto: TableEnd,
    /// With it nothing of that is left to do, so that others may come after it.
    whole: bool,
}

impl Engine {
    /// Watches all tables, and starts runs of the columns that run by themselves. Never ends; drop it to stop.
    pub async fn run_automatically(&self) {
        let mut watch = Watch::default();
        let mut seen = 0;
        loop {
            let well = self.look_for_work(&mut watch).await;
            self.inner.clock.sleep(LOOK_EVERY).await;
            let changed = self.inner.store.next_change(seen);
            if well {
                seen = changed.await;
            } else {
                tokio::select! {
                    now = changed => seen = now,
                    () = self.inner.clock.sleep(RETRY_EVERY) => {}
                }
            }
        }
    }

    /// Lets the columns of a table run by themselves as they are told, or keeps all of them from it. Runs at work go on.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_automatic(&self, table: TableId, enabled: bool) -> Result<()> {
        let _held = self.inner.schema.lock().await;
        let newest = self.inner.store.runs(table, 1).await?.first().map_or(0, |run| run.id.0);
        let value = if enabled { newest.to_string() } else { OFF.to_owned() };
        if enabled && !self.is_automatic(table).await? {
            // What came while it was off stays as it is.
            for (column, _) in told_to_run(&self.fresh(table).await?) {
                self.watch_from_now(table, column.id).await?;
            }
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

    /// Of a table that was just made: what comes from now on is looked at by the columns that are told to run by
    /// themselves.
    pub(super) async fn watch_told(&self, table: &Table) -> Result<()> {
        for (column, _) in told_to_run(table) {
            self.watch_from_now(table.id, column.id).await?;
        }
        Ok(())
    }

    /// Whatever happened to the table so far is nothing to the column.
    pub(super) async fn watch_from_now(&self, table: TableId, column: ColumnId) -> Result<()> {
        let end = self.inner.store.table_end(table).await?;
        self.keep_seen(column, end).await
    }

    async fn keep_seen(&self, column: ColumnId, upto: TableEnd) -> Result<()> {
        let value = format!("{} {}", upto.sequence, upto.row);
        Ok(self.inner.store.set_setting(&format!("{SEEN}{column}"), &value).await?)
    }

    async fn seen(&self, column: ColumnId) -> Result<Option<TableEnd>> {
        let kept = self.inner.store.setting(&format!("{SEEN}{column}")).await?;
        Ok(kept.as_deref().and_then(|kept| {
            let (sequence, row) = kept.split_once(' ')?;
            Some(TableEnd { sequence: sequence.parse().ok()?, row: RowId(row.parse().ok()?) })
        }))
    }

    /// Looks at every table that has come further; false if something could not be done.
    async fn look_for_work(&self, watch: &mut Watch) -> bool {
        let tables = match self.inner.store.tables().await {
            Ok(tables) => tables,
            Err(error) => {
                tracing::warn!(%error, "columns that run by themselves were not looked at; they will be again");
                return false;
            }
        };
        let mut well = true;
        for table in &tables {
            match self.look_at(table, watch).await {
                Ok(all) => well &= all,
                Err(error) => {
                    tracing::warn!(table = %table.name, %error, "its columns do not run by themselves now");
                    well = false;
                }
            }
        }
        well
    }

    /// Lets each column that is told to run by itself look at what is new in its table; false if one of them could not.
    async fn look_at(&self, table: &Table, watch: &mut Watch) -> Result<bool> {
        let told = told_to_run(table);
        if told.is_empty() || !self.is_automatic(table.id).await? {
            return Ok(true);
        }
        let end = self.inner.store.table_end(table.id).await?;
        if watch.ends.get(&table.id) == Some(&end) {
            return Ok(true);
        }
        let graph = self.graph(table);
        let unfinished = self.inner.store.unfinished_runs(Some(table.id)).await?;
        let ids: Vec<ColumnId> = told.iter().map(|(column, _)| column.id).collect();
        // Of each column, up to where others that need it may look.
        let mut done: HashMap<ColumnId, TableEnd> = HashMap::new();
        let mut well = true;
        for id in graph.ordered(&ids) {
            let Some((column, auto_run)) = told.iter().find(|(column, _)| column.id == id) else {
                continue;
            };
            let needs = graph.needs(id);
            let bound = needs.iter().filter_map(|needed| done.get(needed)).copied();
            let bound = bound.min_by_key(|end| end.sequence);
            let own = unfinished.iter().find(|run| run.column == id).map(|run| run.id);
            let begun = &mut watch.begun;
            let look = look::Look { table, column, auto_run: *auto_run, needs, bound };
            match self.look_as(&look, own, begun).await {
                Ok(upto) => done.insert(id, upto),
                Err(error) => {
                    tracing::warn!(table = %table.name, column = %column.name, %error, "it does not run by itself now");
                    well = false;
                    // Those that need it wait for it.
                    done.insert(id, TableEnd::default())
                }
            };
        }
        if well {
            watch.ends.insert(table.id, end);
        }
        Ok(well)
    }
}

/// The columns of a table that are told to run by themselves.
fn told_to_run(table: &Table) -> Vec<(&Column, AutoRun)> {
    let told = |column| {
        let auto_run = told(column);
        (auto_run != AutoRun::Never).then_some((column, auto_run))
    };
    table.columns.iter().filter_map(told).collect()
}

/// When a column is told to run by itself.
fn told(column: &Column) -> AutoRun {
    let config = column.smart.as_ref().map(|smart| &smart.config);
    config.map(crate::common::auto_run).unwrap_or_default()
}
