//! What a run of a Hex column works with.

use std::sync::Arc;

use paceline_governor::{Budget, Limit, Rate};
use paceline_hex::{Books, Budgets, Note, Options, Session, TokenSource};
use paceline_model::{Column, ColumnId, RowId, RowQuery, RunId, SmartColumn, Table, TableId};

use super::Engine;
use super::launch::Prepared;
use super::past::Leaving;
use super::spec::Spec;
use super::time::{self, Gauge, Passage};
use crate::common::Common;
use crate::gate::{Gate, GateSwitch};
use crate::integration::{
    Counter, Fixed, HexWork, IntegrationColumn, Memories, ProviderWire, recall, spacing, tell,
};
use crate::task::Work;
use crate::{Error, IntegrationSpec, Result};

/// Calls that leave between two saves of the budgets for reads: as many are lost to a window after a kill. (ours)
const UNSAVED_CALLS_MAX: usize = 4;

/// What all columns with one token at one address share, and the limits that it was made with.
pub(super) struct Known {
    pub(super) columns: Vec<ColumnId>,
    /// Where.
    pub(super) base_url: String,
    limits: [Vec<Limit>; 3],
    shared: Shared,
}

/// The budgets, and what keeps in the store what they spend beside the triggers.
#[derive(Clone)]
struct Shared {
    budgets: Budgets,
    memories: Arc<Memories>,
}

/// The columns of one token at one address.
#[derive(Default)]
struct Account {
    columns: Vec<ColumnId>,
    /// Of triggers, of reads and of everything: the least of each window that any of them names.
    limits: [Vec<Limit>; 3],
    /// Those whose runs an earlier process may have left.
    others: Vec<((TableId, ColumnId), Leaving)>,
}

/// What is known of the runs at one Hex: columns share it, or one would take another one's run for its own.
#[derive(Default)]
pub(super) struct Told {
    books: Books,
    /// Whether they know what is on record.
    is_told: bool,
}

impl Known {
    /// Its budgets, with what each is for.
    pub(super) fn each(&self) -> [(&'static str, Budget); 3] {
        let Budgets { triggers, reads, overall, .. } = self.shared.budgets.clone();
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
            if spec.hex_options().is_ok_and(|options| base_of(&options.base_url) == base) {
                columns.push(column);
            }
        }
        tell(self.inner.store.as_ref(), &books, &columns, &self.inner.clock).await?;
        if let Some(told) = self.lock().books.get_mut(base) {
            told.is_told = true;
        }
        Ok(books)
    }

    /// What is found under the same key for all columns with one token at one address.
    async fn hex_key(&self, spec: &Spec, rate: &Rate, column: ColumnId) -> Result<String> {
        let key = match self.callers(spec, rate).await?.first() {
            Some(caller) => self.credential_key(caller).await?,
            None => None,
        };
        Ok(key.map_or_else(|| format!("column:{column}"), |key| format!("hex:{key}")))
    }

    /// Every column of Hex that can be read as it stands.
    async fn hex_columns(&self) -> Result<Vec<(Spec, Column, Rate)>> {
        let mut found = Vec::new();
        for (table, column) in self.smart_columns().await? {
            let Some(smart) = column.smart.as_ref().filter(|smart| smart.is_job()) else {
                continue;
            };
            let Ok(spec) = self.opened(&table, &column, smart) else { continue };
            let Ok(rate) = self.rate(smart.kind, &spec, &smart.rate_limit) else { continue };
            found.push((spec, column, rate));
        }
        Ok(found)
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

    /// What the columns with one token at one address share; made anew if their limits have changed, and then it
    /// remembers what was spent. Where columns name different limits, the least of each window holds for all: every one
    /// keeps to its own, and none can spend what is another's. Of the column that is about to begin, what an earlier
    /// process left unrecorded is on record already.
    async fn hex_budgets(
        &self,
        key: &str,
        beginning: ColumnId,
        options: &mut Options,
    ) -> Result<Shared> {
        let Account { columns, limits, mut others } = self.hex_account(key).await?;
        // The watcher looks no more often than they allow.
        [options.trigger_limits, options.poll_limits, options.overall_limits] = limits.clone();
        options.min_spacing = None;
        if let Some(shared) = self.known_hex(key, &columns, &limits) {
            return Ok(shared);
        }
        others.retain(|((_, column), _)| *column != beginning);
        let shared = self.make_hex(key, (&columns, &limits), &others, options).await?;
        let base_url = base_of(&options.base_url).to_owned();
        let known = Known { columns, base_url, limits, shared: shared.clone() };
        self.lock().hex.insert(key.to_owned(), known);
        Ok(shared)
    }

    /// The columns that are found under a key, and what they may do together.
    async fn hex_account(&self, key: &str) -> Result<Account> {
        let mut account = Account::default();
        for (spec, column, rate) in self.hex_columns().await? {
            if self.hex_key(&spec, &rate, column.id).await? != key {
                continue;
            }
            let Ok(own) = spec.hex_options() else { continue };
            let mut triggers = rate.limits.clone();
            triggers.extend(spacing(&rate).and_then(|spacing| Limit::new(1, spacing).ok()));
            let own = [triggers, own.poll_limits, own.overall_limits];
            for (all, own) in account.limits.iter_mut().zip(own) {
                least(all, &own);
            }
            account.columns.push(column.id);
            account.others.push(((column.table, column.id), Leaving::of_jobs(&rate)));
        }
        Ok(account)
    }

    /// What the jobs of a column pass, as a run would find it now.
    pub(super) async fn jobs_passage(
        &self,
        column: ColumnId,
        spec: &Spec,
        rate: &Rate,
    ) -> Result<Passage> {
        let key = self.hex_key(spec, rate, column).await?;
        let Account { columns, limits, .. } = self.hex_account(&key).await?;
        let budget = match self.known_hex(&key, &columns, &limits) {
            Some(shared) => shared.budgets.triggers,
            None => {
                let [trigger_limits, ..] = limits.clone();
                let options = Options { trigger_limits, ..Options::default() };
                let budgets = Budgets::new(&options, &self.inner.clock)
                    .map_err(|error| Error::config("config", error.to_string()))?;
                let (budget, key) = (budgets.triggers, triggers_key(&key));
                self.remember(&budget, &key, &columns, &limits[0], 0).await?;
                budget
            }
        };
        let key = triggers_key(&key);
        let others = self.left_to_others(column, &key);
        let [limits, ..] = limits;
        let gauge = Gauge { limits, budget };
        Ok(Passage::of_jobs(time::Shared { key, gauge, concurrent_max: None, others }, rate))
    }

    /// What there is under a key, if it has these limits, or is in use: two sets of budgets would spend the vendor's limits
    /// twice, so that new limits wait for the next start.
    fn known_hex(
        &self,
        key: &str,
        columns: &[ColumnId],
        limits: &[Vec<Limit>; 3],
    ) -> Option<Shared> {
        let mut state = self.lock();
        let is_at_work = |active: &super::Active| columns.contains(&active.ctx.column.id);
        let at_work = state.active.values().any(is_at_work);
        let known = state.hex.get_mut(key)?;
        if known.limits != *limits && !at_work {
            return None;
        }
        known.columns = columns.to_vec();
        Some(known.shared.clone())
    }

    async fn make_hex(
        &self,
        key: &str,
        (columns, limits): (&[ColumnId], &[Vec<Limit>; 3]),
        others: &[((TableId, ColumnId), Leaving)],
        options: &Options,
    ) -> Result<Shared> {
        let budgets = Budgets::new(options, &self.inner.clock)
            .map_err(|error| Error::config("config", error.to_string()))?;
        let mut coming = 0;
        for (other, leaving) in others {
            coming += self.left_behind(*other, *leaving).await?;
        }
        self.remember(&budgets.triggers, &triggers_key(key), columns, &limits[0], coming).await?;
        let (store, now) = (self.inner.store.as_ref(), self.inner.clock.wall());
        let kept = [
            (format!("{key}:reads"), budgets.reads.clone()),
            (format!("{key}:overall"), budgets.overall.clone()),
        ];
        for (key, budget) in &kept {
            recall(store, key, budget, now).await?;
        }
        let memories = Arc::new(Memories::new(kept).counting(UNSAVED_CALLS_MAX));
        Ok(Shared { budgets, memories })
    }
}

/// The name under which the store keeps what the triggers' budget learnt.
fn triggers_key(key: &str) -> String {
    format!("{key}:triggers")
}

fn base_of(base_url: &str) -> &str {
    base_url.trim_end_matches('/')
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
