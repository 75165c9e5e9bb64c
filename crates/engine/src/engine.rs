//! The engine's handle: check and make smart columns; start, pause, resume, cancel and follow runs.

mod automatic;
mod budgets;
mod caps;
mod columns;
mod graph;
mod hex;
mod launch;
mod past;
mod plan;
mod readers;
mod record;
mod schema;
mod settle;
mod shared;
mod spec;
mod stale;
mod start;
mod status;
mod survey;
mod time;
mod turn;
mod waterfall;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::{Clock, Random};
use paceline_governor::{Budget, Rate};
use paceline_model::{
    Column, ColumnId, Run, RunId, RunStatus, SmartColumn, Store, Table, TableId, limits, suggest,
};
use tokio::sync::watch;

use crate::fetch::Fetcher;
use crate::kind::Tools;
use crate::ledger::Account;
use crate::runner::{Reported, RunContext, Stop};
use crate::tally::Tally;
use crate::{EngineConfig, Error, OutboundGuard, Progress, Result, Sealer};
pub use budgets::BudgetSpec;
pub use columns::SmartSpec;
pub use plan::{Asked, Plan};
pub use schema::ColumnSpec;
pub use settle::Settle;
pub(crate) use shared::Passer;
pub use status::{ColumnBudget, SharedStatus};

/// The engine of one store. Clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    random: Random,
    config: EngineConfig,
    /// New with every start of a process, so that a report of an earlier one is known for late.
    token: i64,
    fetcher: Fetcher,
    tools: Tools,
    tally: Arc<Tally>,
    /// Held while columns are changed: what a template means is checked against the columns there are.
    schema: tokio::sync::Mutex<()>,
    /// Held while it is made out which columns share a budget, and the budget is made.
    sharing: tokio::sync::Mutex<()>,
    turns: turn::Turns,
    /// Read or made once.
    key_seed: tokio::sync::OnceCell<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    budgets: HashMap<ColumnId, (Rate, Budget)>,
    /// Of waterfalls, by source.
    sources: HashMap<(ColumnId, String), (Rate, Budget)>,
    /// By what is found under [`shared::Group::key`].
    shared: HashMap<String, shared::Known>,
    /// By token and address.
    hex: HashMap<String, hex::Known>,
    /// What the calls of a column have come to today.
    accounts: HashMap<ColumnId, Arc<Account>>,
    /// By the address of a Hex.
    books: HashMap<String, hex::Told>,
    active: HashMap<RunId, Active>,
    /// By table: told whenever a run of it has come further.
    reported: HashMap<TableId, Reported>,
}

#[derive(Clone)]
struct Active {
    ctx: Arc<RunContext>,
    done: watch::Receiver<bool>,
}

impl Engine {
    /// An engine over a store that no other process works on.
    pub fn new(store: Arc<dyn Store>, clock: Clock, random: Random, config: EngineConfig) -> Self {
        let token = (random.next_u64() >> 1) as i64;
        let tools = Tools::new(Arc::clone(&store), clock.clone(), &config);
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                random,
                config,
                token,
                fetcher: Fetcher::default(),
                tools,
                tally: Arc::default(),
                schema: tokio::sync::Mutex::default(),
                sharing: tokio::sync::Mutex::default(),
                turns: turn::Turns::default(),
                key_seed: tokio::sync::OnceCell::new(),
                state: Mutex::default(),
            }),
        }
    }

    /// The store it works on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// What seals the secrets that the store keeps; none if it is to keep none.
    #[must_use]
    pub fn sealer(&self) -> Option<&Sealer> {
        self.inner.config.sealer.as_ref()
    }

    /// Which addresses may be called.
    #[must_use]
    pub fn outbound(&self) -> &OutboundGuard {
        &self.inner.config.outbound
    }

    pub(crate) fn outside(&self) -> (&EngineConfig, &Clock) {
        (&self.inner.config, &self.inner.clock)
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.inner.fetcher
    }

    /// Sets a paused run, or one that an earlier process left behind, to work again. The breaker starts afresh. One that is
    /// still on its way to a pause is waited for.
    ///
    /// # Errors
    /// No such run, or one that has come to its end; a conflict if what is in flight does not end within
    /// [`limits::PAUSE_WAIT`].
    pub async fn resume_run(&self, run: RunId) -> Result<Run> {
        self.until_paused(run).await?;
        let found = self.known_run(run).await?;
        if found.status.is_final() {
            let message = format!(
                "run {run} is {} and cannot be resumed; start a new one",
                found.status.as_str()
            );
            return Err(Error::Conflict(message));
        }
        let table = self.inner.store.table(&found.table.to_string()).await?;
        let table =
            table.ok_or_else(|| Error::Missing(format!("the table of run {run} is gone")))?;
        self.launch(&table, &found).await
    }

    /// Waits for a run that was told to stop to have stopped.
    async fn until_paused(&self, run: RunId) -> Result<()> {
        let Some(mut active) = self.active(run).filter(|active| active.ctx.is_stopped()) else {
            return Ok(());
        };
        tokio::select! {
            // The runner lives as long as its sender.
            _ = active.done.wait_for(|done| *done) => Ok(()),
            () = self.inner.clock.sleep(limits::PAUSE_WAIT) => {
                let in_flight = active.ctx.progress.snapshot().in_flight;
                Err(Error::Conflict(format!(
                    "run {run} is still being stopped: {in_flight} of its calls are in flight; resume it when they have ended"
                )))
            }
        }
    }

    /// Sets every run to work again that an earlier process left running; answers them. One that cannot go on is paused
    /// with the reason, and stands in nobody's way.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume_left_behind(&self) -> Result<Vec<Run>> {
        let mut resumed = Vec::new();
        for table in self.inner.store.tables().await? {
            for run in self.inner.store.runs(table.id, usize::MAX).await? {
                if matches!(run.status, RunStatus::Queued | RunStatus::Running) {
                    resumed.extend(self.resume_or_pause(&table, &run).await?);
                }
            }
        }
        Ok(resumed)
    }

    async fn resume_or_pause(&self, table: &Table, run: &Run) -> Result<Option<Run>> {
        match self.launch(table, run).await {
            Ok(run) => Ok(Some(run)),
            Err(error) => self.put_off(run, error).await.map(|_| None),
        }
    }

    /// Pauses a run: nothing new starts, what is in flight ends and is recorded. Answers at once.
    ///
    /// # Errors
    /// No such run, or one that has come to its end.
    pub async fn pause_run(&self, run: RunId) -> Result<Run> {
        let _turn = self.inner.turns.of(run).await;
        let known = self.known_run(run).await?;
        if let Some(active) = self.active(run) {
            active.ctx.stop(Stop::Pause);
            return Ok(known);
        }
        let reason = Some("paused by a person; resume it to go on".to_owned());
        Ok(self.inner.store.set_run_status(run, RunStatus::Paused, reason).await?)
    }

    /// Cancels a run: from now on nothing starts, and what still comes back is kept on record but not applied. Where jobs
    /// are triggered, answers when the answers to the triggers under way are on record.
    ///
    /// # Errors
    /// No such run, or one that has come to its end.
    pub async fn cancel_run(&self, run: RunId) -> Result<Run> {
        let _turn = self.inner.turns.of(run).await;
        if let Some(mut active) = self.active(run) {
            active.ctx.stop(Stop::Cancel);
            if active.ctx.work.session().is_some() {
                // What a trigger under way comes to has to be on record, or the job would be unknown for good; all else
                // ends at once.
                let _ = active.done.wait_for(|done| *done).await;
            }
        }
        // The fence: a reply that comes from here on is late. The runner may have put it up already.
        self.known_run(run).await?;
        let reason = Some("cancelled by a person".to_owned());
        match self.inner.store.set_run_status(run, RunStatus::Cancelled, reason).await {
            Ok(run) => {
                // Those that wait for it go on with what is there.
                self.reported(run.table).send_replace(());
                Ok(run)
            }
            Err(error) => match self.known_run(run).await? {
                known if known.status == RunStatus::Cancelled => Ok(known),
                _ => Err(error.into()),
            },
        }
    }

    /// Waits until a run has come to its end or is paused; answers it as it then stands.
    ///
    /// # Errors
    /// No such run.
    pub async fn wait(&self, run: RunId) -> Result<Run> {
        if let Some(mut active) = self.active(run) {
            // The runner lives as long as its sender.
            let _ = active.done.wait_for(|done| *done).await;
        }
        self.known_run(run).await
    }

    /// How far a run at work has come; `None` if it is not at work in this process.
    #[must_use]
    pub fn progress(&self, run: RunId) -> Option<Progress> {
        self.active(run).map(|active| active.ctx.progress.snapshot())
    }

    /// A handle to a run's progress that outlives the run.
    #[must_use]
    pub fn follow(&self, run: RunId) -> Option<impl Fn() -> Progress + Send + Sync + use<>> {
        let progress = Arc::clone(&self.active(run)?.ctx.progress);
        Some(move || progress.snapshot())
    }

    /// Stops all work in an orderly way: what is in flight ends and is recorded; runs stay `running` on record and go
    /// on at the next start.
    pub async fn shutdown(&self) {
        let active: Vec<Active> = self.lock().active.values().cloned().collect();
        for one in &active {
            one.ctx.stop(Stop::Shutdown);
        }
        for mut one in active {
            let _ = one.done.wait_for(|done| *done).await;
        }
    }

    async fn known_run(&self, run: RunId) -> Result<Run> {
        let found = self.inner.store.run(run).await?;
        found.ok_or_else(|| {
            Error::Missing(format!("there is no run {run}; list the runs of its table"))
        })
    }

    /// What tells the runs of a table that one of them has come further.
    fn reported(&self, table: TableId) -> Reported {
        self.lock().reported.entry(table).or_default().clone()
    }

    fn active(&self, run: RunId) -> Option<Active> {
        self.lock().active.get(&run).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("active", &self.lock().active.len()).finish_non_exhaustive()
    }
}

fn smart_column<'a>(table: &'a Table, name: &str) -> Result<(&'a Column, &'a SmartColumn)> {
    let Some(column) = table.column(name) else {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let meant = suggest(name, names)
            .map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
        return Err(Error::Missing(format!("table {} has no column {name:?}{meant}", table.name)));
    };
    let smart = column.smart.as_ref();
    let smart = smart.ok_or_else(|| {
        Error::config(
            "column",
            format!("{name} holds data and is not a smart column; nothing fills it"),
        )
    })?;
    Ok((column, smart))
}
