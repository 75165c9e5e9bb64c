//! What a budget that is made anew has to know of the time before: what was learnt of the vendor, the calls on record, and
//! those that an earlier process may have sent and did not live to record (spec G11).

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{Budget, Limit};
use paceline_model::{ColumnId, RunId, Spent};

use super::Engine;
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
        memory::recall(self.inner.store.as_ref(), key, budget, now).await?;
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
        budget.remember(seen_at.iter().map(|seen_at| now.since(*seen_at)));
        budget.remember_coming(coming.iter().map(|coming| coming.since(now)));
        Ok(())
    }

    /// Keeps that the last process to work on a run may have sent so many calls that are not on record.
    pub(super) async fn note_lost(&self, column: ColumnId, run: RunId, calls: u64) -> Result<()> {
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
