//! One budget per key (a tenant, a host, a credential), for up to millions of keys.
//!
//! A key that nobody uses takes a few words: its budget is frozen as soon as it is idle and forgotten once its windows are
//! empty. The budgets of keys in use are ordinary ones.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::{Clock, Tick};

use crate::budget::Shared;
use crate::core::Frozen;
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

struct Shard<K> {
    entries: HashMap<K, Entry>,
    /// The keys in use, those looked at longest ago first.
    live: VecDeque<K>,
    pool: Vec<Budget>,
    shrink_at: usize,
}

enum Entry {
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

impl<K: Hash + Eq + Clone> Keyed<K> {
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
                entries: HashMap::new(),
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
        let mut shard = self.shard(key);
        let frozen = match shard.entries.get(key) {
            Some(Entry::Live(budget)) => return Ok(budget.clone()),
            Some(Entry::Frozen(frozen)) => Some(frozen),
            None => None,
        };
        let now = self.shared.clock.now();
        let budget = match shard.pool.last() {
            Some(budget) => budget.clone(),
            None => self.make(),
        };
        budget.shared.lock().core.thaw(frozen);
        let new = frozen.is_none();
        if new {
            shard.make_room(now, self.shared.keys_max)?;
        }
        shard.pool.pop();
        let owned = key.to_owned();
        shard.live.push_back(owned.clone());
        shard.entries.insert(owned, Entry::Live(budget.clone()));
        shard.sweep(now);
        Ok(budget)
    }

    /// Keys that have a budget now, those included whose windows have emptied since anybody looked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    /// Whether no key has a budget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Freezes what is idle and forgets what is as good as new. This happens by itself as keys are asked for; call it to
    /// have the memory back at once.
    pub fn shrink(&self) {
        let now = self.shared.clock.now();
        for shard in &self.shared.shards {
            let mut shard = lock(shard);
            (0..shard.live.len()).for_each(|_| shard.look_at_oldest(now));
            shard.forget(now);
            shard.entries.shrink_to_fit();
        }
    }

    fn make(&self) -> Budget {
        let shared = &self.shared;
        Budget { shared: Arc::new(Shared::of_checked(&shared.config, shared.clock.clone())) }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, Shard<K>> {
        // The table in the shard takes its own hash; the high bits choose the shard.
        let hash = self.shared.hasher.hash_one(key);
        lock(&self.shared.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl<K: Hash + Eq + Clone> Shard<K> {
    /// Room for one more key.
    fn make_room(&mut self, now: Tick, keys_max: usize) -> Result<(), TooManyKeys> {
        let full = keys_max.div_ceil(SHARDS);
        if self.entries.len() >= self.shrink_at.min(full) {
            self.forget(now);
        }
        if self.entries.len() >= full { Err(TooManyKeys { keys_max }) } else { Ok(()) }
    }

    /// Forgets the frozen budgets that are as good as new. Called when their number has doubled: a constant per key.
    fn forget(&mut self, now: Tick) {
        self.entries.retain(|_, entry| match entry {
            Entry::Live(_) => true,
            Entry::Frozen(frozen) => !frozen.is_over(now),
        });
        self.shrink_at = (2 * self.entries.len()).max(SHRINK_FROM);
    }

    fn sweep(&mut self, now: Tick) {
        // The last one was asked for just now.
        for _ in 0..SWEEP.min(self.live.len().saturating_sub(1)) {
            self.look_at_oldest(now);
        }
    }

    /// Freezes the budget that was looked at longest ago if nobody holds it and it is idle.
    fn look_at_oldest(&mut self, now: Tick) {
        let Some(key) = self.live.pop_front() else { return };
        let Some(Entry::Live(budget)) = self.entries.get(&key) else { return };
        // Nobody can get hold of it meanwhile: that takes this shard's lock, or somebody who holds it.
        let held = Arc::strong_count(&budget.shared) > 1;
        let frozen = if held { None } else { budget.shared.lock().core.freeze(now) };
        let Some(frozen) = frozen else {
            self.live.push_back(key);
            return;
        };
        let entry = if frozen.is_over(now) {
            self.entries.remove(&key)
        } else {
            self.entries.insert(key, Entry::Frozen(frozen))
        };
        if let Some(Entry::Live(budget)) = entry
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
