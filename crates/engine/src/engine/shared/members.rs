//! Who makes the calls that budgets hold back: columns, and the sources of waterfalls.

use std::sync::Arc;

use paceline_governor::{Limit, Rate};
use paceline_model::{Column, ColumnId, Table, TableId};

use super::super::Engine;
use super::super::past::Leaving;
use super::super::spec::Spec;
use crate::Result;
use crate::kind::{Bound, Caller};

/// Who passes a shared budget: a column, or one source of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passer {
    pub(crate) column: ColumnId,
    pub(crate) source: Option<String>,
}

/// One of them.
pub(in crate::engine) struct Member {
    pub(in crate::engine) passer: Passer,
    pub(in crate::engine) table: TableId,
    pub(in crate::engine) rate: Rate,
    /// How the calls of its column leave.
    kind: Leaves,
}

/// See [`Leaving`].
#[derive(Clone, Copy)]
enum Leaves {
    Calls { repeatable: bool },
    Sources(Leaving),
}

impl Member {
    /// Where what it passes has these limits.
    pub(in crate::engine) fn leaving(&self, shared: &[Limit]) -> Leaving {
        match self.kind {
            Leaves::Calls { repeatable } => Leaving::of_calls(repeatable, &self.rate, shared),
            Leaves::Sources(leaving) => leaving,
        }
    }
}

impl Engine {
    /// Who makes the calls of a column, with what the stored providers say.
    pub(in crate::engine) async fn callers(&self, spec: &Spec, rate: &Rate) -> Result<Vec<Caller>> {
        let provided = spec.clone().resolved(self.around()).await;
        // A stored provider that is not there any more shares with nobody.
        let spec = provided.as_ref().unwrap_or(spec);
        spec.callers(rate, self.inner.config.ceilings)
    }

    /// What is found under the same key for all who send the same secret to the same host.
    pub(in crate::engine) async fn credential_key(
        &self,
        caller: &Caller,
    ) -> Result<Option<String>> {
        let Some(called) = &caller.called else { return Ok(None) };
        let Some(secret) = &called.secret else { return Ok(None) };
        let key = *blake3::hash(self.key_seed().await?.as_bytes()).as_bytes();
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(called.host.as_bytes()).update(&[0]);
        hasher.update(secret.as_bytes());
        Ok(Some(format!("credential:{}", &hasher.finalize().to_hex()[..32])))
    }

    pub(in crate::engine) async fn smart_columns(&self) -> Result<Vec<(Arc<Table>, Column)>> {
        let mut found = Vec::new();
        for table in self.inner.store.tables().await? {
            let table = Arc::new(table);
            for column in table.columns.iter().filter(|column| column.smart.is_some()) {
                found.push((Arc::clone(&table), column.clone()));
            }
        }
        Ok(found)
    }

    /// Everybody who makes calls and can be read as it stands.
    pub(in crate::engine) async fn members(&self) -> Result<Vec<(Member, Caller)>> {
        let mut members = Vec::new();
        for (table, column) in self.smart_columns().await? {
            let Some((spec, rate, kind)) = self.caller(&table, &column) else { continue };
            for caller in self.callers(&spec, &rate).await? {
                let passer = Passer { column: column.id, source: caller.source.clone() };
                let rate = caller.rate.clone();
                let member = Member { passer, table: table.id, rate, kind };
                members.push((member, caller));
            }
        }
        Ok(members)
    }

    fn caller(&self, table: &Table, column: &Column) -> Option<(Spec, Rate, Leaves)> {
        let smart = column.smart.as_ref().filter(|smart| !smart.kind.is_local())?;
        let spec = self.opened(table, column, smart).ok()?;
        let rate = self.rate(smart.kind, &spec, &smart.rate_limit).ok()?;
        let bound = spec.bind(table, &column.name, &self.inner.config.outbound).ok()?;
        let Bound::Call(call) = bound else { return None };
        let leaves = match call.waterfall() {
            None => Leaves::Calls { repeatable: call.repeatable() },
            Some(all) => {
                let rates = all.rates(&rate, self.inner.config.ceilings).ok()?;
                Leaves::Sources(Leaving::of_sources(all, &rates))
            }
        };
        Some((spec, rate, leaves))
    }
}

/// Each once, in their order.
pub(in crate::engine) fn columns_of(columns: impl Iterator<Item = ColumnId>) -> Vec<ColumnId> {
    let mut once = Vec::new();
    for column in columns {
        if !once.contains(&column) {
            once.push(column);
        }
    }
    once
}
