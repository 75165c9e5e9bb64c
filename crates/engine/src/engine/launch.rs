//! Puts the parts of a run together and sets it to work: its call, its budget with what the budget must remember, and its
//! place among the runs at work.

use std::sync::Arc;
use std::time::Duration;

use paceline_governor::{Budget, Guard, Limit, Rate};
use paceline_model::{Column, ColumnId, Lease, Recovery, Run, RunId, RunStatus, Table, limits};
use tokio::sync::watch;
use tracing::Instrument;

use super::past::Leaving;
use super::shared::Group;
use super::spec::Spec;
use super::{Active, Engine, smart_column};
use crate::gate::{Gate, GateSwitch, SharedBudget};
use crate::kind::{Bound, Call, Local};
use crate::progress::ProgressState;
use crate::provider::NetworkObserver;
use crate::recording::Recorder;
use crate::runner::{self, Control, Flights, RunContext};
use crate::task::{HttpWork, Work};
use crate::triage::Triage;
use crate::{Error, Result, memory};

/// Windows from here on are kept over a restart to the call, at the price of one small write before each (spec G11).
const REMEMBERED_WINDOW: Duration = Duration::from_secs(60);
/// Random bytes that make a directory's idempotency keys its own.
const KEY_SEED: &str = "idempotency_seed";

/// A table with more runs than this is not asked whether one of them was of the column.
const RUNS_LOOKED_AT: usize = 64;

/// Rows of a column that calls nobody which are filled and not on disk yet, where they come from other runs.
const LOCAL_CONCURRENT: u32 = 128;

/// What a run works with, by the kind of its column.
pub(super) struct Prepared {
    pub(super) work: Work,
    pub(super) gate: Arc<GateSwitch>,
    pub(super) rate: Rate,
    /// How long every call may be refused for its rate before the run pauses.
    pub(super) deadline: Duration,
}

impl Engine {
    /// Puts the parts of a run together and sets it to work, unless it is, or somebody has paused or ended it since `run`
    /// was read. Answers it as it then stands.
    pub(super) async fn launch(&self, table: &Table, run: &Run) -> Result<Run> {
        let inner = &self.inner;
        let _turn = inner.turns.of(run.id).await;
        let now = self.known_run(run.id).await?;
        if self.active(run.id).is_some() || now.status != run.status {
            return Ok(now);
        }
        let column = table.columns.iter().find(|column| column.id == run.column);
        let column = column
            .ok_or_else(|| Error::Missing(format!("the column of run {} is gone", run.id)))?;
        let (_, smart) = smart_column(table, &column.name)?;
        let (spec, bound, triage) = self.bound(table, column, smart, run.scope).await?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit)?;
        let parts = (&spec, &bound, &triage);
        let recorder = self.recorder(table, (column, smart), parts, &rate, run).await?;
        let watched = recorder.as_ref();
        // Not the calls' own: a column that gets a new name between two tries must not give the second another key.
        let identities = spec.identities(table, &column.name, &inner.config.outbound, &bound);
        let prepared = match bound {
            Bound::Call(call) => match call.waterfall() {
                Some(all) => {
                    let parts = (&spec, all, identities.as_slice());
                    self.prepare_waterfall(column, parts, &rate, run.id, watched).await?
                }
                None => {
                    let parts = (&spec, call, identities.concat());
                    self.prepare_call(column, parts, rate, run.id, watched).await?
                }
            },
            Bound::Job(job_spec, job) => {
                self.prepare_hex(column, &spec, &job_spec, *job, rate, run.id).await?
            }
            Bound::Local(local) => self.prepare_local(column, local, rate, run.id).await?,
        };
        let Prepared { work, gate, rate, deadline } = prepared;
        let ledger = self.ledger(column, &spec, run).await?;
        let flights = self.flights(&now, &triage).await?;
        let run = inner.store.set_run_status(run.id, RunStatus::Running, None).await?;
        let concurrent_max = rate.concurrent_max;
        let progress = Arc::new(ProgressState::new(
            &run,
            inner.clock.clone(),
            Arc::clone(&gate),
            concurrent_max,
            work.session().cloned(),
        ));
        let ctx = Arc::new(RunContext {
            store: Arc::clone(&inner.store),
            clock: inner.clock.clone(),
            run: run.id,
            column: column.clone(),
            after: run.options.after.clone(),
            triage,
            work,
            tools: inner.tools.clone(),
            flights,
            recorder,
            reported: self.reported(table.id),
            gate,
            ledger,
            throttle_deadline: deadline,
            deadline_is_set: rate.throttle_deadline.is_some(),
            lease: Lease { token: inner.token, lease: limits::LEASE },
            concurrent_max: concurrent_max as usize,
            progress,
            tally: Arc::clone(&inner.tally),
            control: Control::new(concurrent_max as usize),
        });
        self.spawn(run.id, ctx);
        Ok(run)
    }

    /// What a run of a column works with that makes one call per row. What an earlier process left in its hands is
    /// recovered.
    async fn prepare_call(
        &self,
        column: &Column,
        (spec, call, identity): (&Spec, Arc<dyn Call>, String),
        rate: Rate,
        run: RunId,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let gate = {
            let _turn = inner.sharing.lock().await;
            let caller = self.callers(spec, &rate).await?.into_iter().next();
            let group = match &caller {
                Some(caller) => self.group(caller).await?,
                None => None,
            };
            let shared = group.as_ref().map(Group::limits).unwrap_or_default();
            let leaving = Leaving::of_calls(call.repeatable(), &rate, shared);
            self.recover(column.id, run, leaving).await?;
            let shared = match group {
                Some(group) => Some(self.shared(group, column.id).await?),
                None => None,
            };
            Gate::new(column.id, self.budget(column.id, &rate).await?, shared)
        };
        gate.reset_breakers();
        let shared = gate.shared().map(SharedBudget::limits).unwrap_or_default();
        let records_intents = records_intents(call.repeatable(), &rate, &shared);
        let gate = Arc::new(GateSwitch::new(gate));
        let provider = inner.config.providers.make(
            &inner.config.outbound,
            &inner.clock,
            network_observer(&rate, &gate),
        )?;
        let provider = Recorder::watch(recorder, provider, None, call.secret_path());
        let key_seed = self.key_seed().await? + &identity;
        let work = Work::Http(HttpWork {
            timeout: rate.timeout.filter(|_| !call.names_timeout()),
            call,
            provider,
            policy: rate.retry_policy(),
            retry_on: rate.retry_on.clone(),
            records_intents,
            key_seed: *blake3::hash(key_seed.as_bytes()).as_bytes(),
            source: None,
        });
        let deadline = rate.retry_policy().throttle_deadline;
        Ok(Prepared { work, gate, rate, deadline })
    }

    /// What a run of a column works with that calls nobody. What an earlier process left in its hands is given back.
    async fn prepare_local(
        &self,
        column: &Column,
        local: Arc<dyn Local>,
        mut rate: Rate,
        run: RunId,
    ) -> Result<Prepared> {
        // Nobody is called, so nothing is held back but by how much is done at once where rows come one by one.
        rate.limits = Vec::new();
        rate.concurrent_max = LOCAL_CONCURRENT;
        self.inner.store.recover_run(run, Recovery::Repeatable).await?;
        let gate = Gate::new(column.id, self.budget(column.id, &rate).await?, None);
        let deadline = rate.retry_policy().throttle_deadline;
        let gate = Arc::new(GateSwitch::new(gate));
        Ok(Prepared { work: Work::Local(local), gate, rate, deadline })
    }

    /// The rows of a run, and whether any of their calls may have been made before it.
    async fn flights(&self, run: &Run, triage: &Triage) -> Result<Flights> {
        if !triage.shares_calls() || run.counts.ended() > 0 {
            return Ok(Flights::default());
        }
        let runs = self.inner.store.runs(run.table, RUNS_LOOKED_AT).await?;
        let others = runs.iter().filter(|other| other.column == run.column && other.id != run.id);
        let is_new = runs.len() < RUNS_LOOKED_AT && others.count() == 0;
        Ok(if is_new { Flights::of_new_column(run.counts.total) } else { Flights::default() })
    }

    fn spawn(&self, run: RunId, ctx: Arc<RunContext>) {
        let (finished, done) = watch::channel(false);
        {
            let mut state = self.lock();
            // Whom it shares with may have changed since its gates were made.
            for known in state.shared.values() {
                ctx.share(&known.shared, &known.members);
            }
            state.active.insert(run, Active { ctx: Arc::clone(&ctx), done });
        }
        let engine = self.clone();
        // The log of a run says whose it is, whichever part of it speaks.
        let span = tracing::info_span!("run", id = %run, column = %ctx.column.name);
        let work = async move {
            if let Err(error) = runner::work(ctx).await {
                tracing::error!(%run, %error, "a run stopped because the store failed; it goes on at the next start");
            }
            engine.lock().active.remove(&run);
            finished.send_replace(true);
        };
        tokio::spawn(work.instrument(span));
    }

    /// The budget of a column; made anew if its rate has changed, and then it remembers the calls on record and what was
    /// learnt of the vendor.
    async fn budget(&self, column: ColumnId, rate: &Rate) -> Result<Budget> {
        let budget = self.budget_as_it_stands(column, rate).await?;
        self.lock().budgets.insert(column, (rate.clone(), budget.clone()));
        Ok(budget)
    }

    /// As a run would find it now.
    pub(super) async fn budget_as_it_stands(
        &self,
        column: ColumnId,
        rate: &Rate,
    ) -> Result<Budget> {
        if let Some((known, budget)) = self.lock().budgets.get(&column)
            && known == rate
        {
            return Ok(budget.clone());
        }
        let mut config = rate.budget_config();
        // A row that the vendor refuses says nothing of the other rows.
        config.breaker.counts_row_caused = false;
        let budget = Budget::new(config, self.inner.clock.clone())
            .map_err(|error| Error::config("rate_limit", error.to_string()))?;
        let key = memory::key(column);
        self.remember(&budget, &key, &[column], &rate.limits, 0).await?;
        Ok(budget)
    }

    /// What makes the idempotency keys of this store its own: made once, and kept.
    pub(super) async fn key_seed(&self) -> Result<String> {
        let store = &self.inner.store;
        let made = self.inner.key_seed.get_or_try_init(async || -> Result<String> {
            if let Some(seed) = store.setting(KEY_SEED).await? {
                return Ok(seed);
            }
            let mut bytes = [0; 16];
            self.inner.random.fill(&mut bytes);
            let seed: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            store.set_setting(KEY_SEED, &seed).await?;
            Ok(seed)
        });
        Ok(made.await?.clone())
    }
}

/// Whether each call of a column is noted on disk before it leaves: if it may not be repeated, or if a window that it counts
/// in is so long that a restart must know of it to the call.
pub(super) fn records_intents(repeatable: bool, rate: &Rate, shared: &[Limit]) -> bool {
    let mut limits = rate.limits.iter().chain(shared);
    !repeatable || limits.any(|limit| limit.window() >= REMEMBERED_WINDOW)
}

/// What learns how long connections take, if the rate has a use for it: where there is no window, or the guard is set by
/// hand, nobody has.
pub(super) fn network_observer(rate: &Rate, gate: &Arc<GateSwitch>) -> Option<NetworkObserver> {
    let has_limits = !rate.limits.is_empty() || gate.now().shared().is_some();
    let learns = rate.guard == Guard::Auto && has_limits;
    let gate = Arc::clone(gate);
    learns.then(|| Arc::new(move |took| gate.saw_network(took)) as NetworkObserver)
}
