//! What a run of a Hex column works with, and a person's word on cells whose outcome nobody knows.

use std::sync::Arc;

use paceline_governor::{Budget, Limit, Rate};
use paceline_hex::{Books, Budgets, Note, Options, RunId as HexRunId, Session, TokenSource};
use paceline_model::{
    CellError, Column, ColumnId, Recovery, RowId, RowQuery, RunId, SmartColumn, SmartKind, Table,
};

use super::launch::Prepared;
use super::{Engine, smart_column};
use crate::integration::{
    Fixed, HexWork, IntegrationColumn, Memories, ProviderWire, recall, spacing,
};
use crate::task::Work;
use crate::{Error, IntegrationSpec, Result};

/// A person's word on a cell of an `integration` column whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settle {
    /// This run is the job's: the next run over the unknown cells watches it to its end.
    Attach(String),
    /// No run was started: the next run over the unknown cells starts one.
    Resend,
    /// It has failed; nothing more is done for it unless failed cells are retried.
    Failed,
}

/// The budgets of one column, and the limits that they were made with.
pub(super) struct Known {
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
    /// Settles a cell whose outcome nobody knows. A run with [`Scope::Unknown`](paceline_model::Scope::Unknown) then acts
    /// on it; one that is settled as failed is so at once.
    ///
    /// # Errors
    /// A conflict if the cell is not unknown or a run is at work on it; [`Error::Config`] if the column's kind has
    /// nothing to settle.
    pub async fn settle(
        &self,
        table: &Table,
        column: &str,
        row: RowId,
        settle: Settle,
    ) -> Result<()> {
        let (column, smart) = smart_column(table, column)?;
        if smart.kind != SmartKind::Integration {
            let problem = "only cells of kind integration can be settled; run the cell again";
            return Err(Error::config("column", problem));
        }
        let store = &self.inner.store;
        let note = match settle {
            Settle::Failed => {
                let message = "a person looked and said that this job failed".to_owned();
                let error = CellError { code: "SETTLED_AS_FAILED".to_owned(), message };
                return Ok(store.fail_unknown(column.id, row, error).await?);
            }
            Settle::Resend => Note::Resend,
            Settle::Attach(run) if !HexRunId(run.clone()).is_valid() => {
                let problem = "is no run id: copy it from the end of the run's address in Hex";
                return Err(Error::config("run", problem));
            }
            Settle::Attach(run) => {
                let project = self.project_of(table, column, smart, row).await?;
                Note::attach(project, HexRunId(run), self.inner.clock.wall())
            }
        };
        let note =
            serde_json::to_string(&note).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(store.put_note(column.id, row, Some(note)).await?)
    }

    /// The project of a row's job: as its note has it, else as its column would have it now.
    async fn project_of(
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
        let spec = IntegrationSpec::from_json(&smart.config)?;
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
        spec: &IntegrationSpec,
        bound: IntegrationColumn,
        rate: Rate,
        run: RunId,
    ) -> Result<Prepared> {
        let inner = &self.inner;
        let mut options = spec.options()?;
        options.trigger_limits.clone_from(&rate.limits);
        options.min_spacing = spacing(&rate);
        let tokens = self.tokens(spec)?;

        inner.store.recover_run(run, Recovery::Reconciled).await?;
        let budgets = self.hex_budgets(column.id, &options, &rate).await?;
        let memories = Memories::new([
            (reads_key(column.id), budgets.reads.clone()),
            (overall_key(column.id), budgets.overall.clone()),
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
        Ok(Prepared { work: Work::Hex(work), budget: budgets.triggers, rate })
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

    /// The budgets of a column; made anew if its limits have changed, and then they remember what was spent.
    async fn hex_budgets(
        &self,
        column: ColumnId,
        options: &Options,
        rate: &Rate,
    ) -> Result<Budgets> {
        let mut triggers = rate.limits.clone();
        triggers.extend(spacing(rate).and_then(|spacing| Limit::new(1, spacing).ok()));
        let limits = [triggers, options.poll_limits.clone(), options.overall_limits.clone()];
        if let Some(known) = self.lock().hex.get(&column)
            && known.limits == limits
        {
            return Ok(known.budgets.clone());
        }
        let budgets = Budgets::new(options, &self.inner.clock)
            .map_err(|error| Error::config("config", error.to_string()))?;
        self.remember(column, &budgets.triggers, rate, 0).await?;
        let (store, now) = (self.inner.store.as_ref(), self.inner.clock.wall());
        recall(store, &reads_key(column), &budgets.reads, now).await?;
        recall(store, &overall_key(column), &budgets.overall, now).await?;
        self.lock().hex.insert(column, Known { limits, budgets: budgets.clone() });
        Ok(budgets)
    }
}

fn reads_key(column: ColumnId) -> String {
    format!("column:{column}:reads")
}

fn overall_key(column: ColumnId) -> String {
    format!("column:{column}:overall")
}
