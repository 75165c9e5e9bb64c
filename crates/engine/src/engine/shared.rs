//! Which columns share a budget (spec G2), and the budgets that they share.
//!
//! Columns share one if they name it (`rate_limit.budget`), or, naming none, if they send the same secret to the same host:
//! there the vendor counts their calls together, whatever they are for. Of a waterfall each source does so for itself. What such columns share allows, in each length of
//! window, the most that any of them names; each keeps to its own limits besides. Secrets are compared by a keyed hash.

use std::sync::Arc;

use paceline_governor::{Budget, BudgetConfig, Guard, Limit, Rate, Shape};
use paceline_model::{Column, ColumnId, Table, TableId};

use super::budgets::NamedBudget;
use super::past::Leaving;
use super::spec::Spec;
use super::{Engine, time};
use crate::Result;
use crate::gate::SharedBudget;
use crate::kind::{Bound, Caller};
use crate::ledger::{Account, day_of};

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

/// Who passes a shared budget: a column, or one source of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passer {
    pub(crate) column: ColumnId,
    pub(crate) source: Option<String>,
}

/// One of them.
struct Member {
    passer: Passer,
    table: TableId,
    rate: Rate,
    /// How the calls of its column leave.
    kind: Leaves,
    price_micros: u64,
}

/// See [`Leaving`].
#[derive(Clone, Copy)]
enum Leaves {
    Calls { repeatable: bool },
    Sources(Leaving),
}

/// A budget that columns share, as this process made it.
pub(super) struct Known {
    config: BudgetConfig,
    pub(super) shared: SharedBudget,
    pub(super) members: Vec<Passer>,
    /// What its columns may do in a day, if it is a named one.
    pub(super) account: Option<Arc<Account>>,
}

impl Member {
    /// Where what it passes has these limits.
    fn leaving(&self, shared: &[Limit]) -> Leaving {
        match self.kind {
            Leaves::Calls { repeatable } => Leaving::of_calls(repeatable, &self.rate, shared),
            Leaves::Sources(leaving) => leaving,
        }
    }
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
    /// Who makes the calls of a column, with what the stored providers say.
    pub(super) async fn callers(&self, spec: &Spec, rate: &Rate) -> Result<Vec<Caller>> {
        let sealer = self.inner.config.sealer.as_ref();
        let provided = spec.clone().provided(self.inner.store.as_ref(), sealer).await;
        // A stored provider that is not there any more shares with nobody.
        let spec = provided.as_ref().unwrap_or(spec);
        spec.callers(rate, self.inner.config.ceilings)
    }

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
                let more = self.spent_today(column, member.price_micros).await?;
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

    /// What is found under the same key for all who send the same secret to the same host.
    pub(super) async fn credential_key(&self, caller: &Caller) -> Result<Option<String>> {
        let Some(called) = &caller.called else { return Ok(None) };
        let Some(secret) = &called.secret else { return Ok(None) };
        let key = *blake3::hash(self.key_seed().await?.as_bytes()).as_bytes();
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(called.host.as_bytes()).update(&[0]);
        hasher.update(secret.as_bytes());
        Ok(Some(format!("credential:{}", &hasher.finalize().to_hex()[..32])))
    }

    pub(super) async fn smart_columns(&self) -> Result<Vec<(Arc<Table>, Column)>> {
        let mut found = Vec::new();
        for table in self.inner.store.tables().await? {
            let table = Arc::new(table);
            for column in table.columns.iter().filter(|column| column.smart.is_some()) {
                found.push((Arc::clone(&table), column.clone()));
            }
        }
        Ok(found)
    }

    /// Everybody who makes calls and can be read as it stands.
    async fn members(&self) -> Result<Vec<(Member, Caller)>> {
        let mut members = Vec::new();
        for (table, column) in self.smart_columns().await? {
            let Some((spec, rate, kind)) = self.caller(&table, &column) else { continue };
            for caller in self.callers(&spec, &rate).await? {
                let passer = Passer { column: column.id, source: caller.source.clone() };
                let (rate, price_micros) = (caller.rate.clone(), spec.price_micros());
                let member = Member { passer, table: table.id, rate, kind, price_micros };
                members.push((member, caller));
            }
        }
        Ok(members)
    }

    fn caller(&self, table: &Table, column: &Column) -> Option<(Spec, Rate, Leaves)> {
        let smart = column.smart.as_ref().filter(|smart| !smart.kind.is_local())?;
        let spec = self.opened(table, column, smart).ok()?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit).ok()?;
        let bound = spec.bind(table, &column.name, &self.inner.config.outbound).ok()?;
        let Bound::Call(call) = bound else { return None };
        let leaves = match call.waterfall() {
            None => Leaves::Calls { repeatable: call.repeatable() },
            Some(all) => {
                let rates = all.rates(&rate, self.inner.config.ceilings).ok()?;
                Leaves::Sources(Leaving::of_sources(all, &rates))
            }
        };
        Some((spec, rate, leaves))
    }
}

/// Each once, in their order.
fn columns_of(columns: impl Iterator<Item = ColumnId>) -> Vec<ColumnId> {
    let mut once = Vec::new();
    for column in columns {
        if !once.contains(&column) {
            once.push(column);
        }
    }
    once
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
