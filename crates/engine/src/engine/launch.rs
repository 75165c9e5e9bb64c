//! Puts the parts of a run together and sets it to work: its call, its budget with what the budget must remember, and its
//! place among the runs at work.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{Budget, Guard, Limit, Rate};
use paceline_model::{Column, ColumnId, Lease, Recovery, Run, RunId, RunStatus, Table, limits};
use tokio::sync::watch;
use tracing::Instrument;

use super::{Active, Engine, smart_column};
use crate::kind::{Bound, Call};
use crate::progress::ProgressState;
use crate::provider::NetworkObserver;
use crate::runner::{self, Control, RunContext};
use crate::task::{HttpWork, Work};
use crate::{Error, Result, memory};

/// Windows from here on are kept over a restart to the call, at the price of one small write before each (spec G11).
const REMEMBERED_WINDOW: Duration = Duration::from_secs(60);
/// Random bytes that make a directory's idempotency keys its own.
const KEY_SEED: &str = "idempotency_seed";
/// Calls that may have been sent and are not on record, by column.
const LOST_CALLS: &str = "lost_calls:";
/// A call that a killed process sent arrives this much later at the latest: what the network held it up for, and the
/// vendor's own queue.
const LOST_GRACE: Duration = Duration::from_secs(1);

/// A run's place among those at work, from before the first wait until it is there or has failed.
struct Reservation<'a> {
    engine: &'a Engine,
    run: RunId,
}

/// What a run works with, by the kind of its column.
pub(super) struct Prepared {
    pub(super) work: Work,
    pub(super) budget: Budget,
    pub(super) rate: Rate,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.engine.lock().launching.remove(&self.run);
    }
}

impl Engine {
    /// Puts the parts of a run together and sets it to work.
    pub(super) async fn launch(&self, table: &Table, run: &Run) -> Result<Run> {
        let inner = &self.inner;
        let Some(_reservation) = self.reserve(run.id) else { return Ok(run.clone()) };
        let column = table.columns.iter().find(|column| column.id == run.column);
        let column = column
            .ok_or_else(|| Error::Missing(format!("the column of run {} is gone", run.id)))?;
        let (_, smart) = smart_column(table, &column.name)?;
        let spec = self.opened(table, column, smart)?;
        let bound = spec.bind(table, &column.name, &inner.config.outbound)?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit)?;
        let Prepared { work, budget, rate } = match bound {
            Bound::Call(call) => match call.waterfall() {
                Some(all) => self.prepare_waterfall(column, all, &rate, run.id).await?,
                None => self.prepare_call(column, call, rate, run.id).await?,
            },
            Bound::Job(spec, job) => self.prepare_hex(column, &spec, *job, rate, run.id).await?,
            Bound::Local(_) => return Err(Error::config("kind", "is not available yet")),
        };
        let run = inner.store.set_run_status(run.id, RunStatus::Running, None).await?;
        let concurrent_max = rate.concurrent_max;
        let progress = Arc::new(ProgressState::new(
            &run,
            inner.clock.clone(),
            budget.clone(),
            budget.status().limits.iter().map(|status| status.limit).collect(),
            concurrent_max,
            work.session().cloned(),
        ));
        let ctx = Arc::new(RunContext {
            store: Arc::clone(&inner.store),
            clock: inner.clock.clone(),
            run: run.id,
            column: column.clone(),
            work,
            budget,
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
        call: Arc<dyn Call>,
        rate: Rate,
        run: RunId,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let records_intents = !call.repeatable()
            || rate.limits.iter().any(|limit| limit.window() >= REMEMBERED_WINDOW);

        let recovery = if call.repeatable() { Recovery::Repeatable } else { Recovery::Once };
        let held = inner.store.recover_run(run, recovery).await?;
        let unrecorded = if records_intents { 0 } else { held.min(u64::from(rate.concurrent_max)) };
        let budget = self.budget(column.id, &rate, unrecorded).await?;
        budget.reset_breaker();
        let provider = inner.config.providers.make(
            &inner.config.outbound,
            &inner.clock,
            network_observer(&rate, &budget),
        )?;
        let key_seed = self.key_seed().await? + &call.identity();
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
        Ok(Prepared { work, budget, rate })
    }

    /// A place for a run; `None` if it is at work, or about to be.
    fn reserve(&self, run: RunId) -> Option<Reservation<'_>> {
        let mut state = self.lock();
        let free = !state.active.contains_key(&run) && state.launching.insert(run);
        free.then(|| Reservation { engine: self, run })
    }

    fn spawn(&self, run: RunId, ctx: Arc<RunContext>) {
        let (finished, done) = watch::channel(false);
        self.lock().active.insert(run, Active { ctx: Arc::clone(&ctx), done });
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
    async fn budget(&self, column: ColumnId, rate: &Rate, unrecorded: u64) -> Result<Budget> {
        if let Some((known, budget)) = self.lock().budgets.get(&column)
            && known == rate
        {
            return Ok(budget.clone());
        }
        let budget = Budget::new(rate.budget_config(), self.inner.clock.clone())
            .map_err(|error| Error::config("rate_limit", error.to_string()))?;
        self.remember(column, &budget, rate, unrecorded).await?;
        self.lock().budgets.insert(column, (rate.clone(), budget.clone()));
        Ok(budget)
    }

    /// Has a new budget of a column take over what was learnt of the vendor, and the calls on record.
    pub(super) async fn remember(
        &self,
        column: ColumnId,
        budget: &Budget,
        rate: &Rate,
        unrecorded: u64,
    ) -> Result<()> {
        let now = self.inner.clock.wall();
        // First, because remembered calls are laid out by what is known of the vendor.
        memory::recall(self.inner.store.as_ref(), column, budget, now).await?;
        let longest = rate.limits.iter().map(Limit::window).max().unwrap_or_default();
        let most = rate.limits.iter().map(|limit| limit.count() as usize).max().unwrap_or_default();
        // A margin for the drift that the windows allow.
        let since = now.before(longest + longest / 1000);
        let calls = self.inner.store.calls_since(column, since, most).await?;
        let lost = self.lost_calls(column, since, most, unrecorded).await?;
        let mut seen_at: Vec<Timestamp> =
            calls.iter().map(|call| call.seen_at).chain(lost).collect();
        seen_at.sort_unstable();
        let coming = seen_at.split_off(seen_at.partition_point(|seen_at| *seen_at <= now));
        budget.remember(seen_at.iter().map(|seen_at| now.since(*seen_at)));
        budget.remember_coming(coming.iter().map(|coming| coming.since(now)));
        Ok(())
    }

    /// Calls that earlier processes may have sent and did not live to record, `unrecorded` by the last one. They are
    /// kept until they have left every window, so that one crash after another forgets none of them.
    async fn lost_calls(
        &self,
        column: ColumnId,
        since: Timestamp,
        most: usize,
        unrecorded: u64,
    ) -> Result<Vec<Timestamp>> {
        let name = format!("{LOST_CALLS}{column}");
        let kept = self.inner.store.setting(&name).await?;
        // As [microseconds, count]. What cannot be read was not written here.
        let kept: Vec<(i64, u64)> =
            kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default();
        let mut lost: Vec<(i64, u64)> =
            kept.into_iter().filter(|(at, _)| *at >= since.as_micros()).collect();
        if unrecorded > 0 && most > 0 {
            // Some of them may still be on their way to the vendor.
            let latest = self.inner.clock.wall().as_micros() + LOST_GRACE.as_micros() as i64;
            lost.push((latest, unrecorded));
            // No window holds more calls than it allows, so the newest of them say all.
            lost.drain(..lost.len().saturating_sub(most));
            self.inner.store.set_setting(&name, &serde_json::json!(lost).to_string()).await?;
        }
        let times = |(at, count): (i64, u64)| {
            std::iter::repeat_n(Timestamp::from_micros(at), usize::try_from(count).unwrap_or(most))
        };
        Ok(lost.into_iter().flat_map(times).collect())
    }

    pub(super) async fn key_seed(&self) -> Result<String> {
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

/// What learns how long connections take, if the rate has a use for it: where there is no window, or the guard is set by
/// hand, nobody has.
pub(super) fn network_observer(rate: &Rate, budget: &Budget) -> Option<NetworkObserver> {
    let learns = rate.guard == Guard::Auto && !rate.limits.is_empty();
    let budget = budget.clone();
    learns.then(|| Arc::new(move |took| budget.saw_network(took)) as NetworkObserver)
}
