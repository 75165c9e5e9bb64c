//! What a budget that is made anew has to know of the time before: what was learnt of the vendor, the calls on record, and
//! those that an earlier process may have sent and did not live to record (spec G11).

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{Budget, Limit, Rate};
use paceline_model::{ColumnId, Recovery, RunId, RunStatus, Spent, TableId};

use super::Engine;
use super::launch::records_intents;
use crate::kind::{Call, Waterfall};
use crate::ledger::day_of;
use crate::{Result, memory};

/// Calls that may have been sent and are not on record, by column.
const LOST_CALLS: &str = "lost_calls:";
/// What one call of a run costs while it is at work, in millionths: after a crash, what was in flight cost so much, whatever
/// the column says by then.
const RUN_PRICE: &str = "run_price:";
/// A call that a killed process sent arrives this much later at the latest: what the network held it up for, and the
/// vendor's own queue.
const LOST_GRACE: Duration = Duration::from_secs(1);
/// Crashes of a column's runs that are remembered, the newest ones: more than fit into a window.
const CRASHES_MAX: usize = 64;

/// How the calls of a column leave: by that it is known what a process may have sent that died.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    recovery: Recovery,
    /// Calls at once.
    pub(super) concurrent_max: u32,
    /// Whether each is on record before it leaves.
    is_recorded: bool,
}

impl Leaving {
    /// One call per row, which passes a shared budget of these limits.
    pub(super) fn of_calls(repeatable: bool, rate: &Rate, shared: &[Limit]) -> Self {
        Self {
            recovery: if repeatable { Recovery::Repeatable } else { Recovery::Once },
            concurrent_max: rate.concurrent_max,
            is_recorded: records_intents(repeatable, rate, shared),
        }
    }

    /// Calls of several sources, one after the other, each by its own rate.
    pub(super) fn of_sources(all: &Waterfall, rates: &[Rate]) -> Self {
        let repeatable = all.is_repeatable();
        Self {
            recovery: if repeatable { Recovery::Repeatable } else { Recovery::Once },
            // As many rows at once as all sources together take.
            concurrent_max: rates.iter().map(|rate| rate.concurrent_max).sum(),
            is_recorded: !all.sources.iter().any(|source| source.call.repeatable()),
        }
    }

    /// Jobs that are looked up after a crash.
    pub(super) fn of_jobs(rate: &Rate) -> Self {
        let concurrent_max = rate.concurrent_max;
        Self { recovery: Recovery::Reconciled, concurrent_max, is_recorded: true }
    }
}

/// Calls of one run that a process may have sent and did not live to record: until when they may have arrived in
/// microseconds, how many, of which run, and what each cost in millionths.
type Lost = (i64, u64, i64, u64);

impl Engine {
    /// Has a new budget of these columns take over what was learnt of the vendor under `key`, and the calls that count in
    /// its limits: on record, lost, and `coming` more that are under way now.
    pub(super) async fn remember(
        &self,
        budget: &Budget,
        key: &str,
        columns: &[ColumnId],
        limits: &[Limit],
        coming: u64,
    ) -> Result<()> {
        let now = self.inner.clock.wall();
        // First, because remembered calls are laid out by what is known of the vendor.
        let saved_at = memory::recall(self.inner.store.as_ref(), key, budget, now).await?;
        let longest = limits.iter().map(Limit::window).max().unwrap_or_default();
        // No window holds more calls than it allows, so the newest of them say all.
        let most = limits.iter().map(|limit| limit.count() as usize).max().unwrap_or_default();
        // A margin for the drift that the windows allow.
        let since = now.before(longest + longest / 1000);
        let mut seen_at: Vec<Timestamp> = Vec::new();
        for column in columns {
            let calls = self.inner.store.calls_since(*column, since, most).await?;
            seen_at.extend(calls.iter().map(|call| call.seen_at));
            for (at, count, ..) in self.lost_calls(*column).await? {
                let at = Timestamp::from_micros(at);
                let count = usize::try_from(count).unwrap_or(most).min(most);
                seen_at.extend(std::iter::repeat_n(at, count).filter(|at| *at >= since));
            }
        }
        let coming = usize::try_from(coming).unwrap_or(most).min(most);
        seen_at.extend(std::iter::repeat_n(now + LOST_GRACE, coming));
        seen_at.sort_unstable();
        seen_at.drain(..seen_at.len().saturating_sub(most));
        let coming = seen_at.split_off(seen_at.partition_point(|seen_at| *seen_at <= now));
        // What those since the last saving took nobody knows; all of them, where nothing was saved.
        let unsettled =
            seen_at.split_off(seen_at.partition_point(|seen_at| Some(*seen_at) <= saved_at));
        budget.remember(seen_at.iter().map(|seen_at| now.since(*seen_at)));
        budget.remember_unsettled(
            unsettled.iter().map(|seen_at| now.since(*seen_at)),
            coming.iter().map(|coming| coming.since(now)),
        );
        Ok(())
    }

    /// How many calls of a column are under way that no record tells of. What an earlier process left in its hands is
    /// recovered, so that it is on record.
    pub(super) async fn left_behind(
        &self,
        (table, column): (TableId, ColumnId),
        leaving: Leaving,
    ) -> Result<u64> {
        let mut coming = 0;
        for run in self.inner.store.unfinished_runs(Some(table)).await? {
            let at_work = matches!(run.status, RunStatus::Queued | RunStatus::Running);
            if run.column != column || !at_work {
                continue;
            }
            // Whoever has its turn is about to set it to work.
            let turn = self.inner.turns.try_of(run.id).filter(|_| self.active(run.id).is_none());
            let Some(_turn) = turn else {
                coming += u64::from(leaving.concurrent_max);
                continue;
            };
            self.recover(column, run.id, leaving).await?;
        }
        Ok(coming)
    }

    /// Recovers a run from a crash: what may have been sent is on record from then on.
    pub(super) async fn recover(
        &self,
        column: ColumnId,
        run: RunId,
        leaving: Leaving,
    ) -> Result<()> {
        let price_micros = self.price_at_work(run).await?;
        let store = &self.inner.store;
        let held = store.recover_priced_run(run, leaving.recovery, price_micros).await?;
        if !leaving.is_recorded {
            self.note_lost(column, run, held.min(u64::from(leaving.concurrent_max))).await?;
        }
        Ok(())
    }

    /// Keeps that the last process to work on a run may have sent so many calls that are not on record.
    async fn note_lost(&self, column: ColumnId, run: RunId, calls: u64) -> Result<()> {
        if calls == 0 {
            return Ok(());
        }
        let mut lost = self.lost_calls(column).await?;
        // Some of them may still be on their way to the vendor.
        let latest = self.inner.clock.wall() + LOST_GRACE;
        let price_micros = self.price_at_work(run).await?;
        lost.push((latest.as_micros(), calls, run.0, price_micros));
        lost.drain(..lost.len().saturating_sub(CRASHES_MAX));
        let text = serde_json::json!(lost).to_string();
        Ok(self.inner.store.set_setting(&format!("{LOST_CALLS}{column}"), &text).await?)
    }

    /// What the calls of a run come to that may have been sent and are not on record.
    pub(super) async fn lost_of_run(&self, column: ColumnId, run: RunId) -> Result<Spent> {
        let lost = self.lost_calls(column).await?;
        Ok(sum(lost.iter().filter(|(_, _, of, _)| *of == run.0)))
    }

    /// As [`Engine::lost_of_run`], of a column on one UTC day.
    pub(super) async fn lost_on(&self, column: ColumnId, day: i64) -> Result<Spent> {
        let lost = self.lost_calls(column).await?;
        Ok(sum(lost.iter().filter(|(at, ..)| day_of(Timestamp::from_micros(*at)) == day)))
    }

    /// What one call of a run cost when it was last at work, in millionths.
    pub(super) async fn price_at_work(&self, run: RunId) -> Result<u64> {
        let kept = self.inner.store.setting(&format!("{RUN_PRICE}{run}")).await?;
        Ok(kept.and_then(|kept| kept.parse().ok()).unwrap_or_default())
    }

    /// Keeps what one call of a run costs from now on, before the first of them leaves.
    pub(super) async fn keep_price(&self, run: RunId, price_micros: u64) -> Result<()> {
        if self.price_at_work(run).await? == price_micros {
            return Ok(());
        }
        let (name, price) = (format!("{RUN_PRICE}{run}"), price_micros.to_string());
        Ok(self.inner.store.set_setting(&name, &price).await?)
    }

    async fn lost_calls(&self, column: ColumnId) -> Result<Vec<Lost>> {
        let kept = self.inner.store.setting(&format!("{LOST_CALLS}{column}")).await?;
        // What cannot be read was not written here.
        Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default())
    }
}

fn sum<'l>(lost: impl Iterator<Item = &'l Lost>) -> Spent {
    lost.fold(Spent::default(), |spent, (_, calls, _, price_micros)| Spent {
        calls: spent.calls.saturating_add(*calls),
        cost_micros: spent.cost_micros.saturating_add(calls.saturating_mul(*price_micros)),
    })
}
