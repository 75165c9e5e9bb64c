//! Which idempotency keys have been served, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most distinct keys that are remembered. Later new keys are counted as not kept; the earlier ones stay known.
pub const KEYS_MAX: u64 = 2_000_000;

const SHARDS: usize = 16;

/// 128 bits of a key: among two million keys, two meet by chance once in 10^26 labs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u128);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, key).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Self(half(0) << 64 | half(1))
    }
}

/// What is known of a key that has just been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It is new, and remembered now.
    First,
    /// It had been served before.
    Again,
    /// It is new as far as anybody knows, and there is no room for it.
    NotKept,
}

/// The keys that have been served, in shards so that callers seldom meet.
#[derive(Debug)]
pub(crate) struct Keys {
    shards: [Mutex<HashSet<KeyHash>>; SHARDS],
    kept: AtomicU64,
    most: u64,
}

impl Keys {
    pub(crate) fn new(most: u64) -> Self {
        Self { shards: Default::default(), kept: AtomicU64::new(0), most }
    }

    pub(crate) fn served(&self, key: KeyHash) -> Sighting {
        let mut shard = lock(&self.shards[(key.0 % SHARDS as u128) as usize]);
        if shard.contains(&key) {
            return Sighting::Again;
        }
        if self.kept.fetch_add(1, Relaxed) >= self.most {
            self.kept.fetch_sub(1, Relaxed);
            return Sighting::NotKept;
        }
        shard.insert(key);
        Sighting::First
    }

    pub(crate) fn len(&self) -> u64 {
        self.kept.load(Relaxed).min(self.most)
    }

    pub(crate) fn reset(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            self.kept.fetch_sub(shard.len() as u64, Relaxed);
            *shard = HashSet::new();
        }
    }
}

fn lock(shard: &Mutex<HashSet<KeyHash>>) -> MutexGuard<'_, HashSet<KeyHash>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_bound_are_not_kept_and_the_earlier_ones_stay_known() {
        let keys = Keys::new(2);
        let served = |key: &str| keys.served(KeyHash::of(key.as_bytes()));
        assert_eq!(served("a"), Sighting::First);
        assert_eq!(served("b"), Sighting::First);
        assert_eq!(served("c"), Sighting::NotKept);
        assert_eq!(served("c"), Sighting::NotKept);
        assert_eq!(served("a"), Sighting::Again);
        assert_eq!(keys.len(), 2);
        keys.reset();
        assert_eq!((keys.len(), served("a")), (0, Sighting::First));
    }
}
