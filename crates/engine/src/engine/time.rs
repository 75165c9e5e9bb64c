//! How long the calls of a run take (spec G14, R5): under the column's own limits and those that it shares with others, with
//! what is used of their windows now, and beside the runs at work that it would take turns with.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::{Budget, Limit, PlanRequest, Rate};
use paceline_model::{Column, ColumnId};

use super::Engine;
use super::spec::Spec;
use crate::kind::{Bound, Caller};
use crate::{Error, Result};

/// Calls on record that tell how long the next ones will take.
const TIMED_CALLS: usize = 200;
/// How far back they may lie.
const TIMED_SINCE: Duration = Duration::from_secs(24 * 3600);
/// Calls that are planned one by one; of more than that the end is reckoned.
const PLANNED_CALLS_MAX: u64 = 1_000_000;

/// From the first call of a run to its last answer.
pub(super) struct Times {
    /// If the first source has a value for every row; else as `most`.
    pub(super) least: Duration,
    /// If every source is asked.
    pub(super) most: Duration,
    /// One call, if any is on record.
    pub(super) call: Option<Duration>,
}

/// What the calls of one caller pass, as a run would find it now.
pub(super) struct Passage {
    /// Of its own; none of a column whose calls pass only what it shares.
    own: Option<Gauge>,
    shared: Option<Shared>,
    concurrent_max: u32,
}

/// A budget with its limits.
pub(super) struct Gauge {
    pub(super) limits: Vec<Limit>,
    pub(super) budget: Budget,
}

/// One that others pass too.
pub(super) struct Shared {
    pub(super) key: String,
    pub(super) gauge: Gauge,
    /// Calls of all at once.
    pub(super) concurrent_max: Option<u32>,
    /// What each run at work of others has to do yet.
    pub(super) others: Vec<u64>,
}

impl Passage {
    /// Of jobs: everything that they pass is shared.
    pub(super) fn of_jobs(shared: Shared, rate: &Rate) -> Self {
        Self { own: None, shared: Some(shared), concurrent_max: rate.concurrent_max }
    }

    fn concurrent_max(&self) -> u32 {
        let shared = self.shared.as_ref().and_then(|shared| shared.concurrent_max);
        shared.map_or(self.concurrent_max, |most| most.min(self.concurrent_max))
    }

    /// Until the last of `calls` has its answer, if `shared_calls` of the run pass what is shared.
    fn time(
        &self,
        (calls, shared_calls): (u64, u64),
        service: Duration,
        now: Tick,
    ) -> Result<Duration> {
        let gauges = self.own.iter().chain(self.shared.as_ref().map(|shared| &shared.gauge));
        let request = PlanRequest {
            calls: calls.min(PLANNED_CALLS_MAX),
            limits: gauges.flat_map(|gauge| gauge.limits.iter().copied()).collect(),
            concurrency: Some(self.concurrent_max()),
            service,
        };
        let planned = paceline_governor::plan(&request)
            .map_err(|error| Error::config("rate_limit", error.to_string()))?;
        let whole = planned.end_ms / 1e3 * (calls as f64 / request.calls.max(1) as f64);
        // What the windows hold now is in the way of the first of them.
        let own = self.own.as_ref().map(|gauge| gauge.until(calls, now) + service);
        let shared = self.shared.as_ref().map(|shared| {
            // Columns take turns: none of them is passed more often than it passes others.
            let others = shared.others.iter().map(|left| (*left).min(shared_calls)).sum::<u64>();
            shared.gauge.until(shared_calls.saturating_add(others), now) + service
        });
        let waits = own.into_iter().chain(shared);
        Ok(waits.fold(Duration::from_secs_f64(whole), Duration::max))
    }
}

impl Gauge {
    /// From now until the last of so many calls may leave.
    fn until(&self, calls: u64, now: Tick) -> Duration {
        if self.limits.is_empty() {
            return Duration::ZERO;
        }
        let planned = calls.min(PLANNED_CALLS_MAX);
        let until = self.budget.eta(planned).at.since(now);
        until.mul_f64(calls as f64 / planned.max(1) as f64)
    }
}

impl Engine {
    /// How long so many rows take that need a call.
    pub(super) async fn times(
        &self,
        column: &Column,
        (spec, bound): (&Spec, &Bound),
        rate: &Rate,
        calls: u64,
    ) -> Result<Times> {
        let call = self.call_time(column).await?;
        let service = call.unwrap_or_default();
        let passages = {
            let _turn = self.inner.sharing.lock().await;
            match bound {
                Bound::Job(..) => vec![self.jobs_passage(column.id, spec, rate).await?],
                _ => self.passages(column.id, spec, rate).await?,
            }
        };
        let Some(first) = passages.first() else {
            return Ok(Times { least: Duration::ZERO, most: Duration::ZERO, call });
        };
        let now = self.inner.clock.now();
        let least = first.time((calls, calls), service, now)?;
        let mut most = least;
        for passage in &passages {
            // Rows go from source to source, so that these work side by side, but for what they share.
            let key = passage.key();
            let sharers = passages.iter().filter(|other| key.is_some() && other.key() == key);
            let shared_calls = calls.saturating_mul(sharers.count().max(1) as u64);
            most = most.max(passage.time((calls, shared_calls), service, now)?);
        }
        // The last row has the others' calls before it.
        let before = u32::try_from(passages.len().saturating_sub(1)).unwrap_or_default();
        Ok(Times { least, most: most + service.saturating_mul(before), call })
    }

    /// How long one call takes, as far as calls on record tell.
    async fn call_time(&self, column: &Column) -> Result<Option<Duration>> {
        let now = self.inner.clock.wall();
        let known = self.inner.store.calls_since(column.id, now.before(TIMED_SINCE), TIMED_CALLS);
        let known = known.await?;
        let taken: Duration = known.iter().map(|call| call.seen_at.since(call.sent_at)).sum();
        Ok(taken.checked_div(u32::try_from(known.len()).unwrap_or(u32::MAX)))
    }

    async fn passages(&self, column: ColumnId, spec: &Spec, rate: &Rate) -> Result<Vec<Passage>> {
        let mut passages = Vec::new();
        for caller in self.callers(spec, rate).await? {
            let Caller { source, rate, .. } = &caller;
            let budget = match source {
                None => self.budget_as_it_stands(column, rate).await?,
                Some(name) => self.source_as_it_stands(column, name, rate).await?,
            };
            let own = Some(Gauge { limits: limits_of(rate), budget });
            let shared = match self.group(&caller).await? {
                Some(group) => Some(self.shared_as_it_stands(column, group).await?),
                None => None,
            };
            passages.push(Passage { own, shared, concurrent_max: rate.concurrent_max });
        }
        Ok(passages)
    }

    /// What each run at work of other columns has to do yet that passes what is found under a key.
    pub(super) fn left_to_others(&self, column: ColumnId, key: &str) -> Vec<u64> {
        let state = self.lock();
        let others = state.active.values().filter(|active| {
            let shares = |gate: crate::gate::Gate| gate.shared().is_some_and(|one| one.key == key);
            active.ctx.column.id != column
                && (active.ctx.gate.now().key() == key
                    || active.ctx.gates().into_iter().any(shares))
        });
        let left = others.map(|active| {
            let counts = active.ctx.progress.counts();
            counts.total.saturating_sub(counts.ended())
        });
        left.collect()
    }
}

impl Passage {
    fn key(&self) -> Option<&str> {
        self.shared.as_ref().map(|shared| shared.key.as_str())
    }
}

/// The limits of a rate, its spacing among them.
fn limits_of(rate: &Rate) -> Vec<Limit> {
    let mut limits = rate.limits.clone();
    limits.extend(Limit::new(1, rate.spacing_min).ok().filter(|_| !rate.spacing_min.is_zero()));
    limits
}
