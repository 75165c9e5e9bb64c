//! Which runs can be recorded, and what stands at the head of their recordings.

use std::sync::Arc;

use paceline_governor::{Limit, Rate};
use paceline_model::{Column, ColumnId, Filter, Run, RunStatus, SmartColumn, Subject, Table, Test};

use super::spec::Spec;
use super::{Engine, smart_column};
use crate::kind::Bound;
use crate::labels::Labels;
use crate::recording::{
    HIDDEN, Header, InColumn, Limits, Recorder, StoredProvider, VERSION, Veil, secret_columns,
    shown,
};
use crate::triage::Triage;
use crate::{Error, Recordings, Result};

const PROGRAM: &str = concat!("paceline ", env!("CARGO_PKG_VERSION"));
/// What the key of the words is derived for that stand in a recording for secret values of rows.
const WORDS: &str = "paceline 2026-11 words for secrets in a recording";

impl Engine {
    /// Whether a run of a column can be recorded.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_recordable(&self, table: &Table, column: ColumnId) -> Result<()> {
        self.recordings()?;
        let named = table.columns.iter().find(|known| known.id == column);
        let (column, smart) = smart_column(table, named.map_or("", |column| &column.name))?;
        let refuse = |problem: String| Err(Error::config("record", problem));
        if smart.kind.is_local() {
            let kind = smart.kind.as_str();
            return refuse(format!(
                "a column of kind {kind} calls nobody; there is nothing to record"
            ));
        }
        if smart.is_job() {
            return refuse(
                "a job of Hex goes on after its calls and cannot be replayed; leave it out"
                    .to_owned(),
            );
        }
        let spec = Spec::from_json(smart.kind, &smart.config)?;
        let terms = spec.common.bind(table, &column.name)?;
        if terms.run_if.as_ref().is_some_and(asks_for_more_than_values) {
            let problem = "the column's run_if asks for states of cells or for _ht_id, which a replay cannot give; \
                           record a run of a column whose condition asks for values";
            return refuse(problem.to_owned());
        }
        Ok(())
    }

    /// What records a run, if it is to be recorded. Opens its file.
    pub(super) async fn recorder(
        &self,
        table: &Table,
        (column, smart): (&Column, &SmartColumn),
        (spec, bound, triage): (&Spec, &Bound, &Triage),
        rate: &Rate,
        run: &Run,
    ) -> Result<Option<Arc<Recorder>>> {
        if !run.options.record || !matches!(bound, Bound::Call(_)) {
            return Ok(None);
        }
        let id = run.id;
        // A run that goes on where nobody keeps recordings goes on without.
        let Some(recordings) = self.inner.config.recordings.clone() else {
            tracing::warn!(run = %id, "this run is not recorded any further: nothing here keeps recordings");
            return Ok(None);
        };
        let unopened = |error: String| {
            Error::Conflict(format!("the recording of run {id} cannot be opened: {error}"))
        };
        let asked = run.clone();
        let opened = tokio::task::spawn_blocking(move || recordings.open(&asked));
        let busy = self.inner.clock.busy();
        let opened = opened.await.map_err(|error| unopened(error.to_string()))?;
        drop(busy);
        let out = match opened {
            Ok(out) => out,
            Err(error) if run.status == RunStatus::Queued => {
                return Err(unopened(error.to_string()));
            }
            Err(error) => {
                // What has begun is not held up by it.
                tracing::warn!(run = %id, %error, "this run is not recorded any further: its file cannot be opened");
                return Ok(None);
            }
        };
        let mut header = self.header(table, (column, smart), (spec, triage), rate, run);
        header.bytes_max = out.bytes_max();
        let seed = format!("{} {id}", self.key_seed().await?);
        let words = blake3::derive_key(WORDS, seed.as_bytes());
        let clock = self.inner.clock.clone();
        Ok(Some(Arc::new(Recorder::begin(clock, out, header, veil(spec), words))))
    }

    fn recordings(&self) -> Result<&Arc<dyn Recordings>> {
        self.inner.config.recordings.as_ref().ok_or_else(|| {
            Error::config("record", "nothing here keeps recordings; give a directory for them")
        })
    }

    fn header(
        &self,
        table: &Table,
        (column, smart): (&Column, &SmartColumn),
        (spec, triage): (&Spec, &Triage),
        rate: &Rate,
        run: &Run,
    ) -> Header {
        let opened = spec.to_json();
        let labels = Labels::of(table, &column.name);
        let secret = secret_columns(&opened);
        let is_secret = |known: &Column| {
            let named = |name: &String| {
                let at = labels.names.iter().position(|label| label == name);
                at.is_some_and(|at| labels.columns[at] == known.id)
            };
            secret.iter().any(named)
        };
        let inputs = triage.columns().iter().filter_map(|id| {
            let known = table.columns.iter().find(|known| known.id == *id)?;
            Some(InColumn::of(known, is_secret(known)))
        });
        let provider = spec.stored_provider().map(|(service, base_url)| StoredProvider {
            service: service.to_owned(),
            base_url: base_url.to_owned(),
        });
        Header {
            version: VERSION,
            program: PROGRAM.to_owned(),
            at_us: self.inner.clock.wall().as_micros(),
            run: run.id,
            scope: run.scope,
            caps: run.options.caps,
            table: table.name.clone(),
            inputs: inputs.collect(),
            column: InColumn::of(column, false),
            kind: smart.kind,
            config: veil(spec).json(shown(&opened, spec.clone().masked().to_json())),
            rate_limit: smart.rate_limit.clone(),
            provider,
            limits: Limits {
                limits: rate.limits.iter().map(Limit::to_string).collect(),
                concurrent_max: rate.concurrent_max,
                budget: rate.budget.clone(),
            },
            bytes_max: 0,
        }
    }
}

/// What is hidden in everything that is recorded of a column.
fn veil(spec: &Spec) -> Veil {
    let mut veil = Veil::of_config(&spec.to_json(), &spec.clone().masked().to_json());
    // The key of a stored provider is not in the configuration.
    for secret in spec.secret().iter().flat_map(|secret| secret.lines()) {
        veil.hide(secret, HIDDEN);
    }
    veil
}

/// No deeper than a filter may be nested.
fn asks_for_more_than_values(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().any(asks_for_more_than_values)
        }
        Filter::Test(Test { subject, .. }) => !matches!(subject, Subject::Column(_)),
        Filter::Cell { .. } => true,
    }
}
