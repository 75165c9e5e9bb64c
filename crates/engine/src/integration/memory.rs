//! What the budgets of an integration spent, kept over a restart (spec G11).
//!
//! A trigger is an attempt on record, exact to the call. Reads are not: there are thirty a minute of them, and what one
//! more costs is a wait and no second job. So their budgets are saved every few seconds, calls and all; a process that was
//! killed is taken to have spent, since its last save, as much as its shortest limit allowed.

use std::time::Duration;

use paceline_clock::{Clock, Timestamp};
use paceline_governor::{Budget, Snapshot};
use paceline_model::Store;
use serde::{Deserialize, Serialize};

/// How often it is saved while a run is at work.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// A call that a killed process sent arrives this much later at the latest, and a save takes a moment.
const GRACE: Duration = Duration::from_secs(2);

/// A budget's memory as it is kept.
#[derive(Deserialize, Serialize)]
struct Saved {
    /// Whether calls may have been made since.
    open: bool,
    snapshot: Snapshot,
}

/// The budgets that are kept while a run is at work.
pub(crate) struct Memories(Vec<Memory>);

struct Memory {
    key: String,
    budget: Budget,
}

impl Memories {
    /// Of these budgets, by the names under which the store keeps them.
    pub(crate) fn new(budgets: impl IntoIterator<Item = (String, Budget)>) -> Self {
        let memory = |(key, budget)| Memory { key, budget };
        Self(budgets.into_iter().map(memory).collect())
    }

    /// Saves them now and then, for ever.
    pub(crate) async fn keep(&self, store: &dyn Store, clock: &Clock) {
        loop {
            clock.sleep(SAVE_EVERY).await;
            self.save(store, clock, true).await;
        }
    }

    /// Saves them. `open`: more calls may be made after this. A store that cannot keep it stops no run.
    pub(crate) async fn save(&self, store: &dyn Store, clock: &Clock, open: bool) {
        for memory in &self.0 {
            if let Err(error) = memory.save(store, clock, open).await {
                let key = &memory.key;
                tracing::warn!(%key, %error, "what was spent of a budget could not be kept");
            }
        }
    }
}

impl Memory {
    async fn save(
        &self,
        store: &dyn Store,
        clock: &Clock,
        open: bool,
    ) -> paceline_model::Result<()> {
        let saved = Saved { open, snapshot: self.budget.snapshot() };
        let text = serde_json::to_string(&saved)
            .map_err(|error| paceline_model::Error::Invalid(error.to_string()))?;
        store.save_budget(&self.key, &text, clock.wall()).await
    }
}

/// Has a new budget take over what an earlier process spent.
pub(crate) async fn recall(
    store: &dyn Store,
    key: &str,
    budget: &Budget,
    now: Timestamp,
) -> paceline_model::Result<()> {
    let Some(kept) = store.load_budget(key).await? else { return Ok(()) };
    let elapsed = now.since(kept.saved_at);
    let saved = match serde_json::from_str::<Saved>(&kept.snapshot) {
        Ok(saved) => saved,
        Err(error) => {
            tracing::warn!(%key, %error, "what was spent of a budget cannot be read; its calls of the last hour are not counted");
            return Ok(());
        }
    };
    budget.restore(&saved.snapshot, elapsed);
    if saved.open {
        let lost = lost_most(budget);
        let latest = SAVE_EVERY + GRACE;
        match elapsed.checked_sub(latest) {
            Some(ago) => budget.remember(std::iter::repeat_n(ago, lost)),
            None => budget.remember_coming(std::iter::repeat_n(latest - elapsed, lost)),
        }
    }
    Ok(())
}

/// Calls that can have been made between two saves at the most: what any one of the limits still allowed.
fn lost_most(budget: &Budget) -> usize {
    let limits = budget.status().limits;
    let longer = limits.iter().filter(|status| status.limit.window() >= SAVE_EVERY + GRACE);
    let left = longer.map(|status| (status.limit.count() as usize).saturating_sub(status.used));
    left.min().unwrap_or_default()
}
