//! What a run of a Hex column works with.

mod account;

use std::sync::Arc;

use paceline_governor::Rate;
use paceline_hex::{Books, Note, Session, TokenSource};
use paceline_model::{Column, RowId, RowQuery, RunId, SmartColumn, Table};

use super::Engine;
use super::launch::Prepared;
use super::past::Leaving;
use super::spec::Spec;
use crate::common::Common;
use crate::gate::{Gate, GateSwitch};
use crate::integration::{Counter, Fixed, HexWork, IntegrationColumn, ProviderWire, tell};
use crate::task::Work;
use crate::{Error, IntegrationSpec, Result};
pub(super) use account::Known;
use account::{Shared, base_of, triggers_key};

/// What is known of the runs at one Hex: columns share it, or one would take another one's run for its own.
#[derive(Default)]
pub(super) struct Told {
    books: Books,
    /// Whether they know what is on record.
    is_told: bool,
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

        let key = self.hex_key(whole, &rate, column.id).await?;
        let (shared, books) = {
            let _turn = inner.sharing.lock().await;
            self.recover(column.id, run, Leaving::of_jobs(&rate)).await?;
            let shared = self.hex_budgets(&key, column.id, &mut options).await?;
            (shared, self.books(&options.base_url).await?)
        };
        let Shared { budgets, memories } = shared;
        memories.begin(inner.store.as_ref(), &inner.clock).await;
        let provider = inner.config.providers.make(&inner.config.outbound, &inner.clock, None)?;
        let counter = Counter {
            memories: Arc::clone(&memories),
            store: Arc::clone(&inner.store),
            clock: inner.clock.clone(),
        };
        let session = Session::with_books(
            &books,
            options,
            budgets.in_turn(column.id.0.unsigned_abs()),
            Arc::new(ProviderWire { provider, counter: Some(counter) }),
            tokens,
            inner.clock.clone(),
            inner.random.clone(),
        );
        let session = session.map_err(|error| Error::config("config", error.to_string()))?;
        let work = HexWork::new(bound, session, memories);
        let gate = Gate::sharing_with(column.id, triggers_key(&key), budgets.triggers, None);
        let gate = Arc::new(GateSwitch::new(gate));
        // How long a refused job waits says the provider.
        Ok(Prepared { work: Work::Hex(Box::new(work)), gate, rate, deadline })
    }

    /// The books of a Hex, which know what is on record of all columns there, whatever their tokens: a listing shows the
    /// runs of a project whoever asks. Called with the lock of who shares held: nobody has them before they know.
    async fn books(&self, base_url: &str) -> Result<Books> {
        let base = base_of(base_url);
        let books = {
            let mut state = self.lock();
            let told = state.books.entry(base.to_owned()).or_default();
            if told.is_told {
                return Ok(told.books.clone());
            }
            told.books.clone()
        };
        let mut columns = Vec::new();
        for (spec, column, _) in self.hex_columns().await? {
            let Ok(options) = spec.hex_options() else { continue };
            if base_of(&options.base_url) == base {
                columns.push((column, options.settle_span()));
            }
        }
        tell(self.inner.store.as_ref(), &books, &columns, &self.inner.clock).await?;
        if let Some(told) = self.lock().books.get_mut(base) {
            told.is_told = true;
        }
        Ok(books)
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
}
