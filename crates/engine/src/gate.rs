//! What a call passes before it leaves (spec G2): its column's own budget, and the one that the column shares with others,
//! because they use one credential at one host or because all of them name it.

use std::sync::atomic::{AtomicU64, Ordering};

use paceline_governor::{Ask, Budget, Gates, Limit, Permit, Refused};
use paceline_model::ColumnId;
use tokio::sync::watch;

use crate::memory;

/// A budget that columns share.
#[derive(Clone, Debug)]
pub(crate) struct SharedBudget {
    /// The name under which the store keeps what it learnt.
    pub(crate) key: String,
    /// What people call it.
    pub(crate) name: String,
    pub(crate) budget: Budget,
    /// One made anew under the same key is another one.
    generation: u64,
}

/// The gates of one column. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    column: ColumnId,
    own: Budget,
    /// The name under which the store keeps what its own budget learnt.
    key: String,
    shared: Option<(SharedBudget, Gates)>,
}

/// The gates of a run at work, which change when another column comes to share its credential, or when a named budget gets
/// other limits. Whoever waits at the old ones then waits at the new ones.
#[derive(Debug)]
pub(crate) struct GateSwitch(watch::Sender<Gate>);

impl SharedBudget {
    pub(crate) fn new(key: String, name: String, budget: Budget) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self { key, name, budget, generation: MADE.fetch_add(1, Ordering::Relaxed) }
    }

    /// Its limits.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        self.budget.status().limits.iter().map(|status| status.limit).collect()
    }
}

impl Gate {
    pub(crate) fn new(column: ColumnId, own: Budget, shared: Option<SharedBudget>) -> Self {
        Self::sharing_with(column, memory::key(column), own, shared)
    }

    /// The same, where the store keeps under `key` what its own budget learnt.
    pub(crate) fn sharing_with(
        column: ColumnId,
        key: String,
        own: Budget,
        shared: Option<SharedBudget>,
    ) -> Self {
        Self { column, own, key, shared: None }.sharing(shared)
    }

    fn sharing(self, shared: Option<SharedBudget>) -> Self {
        let own = &self.own;
        let shared = shared.map(|shared| {
            let gates = Gates::new(own.clone(), shared.budget.clone());
            (shared, gates)
        });
        Self { shared, ..self }
    }

    /// The name under which the store keeps what its own budget learnt.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The column's own budget.
    pub(crate) fn own(&self) -> &Budget {
        &self.own
    }

    /// The one that it shares.
    pub(crate) fn shared(&self) -> Option<&SharedBudget> {
        self.shared.as_ref().map(|(shared, _)| shared)
    }

    /// A person says that the cause was mended.
    pub(crate) fn reset_breakers(&self) {
        self.own.reset_breaker();
        if let Some((shared, _)) = &self.shared {
            shared.budget.reset_breaker();
        }
    }

    async fn acquire(&self, tokens: u64) -> Result<Permit, Refused> {
        // At a shared gate columns take turns, one call each.
        let ask = Ask::new().turn(self.column.0.unsigned_abs(), 1).tokens(tokens);
        match &self.shared {
            None => self.own.acquire_with(ask).await,
            Some((_, gates)) => gates.acquire_with(ask).await,
        }
    }
}

impl GateSwitch {
    pub(crate) fn new(gate: Gate) -> Self {
        Self(watch::Sender::new(gate))
    }

    /// The gates as they are now.
    pub(crate) fn now(&self) -> Gate {
        self.0.borrow().clone()
    }

    /// From now on calls pass this shared budget.
    pub(crate) fn share(&self, shared: &SharedBudget) {
        self.0.send_if_modified(|gate| {
            let is_new = gate.shared().is_none_or(|old| old.generation != shared.generation);
            if is_new {
                *gate = gate.clone().sharing(Some(shared.clone()));
            }
            is_new
        });
    }

    /// Waits for leave of all its gates to make a call that is thought to take so many tokens.
    pub(crate) async fn acquire(&self, tokens: u64) -> Result<Permit, Refused> {
        let mut changes = self.0.subscribe();
        loop {
            let gate = changes.borrow_and_update().clone();
            tokio::select! {
                biased;
                permit = gate.acquire(tokens) => return permit,
                Ok(()) = changes.changed() => {}
            }
        }
    }

    /// A connection took this long to make.
    pub(crate) fn saw_network(&self, took: std::time::Duration) {
        let gate = self.0.borrow();
        gate.own.saw_network(took);
        if let Some((shared, _)) = &gate.shared {
            shared.budget.saw_network(took);
        }
    }
}
