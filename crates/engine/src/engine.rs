//! The engine's handle: check and make smart columns; start, pause, resume, cancel and follow runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_governor::{Budget, Limit, Rate};
use paceline_model::{
    Column, ColumnId, ColumnType, Lease, NewColumn, NewRun, Run, RunId, RunStatus, Scope,
    SmartColumn, SmartKind, Store, Table, limits, suggest,
};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::progress::ProgressState;
use crate::runner::{self, RunContext, RunParts, Stop};
use crate::{EngineConfig, Error, HttpColumn, HttpSpec, Progress, Result};

/// Windows from here on are kept over a restart to the call, at the price of one small write before each (spec G11).
const REMEMBERED_WINDOW: Duration = Duration::from_secs(60);
/// Random bytes that make a directory's idempotency keys its own.
const KEY_SEED: &str = "idempotency_seed";

/// What a smart column is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct SmartSpec {
    /// Its name.
    pub name: String,
    /// What a person calls it, if that is not its name.
    pub title: Option<String>,
    /// The type of its values.
    pub kind: ColumnType,
    /// Which provider makes the call.
    pub smart: SmartKind,
    /// The provider's configuration.
    pub config: Json,
    /// A preset's name or a rate object.
    pub rate_limit: Json,
}

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
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    budgets: HashMap<ColumnId, (Rate, Budget)>,
    active: HashMap<RunId, Active>,
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
        Self {
            inner: Arc::new(Inner { store, clock, random, config, token, state: Mutex::default() }),
        }
    }

    /// The store it works on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Checks a smart column against its table and adds it. Nothing happens if anything is wrong with it.
    ///
    /// # Errors
    /// The field and the remedy.
    pub async fn add_smart_column(&self, table: &Table, spec: SmartSpec) -> Result<Column> {
        self.rate(&spec.rate_limit)?;
        let http = HttpSpec::from_json(&spec.config)?;
        HttpColumn::new(&http, table, &spec.name, self.inner.config.outbound)?;
        let sealed = http.sealed(self.inner.config.sealer.as_ref(), &place(table, &spec.name))?;
        let smart = SmartColumn {
            kind: spec.smart,
            config: sealed.to_json(),
            rate_limit: spec.rate_limit,
            version: 1,
        };
        let column =
            NewColumn { name: spec.name, title: spec.title, kind: spec.kind, smart: Some(smart) };
        Ok(self.inner.store.add_column(table.id, column).await?)
    }

    /// Checks and replaces the configuration or the rate of a smart column; what is `None` stays.
    ///
    /// # Errors
    /// As [`Engine::add_smart_column`]; a conflict while a run of the column is at work.
    pub async fn update_smart_column(
        &self,
        table: &Table,
        name: &str,
        config: Option<Json>,
        rate_limit: Option<Json>,
    ) -> Result<Column> {
        let (column, smart) = smart_column(table, name)?;
        if self.lock().active.values().any(|active| active.ctx.column.id == column.id) {
            return Err(Error::Conflict(format!(
                "column {name} is being filled; pause its run first"
            )));
        }
        let rate_limit = rate_limit.unwrap_or_else(|| smart.rate_limit.clone());
        self.rate(&rate_limit)?;
        let config = match config {
            None => smart.config.clone(),
            Some(config) => {
                let http = HttpSpec::from_json(&config)?;
                HttpColumn::new(&http, table, name, self.inner.config.outbound)?;
                http.sealed(self.inner.config.sealer.as_ref(), &place(table, name))?.to_json()
            }
        };
        Ok(self.inner.store.update_smart_column(column.id, config, rate_limit).await?)
    }

    /// The configuration of a smart column as a person or program may see it.
    #[must_use]
    pub fn masked_config(&self, smart: &SmartColumn) -> Json {
        HttpSpec::from_json(&smart.config).map_or(Json::Null, |spec| spec.masked().to_json())
    }

    /// Makes a run and sets it to work.
    ///
    /// # Errors
    /// No such smart column; a conflict while another run of the column is not at its end.
    pub async fn start_run(&self, table: &Table, column: &str, scope: Scope) -> Result<Run> {
        let (column, _) = smart_column(table, column)?;
        let run = self
            .inner
            .store
            .create_run(NewRun { table: table.id, column: column.id, scope })
            .await?;
        self.launch(table, &run).await
    }

    /// Sets a paused run, or one that an earlier process left behind, to work again. The breaker starts afresh.
    ///
    /// # Errors
    /// No such run, or one that has come to its end.
    pub async fn resume_run(&self, run: RunId) -> Result<Run> {
        let found = self.known_run(run).await?;
        if found.status.is_final() {
            let message = format!(
                "run {run} is {} and cannot be resumed; start a new one",
                found.status.as_str()
            );
            return Err(Error::Conflict(message));
        }
        if self.lock().active.contains_key(&run) {
            return Ok(found);
        }
        let table = self.inner.store.table(&found.table.to_string()).await?;
        let table =
            table.ok_or_else(|| Error::Missing(format!("the table of run {run} is gone")))?;
        self.launch(&table, &found).await
    }

    /// Sets every run to work again that an earlier process left running; answers them.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume_left_behind(&self) -> Result<Vec<Run>> {
        let mut resumed = Vec::new();
        for table in self.inner.store.tables().await? {
            for run in self.inner.store.runs(table.id, usize::MAX).await? {
                if matches!(run.status, RunStatus::Queued | RunStatus::Running) {
                    resumed.push(self.launch(&table, &run).await?);
                }
            }
        }
        Ok(resumed)
    }

    /// Pauses a run: nothing new starts, what is in flight ends and is recorded. Answers at once.
    ///
    /// # Errors
    /// No such run, or one that has come to its end.
    pub async fn pause_run(&self, run: RunId) -> Result<Run> {
        self.halt(run, Stop::Pause, RunStatus::Paused).await
    }

    /// Cancels a run: from now on nothing starts, and what still comes back is kept on record but not applied.
    ///
    /// # Errors
    /// No such run, or one that has come to its end.
    pub async fn cancel_run(&self, run: RunId) -> Result<Run> {
        if let Some(active) = self.active(run) {
            active.ctx.stop(Stop::Cancel);
        }
        // The fence: a reply that comes from here on is late. The runner may have put it up already.
        self.known_run(run).await?;
        let reason = Some("cancelled by a person".to_owned());
        match self.inner.store.set_run_status(run, RunStatus::Cancelled, reason).await {
            Ok(run) => Ok(run),
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

    async fn halt(&self, run: RunId, stop: Stop, status: RunStatus) -> Result<Run> {
        if let Some(active) = self.active(run) {
            active.ctx.stop(stop);
            return self.known_run(run).await;
        }
        let reason = Some("paused by a person; resume it to go on".to_owned());
        self.known_run(run).await?;
        Ok(self.inner.store.set_run_status(run, status, reason).await?)
    }

    async fn known_run(&self, run: RunId) -> Result<Run> {
        let found = self.inner.store.run(run).await?;
        found.ok_or_else(|| {
            Error::Missing(format!("there is no run {run}; list the runs of its table"))
        })
    }

    fn active(&self, run: RunId) -> Option<Active> {
        self.lock().active.get(&run).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rate(&self, json: &Json) -> Result<Rate> {
        let rate = Rate::from_json(json, self.inner.config.ceilings).map_err(Error::Rate)?;
        if rate.budget.is_some() {
            let problem = "budgets that columns share are not available yet; leave the field out";
            return Err(Error::config("rate_limit.budget", problem));
        }
        Ok(rate)
    }

    /// Puts the parts of a run together and sets it to work.
    async fn launch(&self, table: &Table, run: &Run) -> Result<Run> {
        let inner = &self.inner;
        let column = table.columns.iter().find(|column| column.id == run.column);
        let column = column
            .ok_or_else(|| Error::Missing(format!("the column of run {} is gone", run.id)))?;
        let (_, smart) = smart_column(table, &column.name)?;
        let spec = HttpSpec::from_json(&smart.config)?
            .opened(inner.config.sealer.as_ref(), &place(table, &column.name))?;
        let http = HttpColumn::new(&spec, table, &column.name, inner.config.outbound)?;
        let rate = self.rate(&smart.rate_limit)?;
        let http = http.with_timeout(spec.timeout_ms.is_none().then_some(rate.timeout).flatten());
        let records_intents =
            !http.repeatable || rate.limits.iter().any(|limit| limit.window() >= REMEMBERED_WINDOW);

        let held = inner.store.recover_run(run.id, http.repeatable).await?;
        let unrecorded = if records_intents { 0 } else { held.min(u64::from(rate.concurrent_max)) };
        let budget = self.budget(column.id, &rate, unrecorded).await?;
        budget.reset_breaker();
        let observer = budget.clone();
        let provider = inner.config.providers.make(
            inner.config.outbound,
            &inner.clock,
            Arc::new(move |took| observer.saw_network(took)),
        )?;
        let key_seed = self.key_seed().await?;
        let run = inner.store.set_run_status(run.id, RunStatus::Running, None).await?;
        let progress = Arc::new(ProgressState::new(
            &run,
            inner.clock.clone(),
            budget.clone(),
            rate.limits.clone(),
            rate.concurrent_max,
        ));
        let ctx = RunContext::new(RunParts {
            store: Arc::clone(&inner.store),
            clock: inner.clock.clone(),
            run: run.id,
            column: column.clone(),
            http,
            provider,
            budget,
            policy: rate.retry_policy(),
            retry_on: rate.retry_on.clone(),
            lease: Lease { token: inner.token, lease: limits::LEASE },
            records_intents,
            concurrent_max: rate.concurrent_max as usize,
            progress,
            key_seed,
        });
        self.spawn(run.id, ctx);
        Ok(run)
    }

    fn spawn(&self, run: RunId, ctx: Arc<RunContext>) {
        let (finished, done) = watch::channel(false);
        self.lock().active.insert(run, Active { ctx: Arc::clone(&ctx), done });
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = runner::work(ctx).await {
                tracing::error!(%run, %error, "a run stopped because the store failed; it goes on at the next start");
            }
            engine.lock().active.remove(&run);
            finished.send_replace(true);
        });
    }

    /// The budget of a column; made anew if its rate has changed, and then it remembers the calls on record.
    async fn budget(&self, column: ColumnId, rate: &Rate, unrecorded: u64) -> Result<Budget> {
        if let Some((known, budget)) = self.lock().budgets.get(&column)
            && known == rate
        {
            return Ok(budget.clone());
        }
        let budget = Budget::new(rate.budget_config(), self.inner.clock.clone())
            .map_err(|error| Error::config("rate_limit", error.to_string()))?;
        let longest = rate.limits.iter().map(Limit::window).max().unwrap_or_default();
        let most = rate.limits.iter().map(|limit| limit.count() as usize).max().unwrap_or_default();
        let now = self.inner.clock.wall();
        // A margin for the drift that the windows allow.
        let calls = self
            .inner
            .store
            .calls_since(column, now.before(longest + longest / 1000), most)
            .await?;
        budget.remember(calls.iter().map(|call| now.since(call.seen_at)));
        budget.remember((0..unrecorded).map(|_| Duration::ZERO));
        self.lock().budgets.insert(column, (rate.clone(), budget.clone()));
        Ok(budget)
    }

    async fn key_seed(&self) -> Result<String> {
        if let Some(seed) = self.inner.store.setting(KEY_SEED).await? {
            return Ok(seed);
        }
        let mut bytes = [0; 16];
        self.inner.random.fill(&mut bytes);
        let seed: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.inner.store.set_setting(KEY_SEED, &seed).await?;
        Ok(seed)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("active", &self.lock().active.len()).finish_non_exhaustive()
    }
}

fn place(table: &Table, column: &str) -> String {
    format!("{}.{column}", table.name)
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
