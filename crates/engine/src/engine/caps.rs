//! What the calls of a run are charged to (spec R5): the caps of the run, those of its column's day, and those of a budget
//! that the column names.

use std::sync::Arc;

use paceline_model::{Caps, Column, ColumnId, Run, RunId, Spent};

use super::Engine;
use super::shared::Known;
use super::spec::Spec;
use crate::ledger::{Account, Ledger, day_of};
use crate::{Error, Result};

/// Caps that a person gave a run when it was resumed, in place of those that it was made with.
const RUN_CAPS: &str = "run_caps:";

impl Engine {
    /// Resumes a run with other caps than it was made with. What it has spent stays spent.
    ///
    /// # Errors
    /// As [`Engine::resume_run`]; a conflict while it is at work.
    pub async fn resume_run_within(&self, run: RunId, caps: Caps) -> Result<Run> {
        if self.lock().active.contains_key(&run) {
            let message = format!("run {run} is at work; pause it to give it other caps");
            return Err(Error::Conflict(message));
        }
        let text = serde_json::to_string(&caps)
            .map_err(|error| Error::Internal(format!("caps cannot be kept: {error}")))?;
        self.inner.store.set_setting(&format!("{RUN_CAPS}{run}"), &text).await?;
        self.resume_run(run).await
    }

    /// The caps of a run: those it was made with, or was last resumed with.
    ///
    /// # Errors
    /// The store's.
    pub async fn caps_of(&self, run: &Run) -> Result<Caps> {
        let raised = self.inner.store.setting(&format!("{RUN_CAPS}{}", run.id)).await?;
        // What cannot be read was not written here.
        let raised = raised.and_then(|text| serde_json::from_str(&text).ok());
        Ok(raised.unwrap_or(run.options.caps))
    }

    /// The ledger of a run that begins. What an earlier process left unrecorded is noted already.
    pub(super) async fn ledger(&self, column: &Column, spec: &Spec, run: &Run) -> Result<Ledger> {
        let price_micros = spec.price_micros();
        self.keep_price(run.id, price_micros).await?;
        let mut accounts = Vec::new();
        let caps = self.caps_of(run).await?;
        if !caps.is_none() {
            let Some(now) = self.inner.store.run(run.id).await? else {
                return Err(Error::Missing(format!("run {} is gone", run.id)));
            };
            let counts = now.counts;
            let used = Spent { calls: counts.calls, cost_micros: counts.cost_micros };
            let remedy = "resume the run with higher caps";
            let account = Account::lasting(format!("run {}", run.id), remedy, caps, used);
            account.charge(self.lost_of_run(column.id, run.id).await?);
            accounts.push(Arc::new(account));
        }
        let daily_caps = spec.common.daily_caps;
        if !daily_caps.is_none() {
            accounts.push(self.day_account(column, daily_caps).await?);
        }
        let state = self.lock();
        // Where only a source of it names a budget, all its calls count.
        let names = |known: &&Known| known.members.iter().any(|one| one.column == column.id);
        let known = state.shared.values().filter(names);
        accounts.extend(known.filter_map(|known| known.account.clone()));
        drop(state);
        Ok(Ledger::new(self.inner.clock.clone(), price_micros, accounts))
    }

    /// What the calls of a column have come to today, with those that nobody lived to record.
    pub(super) async fn spent_today(&self, column: ColumnId) -> Result<Spent> {
        let now = self.inner.clock.wall();
        let mut spent = self.inner.store.spent(column, now).await?;
        let lost = self.lost_on(column, day_of(now)).await?;
        spent.calls = spent.calls.saturating_add(lost.calls);
        spent.cost_micros = spent.cost_micros.saturating_add(lost.cost_micros);
        Ok(spent)
    }

    async fn day_account(&self, column: &Column, caps: Caps) -> Result<Arc<Account>> {
        let today = day_of(self.inner.clock.wall());
        let spent = self.spent_today(column.id).await?;
        let mut state = self.lock();
        // An earlier run of this process may have calls under way that are not on record yet.
        let account = state.accounts.entry(column.id).or_insert_with(|| {
            let whose = format!("column {} today", column.name);
            let remedy = "raise daily_caps of the column, then resume";
            Arc::new(Account::daily(whose, remedy, caps, spent, today))
        });
        account.renew(caps, spent, today);
        Ok(Arc::clone(account))
    }
}
