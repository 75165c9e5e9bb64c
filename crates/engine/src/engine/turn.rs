//! Whose turn it is with a run: to set it to work, to pause, to cancel and to recover it are done one after another, so that
//! none of them decides by what another is just changing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_model::RunId;
use tokio::sync::OwnedMutexGuard;

/// The turns of all runs. One that nobody holds or waits for is forgotten.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<()>>>>);

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    run: RunId,
    /// Dropped before the run's entry is looked at.
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// The turn of a run, after whoever has it now.
    pub(super) async fn of(&self, run: RunId) -> Turn<'_> {
        let mutex = self.mutex(run);
        // Made first, so that a wait that is given up leaves nothing behind either.
        let mut turn = Turn { turns: self, run, held: None };
        turn.held = Some(mutex.lock_owned().await);
        turn
    }

    /// The turn of a run if nobody has it.
    pub(super) fn try_of(&self, run: RunId) -> Option<Turn<'_>> {
        let held = self.mutex(run).try_lock_owned().ok()?;
        Some(Turn { turns: self, run, held: Some(held) })
    }

    fn mutex(&self, run: RunId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.lock().entry(run).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut turns = self.turns.lock();
        // The map's own and no other: nobody holds it, and nobody can come to wait for it while the map is locked.
        if turns.get(&self.run).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            turns.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_one_after_another_and_leave_nothing_behind() {
        let turns = Turns::default();
        let first = turns.of(RunId(1)).await;
        assert!(turns.try_of(RunId(1)).is_none());
        let other = turns.try_of(RunId(2)).expect("another run's");
        let waiting = turns.of(RunId(1));
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it is held"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        let second = waiting.await;
        assert!(turns.try_of(RunId(1)).is_none(), "whoever waited has it");
        drop((second, other));
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.of(RunId(1)).await;
        tokio::select! {
            biased;
            _ = turns.of(RunId(1)) => panic!("it is held"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert!(turns.lock().is_empty());
    }
}
