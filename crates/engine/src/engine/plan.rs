//! What a run would do, told before it does it (spec R5): how many calls after conditions, equal rows and what is known
//! already, how long they take under the column's limits, and what they cost.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_governor::{Limit, PlanRequest, Rate};
use paceline_model::{Column, RunOptions, Scope, Table, limits};

use super::survey::Load;
use super::{Engine, smart_column};
use crate::kind::Bound;
use crate::{Error, Result};

/// Calls on record that tell how long the next ones will take.
const TIMED_CALLS: usize = 200;
/// How far back they may lie.
const TIMED_SINCE: Duration = Duration::from_secs(24 * 3600);
/// Calls that are planned one by one; of more than that the end is reckoned.
const PLANNED_CALLS_MAX: u64 = 1_000_000;

/// A run that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which cells.
    pub scope: Scope,
    /// What narrows it and holds it back.
    pub options: &'a RunOptions,
    /// Whether the columns that are computed from this one follow: see [`Engine::start_with_dependents`].
    pub dependents: bool,
}

/// What a run would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Cells that it takes up.
    pub cells: u64,
    /// Calls it makes if none has to be repeated; of a waterfall if the first source has a value for every row.
    pub calls: u64,
    /// Calls it makes if every source of a waterfall is asked; else as `calls`.
    pub calls_max: u64,
    /// Cells that are filled by a call for another cell of the run, because their inputs are the same.
    pub shared: u64,
    /// Cells that are filled without a call, because an equal one was filled before.
    pub reused: u64,
    /// Cells that are skipped, by the code of the reason.
    pub skipped: BTreeMap<String, u64>,
    /// Cells that stay as they are, because nothing they are made from has moved.
    pub unchanged: u64,
    /// From the first call to the last answer under the column's limits, with no call of anybody else. Zero for a column
    /// that calls nobody.
    pub duration: Duration,
    /// How long one call is thought to take, from calls on record; none if there are none, and then `duration` leaves it
    /// out.
    pub call_time: Option<Duration>,
    /// What `calls_max` cost, in millionths, where the column names a price.
    pub cost_micros: Option<u64>,
    /// Calls that the columns computed from this one make at most, if they follow: as if every cell had moved.
    pub following_calls_max: u64,
    /// What those cost, where the columns name prices.
    pub following_cost_micros: u64,
    /// Tells [`Engine::check_plan`] that this plan was seen. Holds for [`limits::PLAN_LIFETIME`], and only as long as the
    /// run would do the same.
    pub token: String,
}

impl Engine {
    /// What a run of a column would do now. Nothing is called and nothing is written.
    ///
    /// # Errors
    /// As [`Engine::start_run`], but for other runs of the column.
    pub async fn plan(&self, table: &Table, column: &str, asked: Asked<'_>) -> Result<Plan> {
        let (column, smart) = smart_column(table, column)?;
        let (spec, bound, triage) = self.bound(table, column, smart, asked.scope).await?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit)?;
        let load = self.load(table, column, &bound, asked.dependents).await;
        let price = spec.common.price;
        let survey = self.survey(table, column, (asked, &load), &triage, u64::MAX).await?;
        let (mut plan, digest) = survey.into_parts();
        plan.calls_max = plan.calls.saturating_mul(load.per_call);
        plan.cost_micros = price.map(|price| cost(price, plan.calls_max));
        plan.following_calls_max = load.following(&plan);
        plan.following_cost_micros = load.following_cost(&plan);
        if plan.calls > 0 {
            (plan.duration, plan.call_time) = self.duration(column, &rate, plan.calls).await?;
        }
        let at = self.inner.clock.wall().as_micros();
        plan.token = self.token(&digest, at).await?;
        Ok(plan)
    }

    /// Refuses a run that may make more than `calls_max` calls, with those of the columns that follow it, unless `token` is
    /// that of a plan which still says what it would do.
    ///
    /// # Errors
    /// [`Error::PlanNeeded`], [`Error::PlanOutdated`]; else as [`Engine::plan`].
    pub async fn check_plan(
        &self,
        table: &Table,
        column: &str,
        asked: Asked<'_>,
        token: Option<&str>,
        calls_max: u64,
    ) -> Result<()> {
        let (column, smart) = smart_column(table, column)?;
        let (_, bound, triage) = self.bound(table, column, smart, asked.scope).await?;
        let load = self.load(table, column, &bound, asked.dependents).await;
        if load.is_none() {
            return Ok(());
        }
        // Without a token only whether there are too many is asked for.
        let until = if token.is_some() { u64::MAX } else { calls_max };
        let survey = self.survey(table, column, (asked, &load), &triage, until).await?;
        let Some(token) = token else {
            if survey.calls_at_most() > calls_max {
                return Err(Error::PlanNeeded { calls_max });
            }
            return Ok(());
        };
        let (_, digest) = survey.into_parts();
        let at = token.split('.').next().and_then(|at| i64::from_str_radix(at, 16).ok());
        let at = at.ok_or_else(|| outdated("it is not one of this server's plans"))?;
        if self.token(&digest, at).await? != token {
            return Err(outdated(
                "rows, cells, the column or what was asked for have changed since",
            ));
        }
        let age = self.inner.clock.wall().as_micros().saturating_sub(at);
        if !(0..=limits::PLAN_LIFETIME.as_micros() as i64).contains(&age) {
            let minutes = limits::PLAN_LIFETIME.as_secs() / 60;
            return Err(outdated(&format!("it is more than {minutes} min old")));
        }
        Ok(())
    }

    /// What calls a cell of a run may lead to.
    async fn load(&self, table: &Table, column: &Column, bound: &Bound, dependents: bool) -> Load {
        let mut load = Load { per_call: sources(bound), per_cell: 0, cost_per_cell: 0.0 };
        let following =
            if dependents { self.graph(table).dependents(column.id) } else { Vec::new() };
        for column in following {
            let Some(column) = table.columns.iter().find(|known| known.id == column) else {
                continue;
            };
            let Some(smart) = &column.smart else { continue };
            // One that cannot be used as it stands makes no calls.
            let Ok((spec, bound, _)) = self.bound(table, column, smart, Scope::Following).await
            else {
                continue;
            };
            load.per_cell += sources(&bound);
            load.cost_per_cell += spec.common.price.unwrap_or_default() * sources(&bound) as f64;
        }
        load
    }

    /// How long so many calls take, and one of them, as far as calls on record tell.
    async fn duration(
        &self,
        column: &Column,
        rate: &Rate,
        calls: u64,
    ) -> Result<(Duration, Option<Duration>)> {
        let now = self.inner.clock.wall();
        let known = self.inner.store.calls_since(column.id, now.before(TIMED_SINCE), TIMED_CALLS);
        let known = known.await?;
        let taken: Duration = known.iter().map(|call| call.seen_at.since(call.sent_at)).sum();
        let call_time = taken.checked_div(u32::try_from(known.len()).unwrap_or(u32::MAX));
        let request = PlanRequest {
            calls: calls.min(PLANNED_CALLS_MAX),
            limits: rate.limits.clone(),
            concurrency: Some(rate.concurrent_max),
            service: call_time.unwrap_or_default(),
        };
        let planned = paceline_governor::plan(&request)
            .map_err(|error| Error::config("rate_limit", error.to_string()))?;
        let whole = planned.end_ms / 1e3 * (calls as f64 / request.calls.max(1) as f64);
        // What the windows hold now is in the way of the first of them.
        let wait = self.waits(column, &rate.limits, calls);
        Ok((Duration::from_secs_f64(whole).max(wait), call_time))
    }

    /// Until the last of so many calls may start, by what the budget of this process knows.
    fn waits(&self, column: &Column, limits: &[Limit], calls: u64) -> Duration {
        let budget = self.lock().budgets.get(&column.id).map(|(_, budget)| budget.clone());
        let Some(budget) = budget.filter(|_| !limits.is_empty()) else { return Duration::ZERO };
        budget.eta(calls).at.since(self.inner.clock.now())
    }

    /// The token of what a digest stands for, made at that moment (wall microseconds).
    async fn token(&self, digest: &blake3::Hasher, at: i64) -> Result<String> {
        let seed = blake3::hash(self.key_seed().await?.as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(seed.as_bytes());
        hasher.update(b"plan").update(&at.to_le_bytes()).update(digest.finalize().as_bytes());
        Ok(format!("{at:x}.{}", &hasher.finalize().to_hex()[..32]))
    }
}

/// Calls that one cell may take.
fn sources(bound: &Bound) -> u64 {
    match bound {
        Bound::Call(call) => call.waterfall().map_or(1, |waterfall| waterfall.sources.len() as u64),
        Bound::Job(..) => 1,
        Bound::Local(_) => 0,
    }
}

fn cost(price: f64, calls: u64) -> u64 {
    (price * 1e6 * calls as f64).round() as u64
}

fn outdated(why: &str) -> Error {
    Error::PlanOutdated(why.to_owned())
}
