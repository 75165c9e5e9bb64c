//! The keys in force: the operator's, which come with the server, and those that were made since, which are items of the
//! store. One process works on a store, so what is read once is kept in memory, and a revoked key is gone at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paceline_clock::{Clock, Random, Timestamp};
use paceline_model::{Item, NewItem, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OnceCell, watch};

use super::{ApiKeys, KEY_BYTES, KeyId, KeyScope, PREFIX};
use crate::error::{ApiError, Result};

/// The kind of their items.
const KIND: &str = "api_key";
/// Characters of a key that are kept as they are, for a person to know it again: 36 of its 256 bits.
const SHOWN_CHARS: usize = PREFIX.len() + 6;
/// The use of a key is written down this often at the most.
const USE_WRITTEN_EVERY_MICROS: i64 = 60_000_000;

/// What the store keeps of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Body {
    /// BLAKE3 of the key, in hex. A plain hash will do: nobody guesses 256 random bits.
    hash: String,
    prefix: String,
    scope: KeyScope,
    expires_at_micros: Option<i64>,
    last_used_at_micros: Option<i64>,
}

/// A key that was made over the API.
#[derive(Debug)]
pub(crate) struct MadeKey {
    pub(crate) id: i64,
    pub(crate) name: Arc<str>,
    pub(crate) scope: KeyScope,
    pub(crate) prefix: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    hash: [u8; 32],
    /// Microseconds; 0 if never.
    last_used: AtomicI64,
    last_written: AtomicI64,
    version: AtomicI64,
}

/// The keys in force.
pub(crate) struct KeyRing {
    store: Arc<dyn Store>,
    clock: Clock,
    operator: ApiKeys,
    made: OnceCell<RwLock<HashMap<[u8; 32], Arc<MadeKey>>>>,
    /// One change at a time.
    changes: Mutex<()>,
    /// Counts the keys that were revoked.
    revoked: watch::Sender<u64>,
}

impl KeyRing {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, operator: ApiKeys) -> Self {
        let (made, changes) = (OnceCell::new(), Mutex::new(()));
        Self { store, clock, operator, made, changes, revoked: watch::Sender::new(0) }
    }

    /// Whose key this is; `None` if it is not in force. Notes that it was used.
    ///
    /// # Errors
    /// The store's, while the keys have not been read.
    pub(crate) async fn holder(&self, key: &str) -> Result<Option<(KeyId, Arc<str>, KeyScope)>> {
        if let Some((place, scope)) = self.operator.find(key) {
            return Ok(Some((KeyId::Operator(place), "operator".into(), scope)));
        }
        // What takes a different time here depends on the hash of what was sent, which nobody can steer.
        let hash = *blake3::hash(key.as_bytes()).as_bytes();
        let made = self.made().await?;
        let found = read(made).get(&hash).cloned();
        let Some(found) = found.filter(|key| self.in_time(key)) else { return Ok(None) };
        self.used(&found);
        Ok(Some((KeyId::Made(found.id), Arc::clone(&found.name), found.scope)))
    }

    /// Whether a key is still in force.
    pub(crate) fn is_live(&self, key: KeyId) -> bool {
        match key {
            KeyId::Operator(_) => true,
            KeyId::Made(_) => self.find(key).is_some_and(|key| self.in_time(&key)),
        }
    }

    /// Ends when a key is no longer in force: it was revoked or has expired. Never for the operator's.
    pub(crate) async fn gone(&self, key: KeyId) {
        let mut revoked = self.revoked.subscribe();
        while self.is_live(key) {
            let expires_at = self.find(key).and_then(|key| key.expires_at);
            let expires_in = expires_at.map(|at| at.since(self.clock.wall()));
            let expired = async {
                match expires_in {
                    Some(time) => self.clock.sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as this.
                _ = revoked.changed() => {}
                () = expired => {}
            }
        }
    }

    /// Makes a key; answers it too, for the one time that it is shown.
    ///
    /// # Errors
    /// The store's: one of that name is there.
    pub(crate) async fn create(
        &self,
        random: &Random,
        name: String,
        scope: KeyScope,
        expires_at: Option<Timestamp>,
    ) -> Result<(String, Arc<MadeKey>)> {
        let mut bytes = [0; KEY_BYTES];
        random.fill(&mut bytes);
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let body = Body {
            hash: ApiKeys::hash_of(&key),
            prefix: key.chars().take(SHOWN_CHARS).collect(),
            scope,
            expires_at_micros: expires_at.map(Timestamp::as_micros),
            last_used_at_micros: None,
        };
        let made = self.made().await?;
        let _change = self.changes.lock().await;
        let item =
            self.store.create_item(NewItem { kind: KIND, table: None, name, body: json(&body)? });
        let known = Arc::new(MadeKey::of(item.await?)?);
        made.write().unwrap_or_else(PoisonError::into_inner).insert(known.hash, Arc::clone(&known));
        Ok((key, known))
    }

    /// Every key that was made, by id.
    pub(crate) async fn all(&self) -> Result<Vec<Arc<MadeKey>>> {
        let mut all: Vec<_> = read(self.made().await?).values().cloned().collect();
        all.sort_by_key(|key| key.id);
        Ok(all)
    }

    /// Takes a key out of force, and tells everyone who waits for that; answers it, or `None` if there is no such key.
    pub(crate) async fn revoke(&self, id: i64) -> Result<Option<Arc<MadeKey>>> {
        let made = self.made().await?;
        let _change = self.changes.lock().await;
        let Some(key) = self.find(KeyId::Made(id)) else { return Ok(None) };
        self.store.delete_item(KIND, id).await?;
        made.write().unwrap_or_else(PoisonError::into_inner).remove(&key.hash);
        self.revoked.send_modify(|count| *count += 1);
        Ok(Some(key))
    }

    async fn made(&self) -> Result<&RwLock<HashMap<[u8; 32], Arc<MadeKey>>>> {
        self.made
            .get_or_try_init(|| async {
                let items = self.store.items(KIND, None).await?;
                let keys = items.into_iter().map(|item| {
                    let key = MadeKey::of(item)?;
                    Ok((key.hash, Arc::new(key)))
                });
                Ok(RwLock::new(keys.collect::<Result<_>>()?))
            })
            .await
    }

    /// A key that was made, if the keys have been read.
    fn find(&self, key: KeyId) -> Option<Arc<MadeKey>> {
        let made = read(self.made.get()?);
        made.values().find(|known| KeyId::Made(known.id) == key).cloned()
    }

    fn in_time(&self, key: &MadeKey) -> bool {
        key.expires_at.is_none_or(|at| self.clock.wall() < at)
    }

    /// Notes the use of a key, and has it written if that was not done of late.
    fn used(&self, key: &Arc<MadeKey>) {
        let now = self.clock.wall().as_micros();
        key.last_used.store(now, Ordering::Relaxed);
        let written = key.last_written.load(Ordering::Relaxed);
        if now - written < USE_WRITTEN_EVERY_MICROS {
            return;
        }
        let ours =
            key.last_written.compare_exchange(written, now, Ordering::Relaxed, Ordering::Relaxed);
        if ours.is_ok() {
            let (store, key) = (Arc::clone(&self.store), Arc::clone(key));
            tokio::spawn(async move { key.save(store.as_ref()).await });
        }
    }
}

impl MadeKey {
    fn of(item: Item) -> Result<Self> {
        let corrupt = || ApiError::internal(format!("API key {} cannot be read", item.id));
        let body: Body = serde_json::from_value(item.body.clone()).map_err(|_| corrupt())?;
        let hash = blake3::Hash::from_hex(&body.hash).map_err(|_| corrupt())?;
        let last_used = body.last_used_at_micros.unwrap_or(0);
        Ok(Self {
            id: item.id,
            name: item.name.into(),
            scope: body.scope,
            prefix: body.prefix,
            created_at: item.created_at,
            expires_at: body.expires_at_micros.map(Timestamp::from_micros),
            hash: *hash.as_bytes(),
            last_used: AtomicI64::new(last_used),
            last_written: AtomicI64::new(last_used),
            version: AtomicI64::new(item.version),
        })
    }

    /// When it was last shown.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        let micros = self.last_used.load(Ordering::Relaxed);
        (micros > 0).then(|| Timestamp::from_micros(micros))
    }

    async fn save(&self, store: &dyn Store) {
        let body = Body {
            hash: blake3::Hash::from_bytes(self.hash).to_hex().to_string(),
            prefix: self.prefix.clone(),
            scope: self.scope,
            expires_at_micros: self.expires_at.map(Timestamp::as_micros),
            last_used_at_micros: self.last_used_at().map(Timestamp::as_micros),
        };
        let Ok(body) = json(&body) else { return };
        let version = self.version.load(Ordering::Relaxed);
        match store.update_item(KIND, self.id, version, body).await {
            Ok(item) => self.version.store(item.version, Ordering::Relaxed),
            // Revoked meanwhile, or the store is away: the next use tries again.
            Err(error) => {
                tracing::debug!(%error, key = self.id, "the use of a key was not written");
            }
        }
    }
}

fn json(body: &Body) -> Result<serde_json::Value> {
    serde_json::to_value(body).map_err(|error| ApiError::internal(error.to_string()))
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("operator", &self.operator).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
