//! What the budgets of an integration spent, kept over a restart (spec G11).
//!
//! A trigger is an attempt on record, exact to the call. Reads are not: there are thirty a minute of them, and what one
//! more costs is a wait and no second job. So their budgets are saved every few seconds, calls and all; a process that was
//! killed is taken to have spent, since its last save, as much as it may have: where calls are counted as they leave, as
//! many as leave between two saves, else as much as the shortest limit allowed.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Tick, Timestamp};
use paceline_governor::{Budget, Snapshot};
use paceline_model::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// How often it is saved while a run is at work.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// A call that a killed process sent arrives this much later at the latest, and a save takes a moment.
const GRACE: Duration = Duration::from_secs(2);

/// A budget's memory as it is kept.
#[derive(Deserialize, Serialize)]
struct Saved {
    /// Whether calls may have been made since.
    open: bool,
    /// How many at the most, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsaved_max: Option<usize>,
    snapshot: Snapshot,
}

/// The budgets that are kept while runs are at work. Those whose columns share them share this too.
pub(crate) struct Memories {
    budgets: Vec<(String, Budget)>,
    /// As many calls leave between two saves at the most, if they are counted.
    unsaved_max: Option<usize>,
    /// Held while it is saved, so that no older save comes after a newer one.
    saving: Mutex<Saving>,
}

struct Saving {
    /// Runs at work.
    runs: usize,
    /// Calls that left since the last save, if they are counted.
    unsaved: usize,
    saved_at: Tick,
}

impl Memories {
    /// Of these budgets, by the names under which the store keeps them.
    pub(crate) fn new(budgets: impl IntoIterator<Item = (String, Budget)>) -> Self {
        let saving = Saving { runs: 0, unsaved: 0, saved_at: Tick::ZERO };
        let (budgets, saving) = (budgets.into_iter().collect(), Mutex::new(saving));
        Self { budgets, unsaved_max: None, saving }
    }

    /// The same, where [`Memories::leaves`] is told of each call, and no more than so many leave between two saves.
    pub(crate) fn counting(self, unsaved_max: usize) -> Self {
        Self { unsaved_max: Some(unsaved_max), ..self }
    }

    /// A run begins.
    pub(crate) async fn begin(&self, store: &dyn Store, clock: &Clock) {
        let mut saving = self.saving.lock().await;
        saving.runs += 1;
        self.save(&mut saving, store, clock).await;
    }

    /// Saves them now and then, for ever.
    pub(crate) async fn keep(&self, store: &dyn Store, clock: &Clock) {
        loop {
            clock.sleep(SAVE_EVERY).await;
            let mut saving = self.saving.lock().await;
            self.save(&mut saving, store, clock).await;
        }
    }

    /// A call is about to leave.
    pub(crate) async fn leaves(&self, store: &dyn Store, clock: &Clock) {
        let Some(most) = self.unsaved_max else { return };
        let mut saving = self.saving.lock().await;
        if saving.unsaved >= most || clock.now().since(saving.saved_at) >= SAVE_EVERY {
            self.save(&mut saving, store, clock).await;
        }
        saving.unsaved += 1;
    }

    /// A run has stopped, and none of its calls is under way.
    pub(crate) async fn end(&self, store: &dyn Store, clock: &Clock) {
        let mut saving = self.saving.lock().await;
        saving.runs = saving.runs.saturating_sub(1);
        self.save(&mut saving, store, clock).await;
    }

    /// A store that cannot keep it stops no run.
    async fn save(&self, saving: &mut Saving, store: &dyn Store, clock: &Clock) {
        saving.unsaved = 0;
        saving.saved_at = clock.now();
        for (key, budget) in &self.budgets {
            let (open, unsaved_max) = (saving.runs > 0, self.unsaved_max);
            let saved = Saved { open, unsaved_max, snapshot: budget.snapshot() };
            let kept = match serde_json::to_string(&saved) {
                Ok(text) => store.save_budget(key, &text, clock.wall()).await,
                Err(error) => Err(paceline_model::Error::Invalid(error.to_string())),
            };
            if let Err(error) = kept {
                tracing::warn!(%key, %error, "what was spent of a budget could not be kept");
            }
        }
    }
}

/// What tells [`Memories`] of each call that leaves.
pub(crate) struct Counter {
    pub(crate) memories: Arc<Memories>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
}

impl Counter {
    pub(crate) async fn leaves(&self) {
        self.memories.leaves(self.store.as_ref(), &self.clock).await;
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
        let lost = lost_most(budget).min(saved.unsaved_max.unwrap_or(usize::MAX));
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
