//! One budget per key (a tenant, a host, a credential), for up to millions of keys.
//!
//! A key that nobody uses takes a few words: its budget is frozen as soon as it is idle and forgotten once its windows are
//! empty. The budgets of keys in use are ordinary ones.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, PoisonError};

use hashbrown::HashTable;
use paceline_clock::{Clock, Tick};

use crate::budget::Shared;
use crate::core::Frozen;
use crate::sync::{Mutex, MutexGuard};
use crate::{Budget, BudgetConfig, ConfigError};

/// Parts that are locked one by one.
const SHARDS: usize = 64;
/// Keys at the most, unless [`Keyed::with_keys_max`] says otherwise.
const KEYS_MAX: usize = 10_000_000;
/// Budgets in use that are looked at each time one is asked for: two, so that their number goes down.
const SWEEP: usize = 2;
/// Idle budgets of one part that are kept to be used again.
const POOL_MAX: usize = 64;
/// Keys of one part below which nobody looks for forgotten ones.
const SHRINK_FROM: usize = 1_024;

/// A budget for every key, all made from one configuration. Clones share them.
///
/// ```
/// # use paceline_clock::SimClock;
/// use paceline_governor::{BudgetConfig, Keyed};
///
/// # SimClock::new().run(|clock| async move {
/// let config = BudgetConfig::new(["1/s".parse().unwrap()]);
/// let keyed: Keyed<String> = Keyed::new(config, clock).unwrap();
/// assert!(keyed.budget("tenant-1").unwrap().try_acquire().is_ok());
/// assert!(keyed.budget("tenant-1").unwrap().try_acquire().is_err());
/// assert!(keyed.budget("tenant-2").unwrap().try_acquire().is_ok());
/// # });
/// ```
pub struct Keyed<K> {
    shared: Arc<Inner<K>>,
}

struct Inner<K> {
    config: BudgetConfig,
    clock: Clock,
    hasher: RandomState,
    keys_max: usize,
    shards: Vec<Mutex<Shard<K>>>,
}

/// Entries stand in a slab; the table and the line of those in use hold their places only, so that a key is hashed once
/// and never copied.
struct Shard<K> {
    table: HashTable<u32>,
    slab: Vec<Option<Entry<K>>>,
    free: Vec<u32>,
    /// The keys in use, those looked at longest ago first.
    live: VecDeque<u32>,
    pool: Vec<Budget>,
    shrink_at: usize,
}

struct Entry<K> {
    key: K,
    state: State,
}

enum State {
    Live(Budget),
    Frozen(Frozen),
}

/// There are as many keys as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{keys_max} keys have a budget already; a key goes when its windows are empty, or set a larger maximum"
)]
pub struct TooManyKeys {
    /// The maximum.
    pub keys_max: usize,
}

impl<K: Hash + Eq> Keyed<K> {
    /// No budgets yet; each is made from `config` when its key is first asked for.
    ///
    /// # Errors
    /// If the configuration cannot be.
    pub fn new(config: BudgetConfig, clock: Clock) -> Result<Self, ConfigError> {
        Self::with_keys_max(config, clock, KEYS_MAX)
    }

    /// As [`Keyed::new`], for at most about so many keys (each of 64 parts takes its share of them).
    ///
    /// # Errors
    /// If the configuration cannot be.
    pub fn with_keys_max(
        config: BudgetConfig,
        clock: Clock,
        keys_max: usize,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let shard = || {
            Mutex::new(Shard {
                table: HashTable::new(),
                slab: Vec::new(),
                free: Vec::new(),
                live: VecDeque::new(),
                pool: Vec::new(),
                shrink_at: SHRINK_FROM,
            })
        };
        let shards = (0..SHARDS).map(|_| shard()).collect();
        let hasher = RandomState::new();
        Ok(Self { shared: Arc::new(Inner { config, clock, hasher, keys_max, shards }) })
    }

    /// The budget of a key. Hold it no longer than needed: while it is held its key takes the room of a whole budget.
    ///
    /// # Errors
    /// [`TooManyKeys`]: the key is new, and there is no room for one more.
    pub fn budget<Q>(&self, key: &Q) -> Result<Budget, TooManyKeys>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let inner = &*self.shared;
        let hash = inner.hasher.hash_one(key);
        // The table takes the low bits of the hash; others choose the shard.
        let mut shard = lock(&inner.shards[(hash >> 32) as usize % SHARDS]);
        let found = shard.find(hash, key);
        if let Some(at) = found
            && let Some(State::Live(budget)) = shard.state(at)
        {
            return Ok(budget.clone());
        }
        let now = inner.clock.now();
        let at = match found {
            Some(at) => at,
            None => {
                shard.make_room(now, inner.keys_max, &inner.hasher)?;
                shard.reserve()
            }
        };
        let budget = shard.pool.pop().unwrap_or_else(|| self.make());
        let frozen = match shard.state(at) {
            Some(State::Frozen(frozen)) => Some(frozen),
            _ => None,
        };
        budget.shared.lock().core.thaw(frozen);
        let state = State::Live(budget.clone());
        match shard.slab.get_mut(at as usize) {
            Some(Some(entry)) => entry.state = state,
            Some(empty) => {
                *empty = Some(Entry { key: key.to_owned(), state });
                shard.enter(hash, at, &inner.hasher);
            }
            None => {}
        }
        shard.live.push_back(at);
        shard.sweep(now, &inner.hasher);
        Ok(budget)
    }

    /// Keys that have a budget now, those included whose windows have emptied since anybody looked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).table.len()).sum()
    }

    /// Whether no key has a budget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Freezes what is idle and forgets what is as good as new. This happens by itself as keys are asked for; call it to
    /// have the room back at once.
    pub fn shrink(&self) {
        for shard in &self.shared.shards {
            let mut shard = lock(shard);
            let now = self.shared.clock.now();
            (0..shard.live.len()).for_each(|_| shard.look_at_oldest(now, &self.shared.hasher));
            shard.forget(now, &self.shared.hasher);
        }
    }

    fn make(&self) -> Budget {
        let shared = &self.shared;
        Budget { shared: Arc::new(Shared::of_checked(&shared.config, shared.clock.clone())) }
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn find<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
    {
        let is_it = |at: &u32| self.entry(*at).is_some_and(|entry| entry.key.borrow() == key);
        self.table.find(hash, is_it).copied()
    }

    fn entry(&self, at: u32) -> Option<&Entry<K>> {
        self.slab.get(at as usize)?.as_ref()
    }

    fn state(&self, at: u32) -> Option<&State> {
        self.entry(at).map(|entry| &entry.state)
    }

    /// An empty place.
    fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            (self.slab.len() - 1) as u32
        })
    }

    fn enter(&mut self, hash: u64, at: u32, hasher: &RandomState) {
        let slab = &self.slab;
        let hash_of =
            |at: &u32| slab[*at as usize].as_ref().map_or(0, |entry| hasher.hash_one(&entry.key));
        self.table.insert_unique(hash, at, hash_of);
    }

    /// The entry goes; its place is free.
    fn remove(&mut self, at: u32, hasher: &RandomState) -> Option<Entry<K>> {
        let entry = self.slab.get_mut(at as usize)?.take()?;
        if let Ok(found) = self.table.find_entry(hasher.hash_one(&entry.key), |other| *other == at)
        {
            found.remove();
        }
        self.free.push(at);
        Some(entry)
    }

    /// Room for one more key.
    fn make_room(
        &mut self,
        now: Tick,
        keys_max: usize,
        hasher: &RandomState,
    ) -> Result<(), TooManyKeys> {
        let full = keys_max.div_ceil(SHARDS);
        if self.table.len() >= self.shrink_at.min(full) {
            self.forget(now, hasher);
        }
        if self.table.len() >= full { Err(TooManyKeys { keys_max }) } else { Ok(()) }
    }

    /// Forgets the frozen budgets that are as good as new. Called when their number has doubled: a constant per key.
    fn forget(&mut self, now: Tick, hasher: &RandomState) {
        for at in 0..self.slab.len() as u32 {
            if matches!(self.state(at), Some(State::Frozen(frozen)) if frozen.is_over(now)) {
                self.remove(at, hasher);
            }
        }
        self.shrink_at = (2 * self.table.len()).max(SHRINK_FROM);
    }

    fn sweep(&mut self, now: Tick, hasher: &RandomState) {
        // The last one was asked for just now.
        for _ in 0..SWEEP.min(self.live.len().saturating_sub(1)) {
            self.look_at_oldest(now, hasher);
        }
    }

    /// Freezes the budget that was looked at longest ago if nobody holds it and it is idle.
    fn look_at_oldest(&mut self, now: Tick, hasher: &RandomState) {
        let Some(at) = self.live.pop_front() else { return };
        let Some(State::Live(budget)) = self.state(at) else { return };
        // Nobody can get hold of it meanwhile: that takes this shard's lock, or somebody who holds it.
        let held = Arc::strong_count(&budget.shared) > 1;
        let frozen = if held { None } else { budget.shared.lock().core.freeze(now) };
        let Some(frozen) = frozen else {
            self.live.push_back(at);
            return;
        };
        let before = if frozen.is_over(now) {
            self.remove(at, hasher).map(|entry| entry.state)
        } else {
            let entry = self.slab.get_mut(at as usize).and_then(Option::as_mut);
            entry.map(|entry| std::mem::replace(&mut entry.state, State::Frozen(frozen)))
        };
        if let Some(State::Live(budget)) = before
            && self.pool.len() < POOL_MAX
        {
            self.pool.push(budget);
        }
    }
}

fn lock<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K> Clone for Keyed<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for Keyed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("keys_max", &self.shared.keys_max).finish_non_exhaustive()
    }
}
