//! The configuration of a smart column of any kind: read, bound, renamed, sealed, opened, masked. And where its secrets
//! are sealed for, which a new name must not change.

use paceline_governor::{Ceilings, Rate};
use paceline_hex::Options;
use paceline_model::{Column, ColumnId, ColumnType, SmartColumn, SmartKind, Table, Template};
use serde_json::Value as Json;

use super::Engine;
use crate::common::Common;
use crate::kind::{self, Around, Bound, Call, Caller, Elsewhere, KindSpec, Outside};
use crate::labels::{Labels, template_error};
use crate::{Error, IntegrationSpec, OutboundGuard, Result, Sealer};

/// See the module.
pub(super) struct Spec {
    pub(super) common: Common,
    kind: Box<dyn KindSpec>,
}

impl Clone for Spec {
    fn clone(&self) -> Self {
        Self { common: self.common.clone(), kind: self.kind.boxed() }
    }
}

impl Spec {
    pub(super) fn from_json(kind: SmartKind, config: &Json) -> Result<Self> {
        let (common, config) = Common::split(config)?;
        Ok(Self { common, kind: kind::read(kind, &config).map_err(Common::meant)? })
    }

    /// Reads the column's rate.
    pub(super) fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        self.kind.rate(json, ceilings)
    }

    pub(super) fn to_json(&self) -> Json {
        self.common.join(self.kind.to_json())
    }

    /// Checks it against a table (`own` is the column's own name).
    pub(super) fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        self.kind.bind(table, own, guard)
    }

    /// Who makes its calls, whom they call and as whom; secrets must be open. `rate` is the column's.
    pub(super) fn callers(&self, rate: &Rate, ceilings: Ceilings) -> Result<Vec<Caller>> {
        self.kind.callers(rate, ceilings)
    }

    /// The settings of a column of Hex.
    pub(super) fn hex_options(&self) -> Result<Options> {
        IntegrationSpec::from_json(&self.kind.to_json())?.options()
    }

    /// What one call costs, in millionths.
    pub(super) fn price_micros(&self) -> u64 {
        (self.common.price.unwrap_or_default() * 1e6).round() as u64
    }

    /// Checks it against a table; answers the columns that must be done with a row before it, ascending.
    pub(super) fn needs(
        &self,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
    ) -> Result<Vec<ColumnId>> {
        self.bind(table, own, guard)?;
        self.reads(table, own, guard)
    }

    /// As [`Spec::needs`], without a check whether it can be used: nothing is compiled.
    pub(super) fn reads(
        &self,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
    ) -> Result<Vec<ColumnId>> {
        let mut needs = self.kind.inputs(table, own, guard)?;
        needs.extend(self.common.bind(table, own)?.columns());
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    }

    /// Its own work's configuration as text, whatever its columns are called: a column's new name moves nothing. `bound`
    /// is what it binds to.
    pub(super) fn identity(
        &self,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
        bound: &Bound,
    ) -> String {
        let lasting = self.lastingly(table, own, guard, bound);
        lasting.map_or_else(|_| bound.identity(), |bound| bound.identity())
    }

    /// As [`Spec::identity`], of each call that it makes: one of each source of a waterfall.
    pub(super) fn identities(
        &self,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
        bound: &Bound,
    ) -> Vec<String> {
        let lasting = self.lastingly(table, own, guard, bound);
        let bound = lasting.as_ref().unwrap_or(bound);
        match bound {
            Bound::Call(call) => match call.waterfall() {
                Some(all) => all.sources.iter().map(|source| source.call.identity()).collect(),
                None => vec![call.identity()],
            },
            Bound::Job(..) | Bound::Local(_) => Vec::new(),
        }
    }

    /// What it binds to where every other column is called by its id.
    fn lastingly(
        &self,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
        bound: &Bound,
    ) -> Result<Bound> {
        // Begins as no name of a user's does.
        let lasting = |column: ColumnId| format!("_ht_column_{column}");
        let renamed = bound.inputs().iter().try_fold(self.kind.boxed(), |kind, column| {
            renamed(kind, table, own, *column, &lasting(*column))
        });
        let mut lastingly = table.clone();
        for column in lastingly.columns.iter_mut().filter(|column| column.name != own) {
            column.name = lasting(column.id);
            column.title = None;
        }
        renamed.and_then(|kind| kind.bind(&lastingly, own, guard))
    }

    /// With every reference to `column` under its `new` name; secrets must be open.
    pub(super) fn renamed(
        self,
        table: &Table,
        own: &str,
        column: ColumnId,
        new: &str,
    ) -> Result<Self> {
        let common = self.common.renamed(table, own, column, new)?;
        Ok(Self { common, kind: renamed(self.kind, table, own, column, new)? })
    }

    pub(super) fn sealed(self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        Ok(Self { kind: self.kind.sealed(sealer, place)?, ..self })
    }

    pub(super) fn opened(self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        Ok(Self { kind: self.kind.opened(sealer, place)?, ..self })
    }

    /// With what it needs that stands outside its table.
    pub(super) async fn resolved(self, around: Around<'_>) -> Result<Self> {
        Ok(Self { kind: self.kind.resolved(around).await?, ..self })
    }

    /// See [`KindSpec::outside`].
    pub(super) fn outside(&self) -> Option<Outside> {
        self.kind.outside()
    }

    /// See [`KindSpec::elsewhere`].
    pub(super) fn elsewhere(&self) -> Option<Elsewhere> {
        self.kind.elsewhere()
    }

    /// See [`KindSpec::renamed_elsewhere`].
    pub(super) fn renamed_elsewhere(self, names: Elsewhere) -> Self {
        Self { kind: self.kind.renamed_elsewhere(names), ..self }
    }

    /// By what it is known where it calls, be it its own or that of a stored provider; secrets must be open.
    pub(super) fn secret(&self) -> Option<String> {
        self.kind.calls()?.secret
    }

    /// The stored AI provider that it was given: its service and its address.
    pub(super) fn stored_provider(&self) -> Option<(&str, &str)> {
        self.kind.stored_provider()
    }

    pub(super) fn masked(self) -> Self {
        Self { kind: self.kind.masked(), ..self }
    }
}

/// With every reference to `column` under its `new` name.
fn renamed(
    kind: Box<dyn KindSpec>,
    table: &Table,
    own: &str,
    column: ColumnId,
    new: &str,
) -> Result<Box<dyn KindSpec>> {
    let labels = Labels::of(table, own);
    let its: Vec<usize> =
        (0..labels.columns.len()).filter(|at| labels.columns[*at] == column).collect();
    let rename = |text: &str| {
        Template::renamed(text, &labels.names, &its, new)
            .map_err(|error| template_error("config", &error))
    };
    kind.renamed(&rename)
}

impl Engine {
    /// Checks what only the column's type and what stands outside the table tell: a stored provider or function, another
    /// table.
    pub(super) async fn check_spec(&self, spec: &Spec, kind: ColumnType) -> Result<()> {
        // What is wrong with the configuration itself is told first.
        spec.kind.check_type(kind)?;
        spec.clone().resolved(self.around()).await?.kind.check_type(kind)
    }

    /// The configuration of a column as it is in the store, with its secrets opened.
    pub(super) fn opened(
        &self,
        table: &Table,
        column: &Column,
        smart: &SmartColumn,
    ) -> Result<Spec> {
        let spec = Spec::from_json(smart.kind, &smart.config)?;
        let sealer = self.inner.config.sealer.as_ref();
        let by_id = spec.clone().opened(sealer, &lasting_place(column.id));
        by_id.or_else(|_| spec.opened(sealer, &first_place(table, &column.name)))
    }
}

/// Where the secrets of a column are sealed for once it has an id: no new name changes that.
pub(super) fn lasting_place(column: ColumnId) -> String {
    // No name has a colon in it.
    format!("column:{column}")
}

/// Where they are sealed for when the column is made and has no id yet. Before it or its table gets another name, they
/// are sealed again for their lasting place.
pub(super) fn first_place(table: &Table, column: &str) -> String {
    format!("{}.{column}", table.name)
}

/// The other error where a stored configuration cannot be used as it stands.
pub(super) fn unusable(column: &Column, error: &Error) -> Error {
    Error::Conflict(format!(
        "the configuration of the smart column {} cannot be used as it is ({error}); correct it first",
        column.name
    ))
}
