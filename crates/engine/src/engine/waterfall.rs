//! What a run of a waterfall works with: a budget, a breaker and a memory for each of its sources.

use std::sync::Arc;

use paceline_governor::{Budget, Rate};
use paceline_model::{Column, ColumnId, RunId};

use super::Engine;
use super::launch::{Prepared, network_observer};
use super::past::Leaving;
use super::spec::Spec;
use crate::gate::{Gate, GateSwitch};
use crate::integration::{Memories, recall};
use crate::kind::{Call, Caller, Source, Waterfall};
use crate::recording::Recorder;
use crate::task::{HttpWork, SourceWork, WaterfallWork, Work};
use crate::{Error, Result};

impl Engine {
    /// What a run of a waterfall works with. What an earlier process left in its hands is recovered.
    pub(super) async fn prepare_waterfall(
        &self,
        column: &Column,
        (spec, waterfall, identities): (&Spec, &Waterfall, &[String]),
        rate: &Rate,
        run: RunId,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let rates = waterfall.rates(rate, inner.config.ceilings)?;
        let leaving = Leaving::of_sources(waterfall, &rates);
        let gates = {
            let _turn = inner.sharing.lock().await;
            self.recover(column.id, run, leaving).await?;
            self.source_gates(column.id, &self.callers(spec, rate).await?).await?
        };
        let mut sources = Vec::with_capacity(rates.len());
        let mut budgets = Vec::with_capacity(rates.len());
        let called = waterfall.sources.iter().zip(identities);
        for ((called, rate), gate) in called.zip(&rates).zip(gates) {
            let (source, _) = called;
            gate.reset_breakers();
            budgets.push((source_key(column.id, &source.name), gate.own().clone()));
            let gate = Arc::new(GateSwitch::new(gate));
            let http = self.source_work(called, rate, gate, recorder).await?;
            let (name, optional) = (source.name.clone(), source.optional);
            sources.push(SourceWork { name, optional, http });
        }
        let first = sources.first().and_then(|source| source.http.source.as_ref());
        let Some(gate) = first.map(|(_, gate)| Arc::clone(gate)) else {
            return Err(Error::config("config.sources", "is required: at least one source"));
        };
        let memories = Memories::new(budgets);
        memories.begin(inner.store.as_ref(), &inner.clock).await;
        let concurrent_max = leaving.concurrent_max;
        let rate =
            Rate { concurrent_max, ..rates.first().cloned().unwrap_or_else(|| rate.clone()) };
        let work = WaterfallWork { sources, until: waterfall.until, memories };
        let deadlines = rates.iter().map(|rate| rate.retry_policy().throttle_deadline);
        let deadline = deadlines.max().unwrap_or_default();
        Ok(Prepared { work: Work::Waterfall(work), gate, rate, deadline })
    }

    /// What the calls of each source pass: its own budget, and perhaps one that it shares.
    async fn source_gates(&self, column: ColumnId, callers: &[Caller]) -> Result<Vec<Gate>> {
        let mut gates = Vec::with_capacity(callers.len());
        for caller in callers {
            let name = caller.source.as_deref().unwrap_or_default();
            let own = self.source_budget(column, name, &caller.rate).await?;
            let shared = match self.group(caller).await? {
                Some(group) => Some(self.shared(group, column).await?),
                None => None,
            };
            gates.push(Gate::sharing_with(column, source_key(column, name), own, shared));
        }
        Ok(gates)
    }

    async fn source_work(
        &self,
        (source, identity): (&Source, &String),
        rate: &Rate,
        gate: Arc<GateSwitch>,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<HttpWork> {
        let inner = &self.inner;
        let call = Arc::clone(&source.call);
        let observer = network_observer(rate, &gate);
        let key_seed = self.key_seed().await? + identity;
        let config = &inner.config;
        let provider = config.providers.make(&config.outbound, &inner.clock, observer)?;
        let name = Some(source.name.as_str());
        Ok(HttpWork {
            timeout: rate.timeout.filter(|_| !call.names_timeout()),
            provider: Recorder::watch(recorder, provider, name, call.secret_path()),
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
        let budget = self.source_as_it_stands(column, name, rate).await?;
        let key = (column, name.to_owned());
        self.lock().sources.insert(key, (rate.clone(), budget.clone()));
        Ok(budget)
    }

    /// As a run would find it now.
    pub(super) async fn source_as_it_stands(
        &self,
        column: ColumnId,
        name: &str,
        rate: &Rate,
    ) -> Result<Budget> {
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
        Ok(budget)
    }
}

/// The name under which the store keeps what a source's budget spent.
fn source_key(column: ColumnId, name: &str) -> String {
    format!("column:{column}:source:{name}")
}
