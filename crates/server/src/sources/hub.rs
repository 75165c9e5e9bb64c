//! What sources and webhooks share while the server runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::Clock;
use paceline_governor::{BudgetConfig, Keyed, Limit};
use paceline_model::limits;
use tokio::sync::{Mutex as AsyncMutex, watch};

/// Sources whose ids of calls are in memory; one that is not used longest makes room.
const MEMORIES_MAX: usize = 64;

/// See the [module](self).
pub(crate) struct Hub {
    /// Grows with every change of a source or webhook.
    generation: watch::Sender<u64>,
    /// Held by whoever works on a source, so that its state has one writer.
    turns: Mutex<Turns>,
    /// How fast each source may be called.
    pub(super) calls: Option<Keyed<i64>>,
}

#[derive(Default)]
struct Turns {
    turns: HashMap<i64, Turn>,
    /// The ids of `turns`, the longest unused first.
    order: VecDeque<i64>,
}

/// The right to work on a source, with what is remembered of it.
pub(crate) type Turn = Arc<AsyncMutex<Memory>>;

/// The ids of the calls that a source got last.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) ids: Option<Ids>,
}

/// At most `limits::HOOK_IDS_KEPT` ids, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ids {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Ids {
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    pub(super) fn add(&mut self, id: String) {
        if !self.known.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > limits::HOOK_IDS_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Hub {
    pub(crate) fn new(clock: &Clock) -> Self {
        let limit: Option<Limit> = format!("{}/s", limits::HOOK_CALLS_PER_SECOND_MAX).parse().ok();
        let calls = limit.and_then(|limit| {
            let config = BudgetConfig::new([limit]);
            Keyed::with_keys_max(config, clock.clone(), 2 * limits::SOURCES_MAX).ok()
        });
        Self { generation: watch::Sender::new(0), turns: Mutex::default(), calls }
    }

    /// Says that a source or webhook was made, changed or deleted.
    pub(crate) fn changed(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Hears of it.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The turns of a source.
    pub(crate) fn turn(&self, source: i64) -> Turn {
        let mut turns = self.lock();
        turns.order.retain(|known| *known != source);
        turns.order.push_back(source);
        let turn = Arc::clone(turns.turns.entry(source).or_default());
        if turns.order.len() > MEMORIES_MAX {
            // One that is taken stays: a second one of the same source would let two writers at it.
            let Turns { turns, order } = &mut *turns;
            let free = |id: &&i64| turns.get(*id).is_none_or(|turn| Arc::strong_count(turn) == 1);
            if let Some(oldest) = order.iter().find(free).copied() {
                turns.remove(&oldest);
                order.retain(|known| *known != oldest);
            }
        }
        turn
    }

    pub(super) fn forget(&self, source: i64) {
        let mut turns = self.lock();
        turns.turns.remove(&source);
        turns.order.retain(|known| *known != source);
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("turns", &self.lock().turns.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_forgotten_oldest_first() {
        let mut ids = Ids::default();
        for n in 0..=limits::HOOK_IDS_KEPT {
            ids.add(n.to_string());
            ids.add(n.to_string());
        }
        assert!(!ids.knows("0"));
        assert!(ids.knows("1") && ids.knows(&limits::HOOK_IDS_KEPT.to_string()));
        assert_eq!(
            (ids.known.len(), ids.order.len()),
            (limits::HOOK_IDS_KEPT, limits::HOOK_IDS_KEPT)
        );
    }

    #[test]
    fn a_turn_that_is_taken_is_never_given_a_second_time() {
        let hub = Hub::new(&paceline_clock::SimClock::new().clock());
        let taken = hub.turn(1);
        for source in 2..500 {
            hub.turn(source);
        }
        assert!(Arc::ptr_eq(&taken, &hub.turn(1)));
        assert!(hub.lock().turns.len() <= MEMORIES_MAX + 1);
    }
}
