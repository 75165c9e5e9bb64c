//! What a run of a waterfall works with: a budget, a breaker and a memory for each of its sources.

use std::sync::Arc;

use paceline_governor::{Budget, Rate};
use paceline_model::{Column, ColumnId, Recovery, RunId};

use super::Engine;
use super::launch::{Prepared, network_observer};
use crate::gate::{Gate, GateSwitch};
use crate::integration::{Memories, recall};
use crate::kind::{Call, Source, Waterfall};
use crate::task::{HttpWork, SourceWork, WaterfallWork, Work};
use crate::{Error, Result};

impl Engine {
    /// What a run of a waterfall works with. What an earlier process left in its hands is recovered.
    pub(super) async fn prepare_waterfall(
        &self,
        column: &Column,
        waterfall: &Waterfall,
        rate: &Rate,
        run: RunId,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let repeatable = waterfall.is_repeatable();
        let recovery = if repeatable { Recovery::Repeatable } else { Recovery::Once };
        let price_micros = self.price_at_work(run).await?;
        let held = inner.store.recover_priced_run(run, recovery, price_micros).await?;
        let rates = waterfall.rates(rate, inner.config.ceilings)?;
        // As many rows at once as all sources together take.
        let concurrent_max: u32 = rates.iter().map(|rate| rate.concurrent_max).sum();
        if waterfall.sources.iter().any(|source| source.call.repeatable()) {
            // For the ledger; the budgets have their own memories.
            self.note_lost(column.id, run, held.min(u64::from(concurrent_max))).await?;
        }
        let mut sources = Vec::with_capacity(rates.len());
        let mut budgets = Vec::with_capacity(rates.len());
        for (source, rate) in waterfall.sources.iter().zip(&rates) {
            let budget = self.source_budget(column.id, &source.name, rate).await?;
            budget.reset_breaker();
            budgets.push((source_key(column.id, &source.name), budget.clone()));
            let gate = Arc::new(GateSwitch::new(Gate::new(column.id, budget, None)));
            let http = self.source_work(source, rate, gate).await?;
            let (name, optional) = (source.name.clone(), source.optional);
            sources.push(SourceWork { name, optional, http });
        }
        let Some((_, first)) = budgets.first().cloned() else {
            return Err(Error::config("config.sources", "is required: at least one source"));
        };
        let memories = Memories::new(budgets);
        memories.save(inner.store.as_ref(), &inner.clock, true).await;
        // As many rows at once as all sources together take.
        let concurrent_max: u32 = rates.iter().map(|rate| rate.concurrent_max).sum();
        let rate =
            Rate { concurrent_max, ..rates.first().cloned().unwrap_or_else(|| rate.clone()) };
        let work = WaterfallWork { sources, until: waterfall.until, memories };
        let deadlines = rates.iter().map(|rate| rate.retry_policy().throttle_deadline);
        let deadline = deadlines.max().unwrap_or_default();
        let gate = Arc::new(GateSwitch::new(Gate::new(column.id, first, None)));
        Ok(Prepared { work: Work::Waterfall(work), gate, rate, deadline })
    }

    async fn source_work(
        &self,
        source: &Source,
        rate: &Rate,
        gate: Arc<GateSwitch>,
    ) -> Result<HttpWork> {
        let inner = &self.inner;
        let call = Arc::clone(&source.call);
        let observer = network_observer(rate, &gate);
        let key_seed = self.key_seed().await? + &call.identity();
        Ok(HttpWork {
            timeout: rate.timeout.filter(|_| !call.names_timeout()),
            provider: inner.config.providers.make(
                &inner.config.outbound,
                &inner.clock,
                observer,
            )?,
            policy: rate.retry_policy(),
            retry_on: rate.retry_on.clone(),
            // Not for a long window's sake: an intent of the one that may be repeated would be taken for one that may not.
            records_intents: !call.repeatable(),
            key_seed: *blake3::hash(key_seed.as_bytes()).as_bytes(),
            source: Some((source.name.clone(), gate)),
            call,
        })
    }

    /// The budget of one source; made anew if its rate has changed, and then it remembers what was spent.
    async fn source_budget(&self, column: ColumnId, name: &str, rate: &Rate) -> Result<Budget> {
        let key = (column, name.to_owned());
        if let Some((known, budget)) = self.lock().sources.get(&key)
            && known == rate
        {
            return Ok(budget.clone());
        }
        let mut config = rate.budget_config();
        // A row that the vendor refuses says nothing of the other rows.
        config.breaker.counts_row_caused = false;
        let budget = Budget::new(config, self.inner.clock.clone())
            .map_err(|error| Error::config("config.sources", error.to_string()))?;
        let now = self.inner.clock.wall();
        recall(self.inner.store.as_ref(), &source_key(column, name), &budget, now).await?;
        self.lock().sources.insert(key, (rate.clone(), budget.clone()));
        Ok(budget)
    }
}

/// The name under which the store keeps what a source's budget spent.
fn source_key(column: ColumnId, name: &str) -> String {
    format!("column:{column}:source:{name}")
}
