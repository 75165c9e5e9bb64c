//! What a run of a Hex column works with.

use std::sync::Arc;

use paceline_governor::{Budget, Limit, Rate};
use paceline_hex::{Books, Budgets, Note, Options, Session, TokenSource};
use paceline_model::{Column, ColumnId, Recovery, RowId, RowQuery, RunId, SmartColumn, Table};

use super::Engine;
use super::launch::Prepared;
use super::spec::Spec;
use crate::common::Common;
use crate::gate::{Gate, GateSwitch};
use crate::integration::{
    Fixed, HexWork, IntegrationColumn, Memories, ProviderWire, recall, spacing,
};
use crate::task::Work;
use crate::{Error, IntegrationSpec, Result, memory};

/// The budgets of all columns with one token and one address, and the limits that they were made with.
pub(super) struct Known {
    pub(super) columns: Vec<ColumnId>,
    limits: [Vec<Limit>; 3],
    budgets: Budgets,
}

impl Known {
    /// Its budgets, with what each is for.
    pub(super) fn each(&self) -> [(&'static str, Budget); 3] {
        let Budgets { triggers, reads, overall } = self.budgets.clone();
        [("triggers", triggers), ("reads", reads), ("overall", overall)]
    }
}

impl Engine {
    /// The project of a row's job: as its note has it, else as its column would have it now.
    pub(super) async fn project_of(
        &self,
        table: &Table,
        column: &Column,
        smart: &SmartColumn,
        row: RowId,
    ) -> Result<String> {
        let store = &self.inner.store;
        let note = store.note(column.id, row).await?;
        match note.and_then(|note| serde_json::from_str(&note).ok()) {
            Some(Note::Sending { project, .. } | Note::Started { project, .. }) => {
                return Ok(project);
            }
            Some(Note::Resend) | None => {}
        }
        let spec = IntegrationSpec::from_json(&Common::split(&smart.config)?.1)?;
        let bound =
            IntegrationColumn::new(&spec, table, &column.name, &self.inner.config.outbound)?;
        let query = RowQuery {
            columns: bound.inputs.clone(),
            after: RowId(row.0.saturating_sub(1)),
            limit: 1,
            ..RowQuery::of(table.id)
        };
        let found = store.rows(query).await?.into_iter().find(|found| found.id == row);
        let found = found.ok_or_else(|| Error::Missing(format!("there is no row {row}")))?;
        let job = bound.render(&found.values);
        Ok(job.map_err(|error| Error::config("row", error.message))?.project)
    }

    /// What a run of a Hex column works with. What an earlier process left in its hands goes on by its notes.
    pub(super) async fn prepare_hex(
        &self,
        column: &Column,
        whole: &Spec,
        spec: &IntegrationSpec,
        bound: IntegrationColumn,
        rate: Rate,
        run: RunId,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let mut options = spec.options()?;
        let deadline = options.retry.throttle_deadline;
        let tokens = self.tokens(spec)?;

        let price_micros = self.price_at_work(run).await?;
        inner.store.recover_priced_run(run, Recovery::Reconciled, price_micros).await?;
        let key = self.hex_key(whole, column.id).await?;
        let budgets = {
            let _turn = inner.sharing.lock().await;
            self.hex_budgets(&key, column.id, &mut options).await?
        };
        let memories = Memories::new([
            (format!("{key}:reads"), budgets.reads.clone()),
            (format!("{key}:overall"), budgets.overall.clone()),
        ]);
        memories.save(inner.store.as_ref(), &inner.clock, true).await;
        let provider = inner.config.providers.make(&inner.config.outbound, &inner.clock, None)?;
        let session = Session::with_books(
            &self.books(&options.base_url),
            options,
            budgets.clone(),
            Arc::new(ProviderWire(provider)),
            tokens,
            inner.clock.clone(),
            inner.random.clone(),
        );
        let session = session.map_err(|error| Error::config("config", error.to_string()))?;
        let work = HexWork::new(bound, session, memories);
        let gate = Arc::new(GateSwitch::new(Gate::new(column.id, budgets.triggers, None)));
        // How long a refused job waits says the provider.
        Ok(Prepared { work: Work::Hex(Box::new(work)), gate, rate, deadline })
    }

    /// What is known of the runs at a Hex: columns share it, or one would take another one's run for its own.
    fn books(&self, base_url: &str) -> Books {
        self.lock().books.entry(base_url.trim_end_matches('/').to_owned()).or_default().clone()
    }

    fn tokens(&self, spec: &IntegrationSpec) -> Result<Arc<dyn TokenSource>> {
        match (&spec.token, &self.inner.config.tokens) {
            (Some(token), _) => {
                let fixed = Fixed::new(token)
                    .map_err(|error| Error::config("config.token", error.to_string()))?;
                Ok(Arc::new(fixed))
            }
            (None, Some(tokens)) => Ok(Arc::clone(tokens)),
            (None, None) => {
                Err(Error::config("config.token", "is required: nothing else here has a token"))
            }
        }
    }

    /// The budgets of the columns with one token at one address; made anew if their limits have changed, and then they
    /// remember what was spent. Where columns name different limits, the least of each window holds for all: every one
    /// keeps to its own, and none can spend what is another's.
    async fn hex_budgets(
        &self,
        key: &str,
        beginning: ColumnId,
        options: &mut Options,
    ) -> Result<Budgets> {
        let mut limits: [Vec<Limit>; 3] = Default::default();
        let mut columns = Vec::new();
        for (spec, column, rate) in self.hex_columns(key).await? {
            let Ok(own) = spec.hex_options() else { continue };
            let mut triggers = rate.limits.clone();
            triggers.extend(spacing(&rate).and_then(|spacing| Limit::new(1, spacing).ok()));
            for (all, own) in limits.iter_mut().zip([triggers, own.poll_limits, own.overall_limits])
            {
                least(all, &own);
            }
            columns.push(column.id);
        }
        if let Some(known) = self.lock().hex.get_mut(key)
            && known.limits == limits
        {
            known.columns = columns;
            return Ok(known.budgets.clone());
        }
        let [triggers, reads, overall] = limits.clone();
        options.trigger_limits = triggers;
        options.min_spacing = None;
        options.poll_limits = reads;
        options.overall_limits = overall;
        let at_work = {
            let mut state = self.lock();
            let is_at_work = |active: &super::Active| columns.contains(&active.ctx.column.id);
            let at_work = state.active.values().any(is_at_work);
            // Two sets of budgets would spend the vendor's limits twice: the new limits wait for the next start.
            state.hex.get_mut(key).filter(|_| at_work).map(|known| {
                known.columns.clone_from(&columns);
                known.budgets.clone()
            })
        };
        if let Some(budgets) = at_work {
            return Ok(budgets);
        }
        let budgets = Budgets::new(options, &self.inner.clock)
            .map_err(|error| Error::config("config", error.to_string()))?;
        let learnt = memory::key(beginning);
        self.remember(&budgets.triggers, &learnt, &columns, &limits[0], 0).await?;
        let (store, now) = (self.inner.store.as_ref(), self.inner.clock.wall());
        recall(store, &format!("{key}:reads"), &budgets.reads, now).await?;
        recall(store, &format!("{key}:overall"), &budgets.overall, now).await?;
        let known = Known { columns, limits, budgets: budgets.clone() };
        self.lock().hex.insert(key.to_owned(), known);
        Ok(budgets)
    }
}

/// Adds limits; of two with the same window the one that allows less stays.
fn least(all: &mut Vec<Limit>, own: &[Limit]) {
    for limit in own {
        match all.iter_mut().find(|other| other.window() == limit.window()) {
            Some(other) if other.count() <= limit.count() => {}
            Some(other) => *other = *limit,
            None => all.push(*limit),
        }
    }
}
