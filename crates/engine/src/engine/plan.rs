//! What a run would do, told before it does it (spec R5): how many calls after conditions, equal rows and what is known
//! already, how long they take under the column's limits, and what they cost.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use paceline_governor::{Limit, PlanRequest, Rate};
use paceline_model::{
    CellState, Column, DueQuery, Fingerprint, NewRun, RowId, RunOptions, Scope, Table, Task,
    TaskReport, TaskStep, limits,
};

use super::{Engine, smart_column};
use crate::kind::Bound;
use crate::triage::{Sorted, Triage};
use crate::{Error, Result};

/// Rows looked at in one step.
const STEP_ROWS: usize = 1_000;
/// Calls on record that tell how long the next ones will take.
const TIMED_CALLS: usize = 200;
/// How far back they may lie.
const TIMED_SINCE: Duration = Duration::from_secs(24 * 3600);
/// Calls that are planned one by one; of more than that the end is reckoned.
const PLANNED_CALLS_MAX: u64 = 1_000_000;

/// What a run would do.
#[derive(Clone, Debug, PartialEq)]
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
    /// Tells [`Engine::check_plan`] that this plan was seen. Holds for [`limits::PLAN_LIFETIME`], and only as long as the
    /// run would do the same.
    pub token: String,
}

/// Counts cells, and remembers which they are.
struct Survey {
    plan: Plan,
    keys: HashSet<[u8; 16]>,
    digest: blake3::Hasher,
}

impl Engine {
    /// What a run of a column would do now. Nothing is called and nothing is written.
    ///
    /// # Errors
    /// As [`Engine::start_run`], but for other runs of the column.
    pub async fn plan(
        &self,
        table: &Table,
        column: &str,
        scope: Scope,
        options: &RunOptions,
    ) -> Result<Plan> {
        let (column, smart) = smart_column(table, column)?;
        let (spec, bound, triage) = self.bound(table, column, smart, scope).await?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit)?;
        let calls_anybody = !matches!(bound, Bound::Local(_));
        let sources = sources(&bound);
        let price = spec.common.price;
        let survey =
            self.survey(table, column, (scope, options), (&triage, calls_anybody), u64::MAX);
        let Survey { mut plan, digest, .. } = survey.await?;
        plan.calls_max = plan.calls.saturating_mul(sources);
        plan.cost_micros = price.map(|price| cost(price, plan.calls_max));
        if plan.calls > 0 {
            (plan.duration, plan.call_time) = self.duration(column, &rate, plan.calls).await?;
        }
        let at = self.inner.clock.wall().as_micros();
        plan.token = self.token(&digest, at).await?;
        Ok(plan)
    }

    /// Refuses a run that makes more than `calls_max` calls unless `token` is that of a plan which still says what it would
    /// do.
    ///
    /// # Errors
    /// [`Error::PlanNeeded`], [`Error::PlanOutdated`]; else as [`Engine::plan`].
    pub async fn check_plan(
        &self,
        table: &Table,
        column: &str,
        (scope, options): (Scope, &RunOptions),
        token: Option<&str>,
        calls_max: u64,
    ) -> Result<()> {
        let (column, smart) = smart_column(table, column)?;
        let (_, bound, triage) = self.bound(table, column, smart, scope).await?;
        if matches!(bound, Bound::Local(_)) {
            return Ok(());
        }
        // Without a token only whether there are too many is asked for.
        let until = if token.is_some() { u64::MAX } else { calls_max };
        let survey = self.survey(table, column, (scope, options), (&triage, true), until).await?;
        let Some(token) = token else {
            if survey.plan.calls.saturating_mul(sources(&bound)) > calls_max {
                return Err(Error::PlanNeeded { calls_max });
            }
            return Ok(());
        };
        let at = token.split('.').next().and_then(|at| i64::from_str_radix(at, 16).ok());
        let at = at.ok_or_else(|| outdated("it is not one of this server's plans"))?;
        if self.token(&survey.digest, at).await? != token {
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

    /// Looks at everything a run would take up, until it would make more than `until` calls.
    async fn survey(
        &self,
        table: &Table,
        column: &Column,
        (scope, options): (Scope, &RunOptions),
        (triage, calls_anybody): (&Triage, bool),
        until: u64,
    ) -> Result<Survey> {
        let mut survey = Survey::new(table, column, scope, options)?;
        let run = NewRun { options: options.clone(), ..NewRun::new(table.id, column.id, scope) };
        let mut query = DueQuery { run, after: RowId(0), max: STEP_ROWS };
        let mut left = options.first.unwrap_or(u64::MAX);
        while left > 0 && survey.plan.calls <= until {
            query.max = STEP_ROWS.min(usize::try_from(left).unwrap_or(STEP_ROWS));
            let tasks = self.inner.store.due_cells(&query, triage.columns()).await?;
            let Some(last) = tasks.last() else { break };
            query.after = last.row;
            let found = tasks.len();
            left -= found as u64;
            survey.plan.cells += found as u64;
            let Sorted { work, ended } = triage.sort(&self.inner.tools, tasks).await?;
            survey.ended(&ended);
            if calls_anybody {
                let known = self.known(column, &mut survey, &work).await?;
                survey.work(&work, &known);
            } else {
                work.iter().for_each(|(task, print)| survey.digest(task.row, &print.parts));
            }
            if found < query.max {
                break;
            }
        }
        Ok(survey)
    }

    /// Which of these tasks an earlier cell has the value for, by their place.
    async fn known(
        &self,
        column: &Column,
        survey: &mut Survey,
        work: &[(Task, Fingerprint)],
    ) -> Result<HashSet<[u8; 16]>> {
        let keys: Vec<[u8; 16]> = work
            .iter()
            .filter_map(|(_, print)| print.key)
            .filter(|key| !survey.keys.contains(key))
            .collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let values = self.inner.store.reusable_values(column.id, &keys).await?;
        Ok(keys.into_iter().zip(values).filter_map(|(key, value)| value.map(|_| key)).collect())
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

impl Survey {
    fn new(table: &Table, column: &Column, scope: Scope, options: &RunOptions) -> Result<Self> {
        let version = column.smart.as_ref().map_or(0, |smart| smart.version);
        let asked = serde_json::to_string(&(table.id, column.id, version, scope, options))
            .map_err(|error| Error::Internal(error.to_string()))?;
        let mut digest = blake3::Hasher::new();
        digest.update(asked.as_bytes());
        let plan = Plan {
            cells: 0,
            calls: 0,
            calls_max: 0,
            shared: 0,
            reused: 0,
            skipped: BTreeMap::new(),
            unchanged: 0,
            duration: Duration::ZERO,
            call_time: None,
            cost_micros: None,
            token: String::new(),
        };
        Ok(Self { plan, keys: HashSet::new(), digest })
    }

    fn digest(&mut self, row: RowId, parts: &[u32]) {
        self.digest.update(&row.0.to_le_bytes());
        for part in parts {
            self.digest.update(&part.to_le_bytes());
        }
    }

    fn ended(&mut self, reports: &[TaskReport]) {
        for report in reports {
            self.digest(report.row, &[]);
            match &report.step {
                TaskStep::Finish { state: CellState::Skipped, error, .. } => {
                    let code = error.as_ref().map_or("", |error| error.code.as_str());
                    *self.plan.skipped.entry(code.to_owned()).or_default() += 1;
                }
                _ => self.plan.unchanged += 1,
            }
        }
    }

    fn work(&mut self, work: &[(Task, Fingerprint)], known: &HashSet<[u8; 16]>) {
        for (task, print) in work {
            self.digest(task.row, &print.parts);
            match print.key {
                Some(key) if self.keys.contains(&key) => self.plan.shared += 1,
                Some(key) if known.contains(&key) => self.plan.reused += 1,
                Some(key) => {
                    self.keys.insert(key);
                    self.plan.calls += 1;
                }
                None => self.plan.calls += 1,
            }
        }
    }
}

/// Calls that one cell may take.
fn sources(bound: &Bound) -> u64 {
    match bound {
        Bound::Call(call) => call.waterfall().map_or(1, |waterfall| waterfall.sources.len() as u64),
        Bound::Job(..) | Bound::Local(_) => 1,
    }
}

fn cost(price: f64, calls: u64) -> u64 {
    (price * 1e6 * calls as f64).round() as u64
}

fn outdated(why: &str) -> Error {
    Error::PlanOutdated(why.to_owned())
}
