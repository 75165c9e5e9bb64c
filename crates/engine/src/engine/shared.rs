//! Which columns share a budget (spec G2), and the budgets that they share.
//!
//! Columns share one if they name it (`rate_limit.budget`), or, naming none, if they send the same secret to the same host:
//! there the vendor counts their calls together, whatever they are for. What such columns share allows, in each length of
//! window, the most that any of them names; each keeps to its own limits besides. Secrets are compared by a keyed hash.

use std::sync::Arc;

use paceline_governor::{Budget, BudgetConfig, Guard, Limit, Rate, Shape};
use paceline_model::{Column, ColumnId, Recovery, RunId, RunStatus, Table, TableId};

use super::Engine;
use super::budgets::NamedBudget;
use super::spec::Spec;
use crate::Result;
use crate::gate::SharedBudget;
use crate::kind::Bound;
use crate::ledger::{Account, day_of};

/// Limits of one budget at the most.
const LIMITS_MAX: usize = 16;
/// Runs of a table that are looked at for those of one column that are not over.
const RUNS_MAX: usize = 10_000;

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

/// One of them.
struct Member {
    column: ColumnId,
    table: TableId,
    rate: Rate,
    repeatable: bool,
}

/// A budget that columns share, as this process made it.
pub(super) struct Known {
    config: BudgetConfig,
    pub(super) shared: SharedBudget,
    pub(super) members: Vec<ColumnId>,
    /// What its columns may do in a day, if it is a named one.
    pub(super) account: Option<Arc<Account>>,
}

impl Group {
    /// The limits of what is shared.
    pub(super) fn limits(&self) -> &[Limit] {
        &self.config.limits
    }
}

impl Engine {
    /// Those who share a budget with a column, itself among them; none if it shares none.
    pub(super) async fn group(&self, spec: &Spec, rate: &Rate) -> Result<Option<Group>> {
        if let Some(name) = &rate.budget {
            let named = self.named_budget(name).await?;
            return Ok(Some(self.named_group(named).await?));
        }
        let Some(key) = self.credential_key(spec).await? else { return Ok(None) };
        let mut members = Vec::new();
        for (table, other) in self.smart_columns().await? {
            if let Some((member, spec)) = self.member(&table, &other)
                && member.rate.budget.is_none()
                && self.credential_key(&spec).await?.as_ref() == Some(&key)
            {
                members.push(member);
            }
        }
        if members.len() < 2 {
            // Alone it keeps to its own budget; what was known of others is out of date from now on.
            self.lock().shared.remove(&key);
            return Ok(None);
        }
        let host = spec.credential().map(|credential| credential.host).unwrap_or_default();
        let name = format!("the columns with the same credential at {host}");
        let rates: Vec<&Rate> = members.iter().map(|member| &member.rate).collect();
        Ok(Some(Group { config: together(&rates), key, name, named: None, members }))
    }

    /// The columns that name a budget.
    pub(super) async fn named_group(&self, named: NamedBudget) -> Result<Group> {
        let mut members = Vec::new();
        for (table, column) in self.smart_columns().await? {
            let member = self.member(&table, &column).map(|(member, _)| member);
            members.extend(
                member.filter(|member| member.rate.budget.as_deref() == Some(named.name.as_str())),
            );
        }
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
        let columns: Vec<ColumnId> = group.members.iter().map(|member| member.column).collect();
        let account = self.account(&group).await?;
        if let Some(known) = self.lock().shared.get_mut(&group.key)
            && known.config == group.config
        {
            known.members = columns;
            known.account = account;
            return Ok(known.shared.clone());
        }
        let mut coming = 0;
        for member in group.members.iter().filter(|member| member.column != beginning) {
            coming += self.left_behind(member, group.limits()).await?;
        }
        let budget = Budget::new(group.config.clone(), self.inner.clock.clone())
            .map_err(|error| crate::Error::config("rate_limit", error.to_string()))?;
        self.remember(&budget, &group.key, &columns, group.limits(), coming).await?;
        let shared = SharedBudget::new(group.key.clone(), group.name, budget);
        let mut state = self.lock();
        for active in state.active.values() {
            if columns.contains(&active.ctx.column.id) {
                active.ctx.gate.share(&shared);
            }
        }
        for known in state.shared.values_mut() {
            known.members.retain(|member| !columns.contains(member));
        }
        let known =
            Known { config: group.config, shared: shared.clone(), members: columns, account };
        state.shared.insert(group.key, known);
        Ok(shared)
    }

    /// What the columns of a named budget may do in a day, and have done of it.
    async fn account(&self, group: &Group) -> Result<Option<Arc<Account>>> {
        let Some(named) = &group.named else { return Ok(None) };
        let today = day_of(self.inner.clock.wall());
        let mut spent = paceline_model::Spent::default();
        if !named.daily_caps.is_none() {
            for member in &group.members {
                let more = self.spent_today(member.column).await?;
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

    /// How many calls of a member are under way that no record tells of. What an earlier process left in its hands is
    /// recovered, so that it is on record.
    async fn left_behind(&self, member: &Member, shared: &[Limit]) -> Result<u64> {
        let concurrent_max = u64::from(member.rate.concurrent_max);
        let mut coming = 0;
        for run in self.inner.store.runs(member.table, RUNS_MAX).await? {
            let at_work = matches!(run.status, RunStatus::Queued | RunStatus::Running);
            if run.column != member.column || !at_work {
                continue;
            }
            // Whoever has its turn is about to set it to work.
            let turn = self.inner.turns.try_of(run.id).filter(|_| self.active(run.id).is_none());
            let Some(_turn) = turn else {
                coming += concurrent_max;
                continue;
            };
            self.recover(member.column, run.id, member.repeatable, &member.rate, shared).await?;
        }
        Ok(coming)
    }

    /// Recovers a run from a crash: what may have been sent is on record from then on.
    pub(super) async fn recover(
        &self,
        column: ColumnId,
        run: RunId,
        repeatable: bool,
        rate: &Rate,
        shared: &[Limit],
    ) -> Result<()> {
        let recovery = if repeatable { Recovery::Repeatable } else { Recovery::Once };
        let price_micros = self.price_at_work(run).await?;
        let held = self.inner.store.recover_priced_run(run, recovery, price_micros).await?;
        if !super::launch::records_intents(repeatable, rate, shared) {
            self.note_lost(column, run, held.min(u64::from(rate.concurrent_max))).await?;
        }
        Ok(())
    }

    /// What is found under the same key for all who send the same secret to the same host.
    async fn credential_key(&self, spec: &Spec) -> Result<Option<String>> {
        // A stored provider that is not there any more shares with nobody.
        let Ok(spec) = spec.clone().resolved(self.around()).await else { return Ok(None) };
        let Some(credential) = spec.credential() else { return Ok(None) };
        let key = *blake3::hash(self.key_seed().await?.as_bytes()).as_bytes();
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(credential.host.as_bytes()).update(&[0]);
        hasher.update(credential.secret.as_bytes());
        Ok(Some(format!("credential:{}", &hasher.finalize().to_hex()[..32])))
    }

    /// As [`Engine::credential_key`], for the budgets of a Hex.
    pub(super) async fn hex_key(&self, spec: &Spec, column: ColumnId) -> Result<String> {
        let key = self.credential_key(spec).await?;
        Ok(key.map_or_else(|| format!("column:{column}"), |key| format!("hex:{key}")))
    }

    /// The Hex columns whose budgets are found under a key.
    pub(super) async fn hex_columns(&self, key: &str) -> Result<Vec<(Spec, Column, Rate)>> {
        let mut found = Vec::new();
        for (table, column) in self.smart_columns().await? {
            let Some(smart) = &column.smart else { continue };
            if !smart.is_job() {
                continue;
            }
            let Ok(spec) = self.opened(&table, &column, smart) else { continue };
            let Ok(rate) = self.rate(smart.kind, &spec, &smart.rate_limit) else { continue };
            if self.hex_key(&spec, column.id).await? == key {
                found.push((spec, column, rate));
            }
        }
        Ok(found)
    }

    async fn smart_columns(&self) -> Result<Vec<(Arc<Table>, Column)>> {
        let mut found = Vec::new();
        for table in self.inner.store.tables().await? {
            let table = Arc::new(table);
            for column in table.columns.iter().filter(|column| column.smart.is_some()) {
                found.push((Arc::clone(&table), column.clone()));
            }
        }
        Ok(found)
    }

    /// A column that makes calls and can be read as it stands.
    fn member(&self, table: &Table, column: &Column) -> Option<(Member, Spec)> {
        let smart = column.smart.as_ref().filter(|smart| !smart.kind.is_local())?;
        let spec = self.opened(table, column, smart).ok()?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit).ok()?;
        let bound = spec.bind(table, &column.name, &self.inner.config.outbound).ok()?;
        let Bound::Call(call) = bound else { return None };
        let member =
            Member { column: column.id, table: table.id, rate, repeatable: call.repeatable() };
        Some((member, spec))
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
