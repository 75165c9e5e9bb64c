//! What a budget learnt of its vendor, kept over a restart (spec G11).
//!
//! Calls are remembered from their own records, which are exact to the call even after a kill; a snapshot is as old as its
//! last saving. So of a snapshot only what was learnt is kept, and no call is counted twice: how the vendor enforces each
//! limit, and until when it asked to wait. Losing the last seconds of that costs a few refused calls and nothing else, so
//! a store that cannot keep it stops no run.

use std::collections::HashMap;
use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::{Budget, Snapshot};
use paceline_model::{ColumnId, Store};

use crate::runner::RunContext;
use crate::task::Work;

/// How often it is saved while a run is at work, at the most.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// The name under which the store keeps it: of a column's own budget.
pub(crate) fn key(column: ColumnId) -> String {
    format!("column:{column}")
}

/// Has a new budget take over what an earlier one of the same key learnt.
pub(crate) async fn recall(
    store: &dyn Store,
    key: &str,
    budget: &Budget,
    now: paceline_clock::Timestamp,
) -> paceline_model::Result<()> {
    let Some(saved) = store.load_budget(key).await? else { return Ok(()) };
    match serde_json::from_str::<Snapshot>(&saved.snapshot) {
        Ok(snapshot) => budget.restore(&snapshot.learnt_only(), now.since(saved.saved_at)),
        Err(error) => {
            tracing::warn!(%key, %error, "what was learnt of the vendor cannot be read; it is learnt anew");
        }
    }
    Ok(())
}

/// What the budgets of a run at work learn, and what of it is kept already.
pub(crate) struct Memory {
    kept: HashMap<String, Snapshot>,
    due: Tick,
}

impl Memory {
    /// Of a run that begins.
    pub(crate) fn begin(ctx: &RunContext) -> Self {
        let kept = budgets(ctx).into_iter();
        let kept = kept.map(|(key, budget)| (key, budget.snapshot().learnt_only())).collect();
        Self { kept, due: ctx.clock.now() + SAVE_EVERY }
    }

    /// Saves it, but not too often.
    pub(crate) async fn save_if_due(&mut self, ctx: &RunContext) {
        if ctx.clock.now() >= self.due {
            self.save(ctx).await;
        }
    }

    /// Saves it if there is anything new.
    pub(crate) async fn save(&mut self, ctx: &RunContext) {
        self.due = ctx.clock.now() + SAVE_EVERY;
        for (key, budget) in budgets(ctx) {
            let learnt = budget.snapshot().learnt_only();
            if self.kept.get(&key) == Some(&learnt) {
                continue;
            }
            let saved = match serde_json::to_string(&learnt) {
                Ok(text) => ctx.store.save_budget(&key, &text, ctx.clock.wall()).await.err(),
                Err(error) => Some(paceline_model::Error::Invalid(error.to_string())),
            };
            match saved {
                None => {
                    self.kept.insert(key, learnt);
                }
                Some(error) => {
                    tracing::warn!(%error, "what was learnt of the vendor could not be kept");
                }
            }
        }
    }
}

/// The budgets that the calls of a run pass, by the names under which the store keeps what they learnt.
fn budgets(ctx: &RunContext) -> Vec<(String, Budget)> {
    let mut all = Vec::new();
    // Of what sources pass alone, what was learnt is kept with what they spent.
    if !matches!(ctx.work, Work::Waterfall(_)) {
        let gate = ctx.gate.now();
        all.push((gate.key().to_owned(), gate.own().clone()));
    }
    for gate in ctx.gates() {
        let shared = gate.shared().map(|shared| (shared.key.clone(), shared.budget.clone()));
        all.extend(shared.filter(|(key, _)| all.iter().all(|(known, _)| known != key)));
    }
    all
}
