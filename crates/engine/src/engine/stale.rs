//! Why a cell is stale: which of its inputs moved since it was made (spec C9).

use paceline_model::{CellState, Column, RowId, RowQuery, Scope, SmartColumn, Table};

use super::spec::Spec;
use super::{Engine, smart_column};
use crate::kind::{Around, Bound};
use crate::triage::{Moved, Triage};
use crate::{Error, Result};

impl Engine {
    /// What moved since the cell of a row was completed; nothing where it is as its inputs and its configuration are now,
    /// where it is not completed, or where nobody knows what it was made from.
    ///
    /// # Errors
    /// No such smart column or row; a configuration that cannot be used as it stands.
    pub async fn staleness(&self, table: &Table, column: &str, row: RowId) -> Result<Vec<Moved>> {
        let (column, smart) = smart_column(table, column)?;
        let cells = self.inner.store.cells(column.id, row, row).await?;
        let done = cells.into_iter().find(|cell| cell.state == CellState::Completed);
        let Some(then) = done.and_then(|cell| cell.fingerprint) else { return Ok(Vec::new()) };
        let (_, _, triage) = self.bound(table, column, smart, Scope::All).await?;
        let query = RowQuery {
            columns: triage.columns().to_vec(),
            after: RowId(row.0.saturating_sub(1)),
            limit: 1,
            ..RowQuery::of(table.id)
        };
        let found = self.inner.store.rows(query).await?.into_iter().find(|found| found.id == row);
        let found = found.ok_or_else(|| Error::Missing(format!("there is no row {row}")))?;
        let mut moved = triage.moved(&then, &triage.fingerprint(&found.values));
        if moved.is_empty() {
            let other = triage.reads_other(&self.inner.tools, (row, found.values), then).await?;
            moved.extend(other.map(|table| Moved::Lookup(table.to_owned())));
        }
        Ok(moved)
    }

    /// Where configurations find what stands outside their tables.
    pub(super) fn around(&self) -> Around<'_> {
        Around { store: self.inner.store.as_ref(), sealer: self.inner.config.sealer.as_ref() }
    }

    /// A smart column, bound to its table, and what decides in a run of that scope what is done for a row.
    pub(super) async fn bound(
        &self,
        table: &Table,
        column: &Column,
        smart: &SmartColumn,
        scope: Scope,
    ) -> Result<(Spec, Bound, Triage)> {
        let guard = &self.inner.config.outbound;
        let spec = self.opened(table, column, smart)?;
        let spec = spec.resolved(self.around()).await?;
        let bound = spec.bind(table, &column.name, guard)?;
        let terms = spec.common.bind(table, &column.name)?;
        let identity = spec.identity(table, &column.name, guard, &bound);
        let outside = spec.outside();
        let made_by = (&bound, identity.as_str(), outside.as_ref());
        let triage = Triage::new(table, column, (&spec.common, terms), made_by, scope);
        Ok((spec, bound, triage))
    }
}
