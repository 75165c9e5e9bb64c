//! Which columns share a budget (spec G2), and the budgets that they share.
//!
//! Columns share one if they name it (`rate_limit.budget`), or, naming none, if they send the same secret to the same host:
//! there the vendor counts their calls together, whatever they are for. Of a waterfall each source does so for itself. What such columns share allows, in each length of
//! window, the most that any of them names; each keeps to its own limits besides. Secrets are compared by a keyed hash.

mod members;

use std::sync::Arc;

use paceline_governor::{Budget, BudgetConfig, Guard, Limit, Rate, Shape};
use paceline_model::ColumnId;

use super::budgets::NamedBudget;
use super::{Engine, time};
use crate::Result;
use crate::gate::SharedBudget;
use crate::kind::Caller;
use crate::ledger::{Account, day_of};
pub(crate) use members::Passer;
use members::{Member, columns_of};

/// Limits of one budget at the most.
const LIMITS_MAX: usize = 16;

/// Columns that share a budget.
pub(super) struct Group {
    /// Under which it is found, and what it learnt is kept.
    pub(super) key: String,
    /// For people.
    name: String,
    config: BudgetConfig,
    named: Option<NamedBudget>,
    members: Vec<Member>,
}

/// A budget that columns share, as this process made it.
pub(super) struct Known {
    config: BudgetConfig,
    pub(super) shared: SharedBudget,
    pub(super) members: Vec<Passer>,
    /// What its columns may do in a day, if it is a named one.
    pub(super) account: Option<Arc<Account>>,
}

impl Known {
    /// Its columns, each once.
    pub(super) fn columns(&self) -> Vec<ColumnId> {
        columns_of(self.members.iter().map(|member| member.column))
    }
}

impl Group {
    /// The limits of what is shared.
    pub(super) fn limits(&self) -> &[Limit] {
        &self.config.limits
    }
}

impl Engine {
    /// Those who share a budget with a caller, itself among them; none if it shares none.
    pub(super) async fn group(&self, caller: &Caller) -> Result<Option<Group>> {
        if let Some(name) = &caller.rate.budget {
            let named = self.named_budget(name).await?;
            return Ok(Some(self.named_group(named).await?));
        }
        let Some(key) = self.credential_key(caller).await? else { return Ok(None) };
        let mut members = Vec::new();
        for (member, other) in self.members().await? {
            if other.rate.budget.is_none()
                && self.credential_key(&other).await?.as_ref() == Some(&key)
            {
                members.push(member);
            }
        }
        if members.len() < 2 {
            // Alone it keeps to its own budget; what was known of others is out of date from now on.
            self.lock().shared.remove(&key);
            return Ok(None);
        }
        let host = caller.called.as_ref().map(|called| called.host.as_str()).unwrap_or_default();
        let name = format!("the columns with the same credential at {host}");
        let rates: Vec<&Rate> = members.iter().map(|member| &member.rate).collect();
        Ok(Some(Group { config: together(&rates), key, name, named: None, members }))
    }

    /// The columns that name a budget.
    pub(super) async fn named_group(&self, named: NamedBudget) -> Result<Group> {
        let members = self.members().await?.into_iter();
        let members = members.map(|(member, _)| member);
        let is_named = |member: &Member| member.rate.budget.as_deref() == Some(named.name.as_str());
        let members = members.filter(is_named).collect();
        Ok(Group {
            key: named.key(),
            name: format!("the budget {}", named.name),
            config: named.config.clone(),
            members,
            named: Some(named),
        })
    }

    /// The budget of a group, made or made anew if it is not as it should be. Of the member that is about to begin, what an
    /// earlier process left unrecorded is noted already.
    pub(super) async fn shared(&self, group: Group, beginning: ColumnId) -> Result<SharedBudget> {
        let passers: Vec<Passer> =
            group.members.iter().map(|member| member.passer.clone()).collect();
        let columns = columns_of(passers.iter().map(|passer| passer.column));
        let account = self.account(&group).await?;
        if let Some(known) = self.lock().shared.get_mut(&group.key)
            && known.config == group.config
        {
            known.members = passers;
            known.account = account;
            return Ok(known.shared.clone());
        }
        let mut coming = 0;
        let others = columns.iter().filter(|column| **column != beginning);
        for column in others {
            // All sources of a column are one run.
            let of = group.members.iter().find(|member| member.passer.column == *column);
            let Some(member) = of else { continue };
            let leaving = member.leaving(group.limits());
            coming += self.left_behind((member.table, *column), leaving).await?;
        }
        let budget = Budget::new(group.config.clone(), self.inner.clock.clone())
            .map_err(|error| crate::Error::config("rate_limit", error.to_string()))?;
        self.remember(&budget, &group.key, &columns, group.limits(), coming).await?;
        let shared = SharedBudget::new(group.key.clone(), group.name, budget);
        let mut state = self.lock();
        for active in state.active.values() {
            active.ctx.share(&shared, &passers);
        }
        for known in state.shared.values_mut() {
            known.members.retain(|member| !passers.contains(member));
        }
        let known =
            Known { config: group.config, shared: shared.clone(), members: passers, account };
        state.shared.insert(group.key, known);
        Ok(shared)
    }

    /// What a run would find now, beside the runs of others that are at work.
    pub(super) async fn shared_as_it_stands(
        &self,
        column: ColumnId,
        group: Group,
    ) -> Result<time::Shared> {
        let known = {
            let state = self.lock();
            let known = state.shared.get(&group.key).filter(|known| known.config == group.config);
            known.map(|known| known.shared.budget.clone())
        };
        let budget = match known {
            Some(budget) => budget,
            None => {
                let budget = Budget::new(group.config.clone(), self.inner.clock.clone())
                    .map_err(|error| crate::Error::config("rate_limit", error.to_string()))?;
                let columns = columns_of(group.members.iter().map(|member| member.passer.column));
                self.remember(&budget, &group.key, &columns, group.limits(), 0).await?;
                budget
            }
        };
        let others = self.left_to_others(column, &group.key);
        let concurrent_max = group.config.concurrent_max;
        let gauge = time::Gauge { limits: group.config.limits, budget };
        Ok(time::Shared { key: group.key, gauge, concurrent_max, others })
    }

    /// What the columns of a named budget may do in a day, and have done of it.
    async fn account(&self, group: &Group) -> Result<Option<Arc<Account>>> {
        let Some(named) = &group.named else { return Ok(None) };
        let today = day_of(self.inner.clock.wall());
        let mut spent = paceline_model::Spent::default();
        if !named.daily_caps.is_none() {
            let mut counted = Vec::new();
            for member in &group.members {
                // What one source of a column did is not told from what the others did.
                let column = member.passer.column;
                if counted.contains(&column) {
                    continue;
                }
                counted.push(column);
                let more = self.spent_today(column).await?;
                spent.calls += more.calls;
                spent.cost_micros += more.cost_micros;
            }
        }
        let known = self.lock().shared.get(&group.key).and_then(|known| known.account.clone());
        if let Some(account) = known {
            account.renew(named.daily_caps, spent, today);
            return Ok(Some(account));
        }
        let whose = format!("the budget {} today", named.name);
        let remedy = "raise daily_caps of the budget, then resume";
        Ok(Some(Arc::new(Account::daily(whose, remedy, named.daily_caps, spent, today))))
    }
}

/// What columns share that name no budget: in each length of window the most that any of them names.
fn together(rates: &[&Rate]) -> BudgetConfig {
    let mut limits: Vec<Limit> = Vec::new();
    for limit in rates.iter().flat_map(|rate| &rate.limits) {
        let same = |other: &Limit| (other.window(), other.unit()) == (limit.window(), limit.unit());
        match limits.iter().position(same) {
            Some(at) if limits[at].count() < limit.count() => limits[at] = *limit,
            Some(_) => {}
            None => limits.push(*limit),
        }
    }
    limits.truncate(LIMITS_MAX);
    let shape = rates.first().map(|rate| rate.shape).unwrap_or_default();
    let guard = rates.first().map(|rate| rate.guard).unwrap_or_default();
    BudgetConfig {
        shape: if rates.iter().all(|rate| rate.shape == shape) { shape } else { Shape::Auto },
        guard: if rates.iter().all(|rate| rate.guard == guard) { guard } else { Guard::Auto },
        cool_down_on_429: rates.iter().any(|rate| rate.cool_down_on_429),
        ..BudgetConfig::new(limits)
    }
}
