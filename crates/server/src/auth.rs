//! API keys (spec S1): known by their hashes only, compared in constant time, never echoed. And all that hangs on them:
//! who is let in, how fast, and what is on record of it.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod caller;
pub(crate) mod gate;
pub(crate) mod keyring;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paceline_clock::Random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

pub(crate) use access::Access;
pub(crate) use caller::{Caller, KeyId};

/// What a key that we make begins with, so that a secret scanner knows one when it sees it.
const PREFIX: &str = "pl_sk_";
/// Random bytes of a key that we make: beyond guessing, which is why a plain hash of it may be kept.
const KEY_BYTES: usize = 32;

/// What a key may do; each includes those before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// Look at things.
    Read,
    /// Change tables and rows, and make calls.
    Write,
    /// Everything.
    Admin,
}

impl KeyScope {
    /// Every one, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The keys that may call. Clones share them.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<[(blake3::Hash, KeyScope)]>);

impl ApiKeys {
    /// The setting of the data directory that keeps the hash of a key that we made.
    pub const SETTING: &str = "api_key_hash";

    /// A new key and the keys that accept it. It is shown once; only [`ApiKeys::hash_of`] of it may be kept.
    #[must_use]
    pub fn made(random: &Random) -> (String, Self) {
        let mut bytes = [0; KEY_BYTES];
        random.fill(&mut bytes);
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let keys = Self::default().and(blake3::hash(key.as_bytes()), KeyScope::Admin);
        (key, keys)
    }

    /// The keys that accept this one, for everything. `None` if a header cannot carry it: it is empty, or has spaces
    /// or anything beyond visible ASCII in it.
    ///
    /// ```
    /// use paceline_server::{ApiKeys, KeyScope};
    /// let keys = ApiKeys::from_key("correct-horse").unwrap();
    /// assert_eq!(keys.scope_of("correct-horse"), Some(KeyScope::Admin));
    /// assert_eq!(keys.scope_of("correct-horsf"), None);
    /// assert!(ApiKeys::from_key("two words").is_none());
    /// ```
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::default().with_key(key, KeyScope::Admin)
    }

    /// The keys that accept the one of which [`ApiKeys::hash_of`] made this, for everything. `None` if it is no hash.
    #[must_use]
    pub fn from_hash(hex: &str) -> Option<Self> {
        blake3::Hash::from_hex(hex).ok().map(|hash| Self::default().and(hash, KeyScope::Admin))
    }

    /// These keys and another one. `None` as in [`ApiKeys::from_key`].
    #[must_use]
    pub fn with_key(&self, key: &str, scope: KeyScope) -> Option<Self> {
        let sendable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        sendable.then(|| self.and(blake3::hash(key.as_bytes()), scope))
    }

    /// The hash of a key, in hex, for keeping. Keep only those of keys that [`ApiKeys::made`] made: a plain hash does
    /// not protect a key that a person thought up.
    #[must_use]
    pub fn hash_of(key: &str) -> String {
        blake3::hash(key.as_bytes()).to_hex().to_string()
    }

    /// What the holder of `key` may do; `None` if it is not one of these keys. Takes as long for a wrong key as for a
    /// right one.
    #[must_use]
    pub fn scope_of(&self, key: &str) -> Option<KeyScope> {
        self.find(key).map(|(_, scope)| scope)
    }

    /// As [`ApiKeys::scope_of`], with the place of the key among these.
    pub(crate) fn find(&self, key: &str) -> Option<(usize, KeyScope)> {
        let hash = blake3::hash(key.as_bytes());
        let mut found = None;
        // To the end, whichever it is.
        for (place, (known, scope)) in self.0.iter().enumerate() {
            if bool::from(known.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some((place, *scope));
            }
        }
        found
    }

    fn and(&self, hash: blake3::Hash, scope: KeyScope) -> Self {
        Self(self.0.iter().copied().chain([(hash, scope)]).collect())
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("keys", &self.0.len()).finish_non_exhaustive()
    }
}

/// The key of an `Authorization: Bearer KEY` header's value.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_the_standard_has_it() {
        let cases = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("abc", None),
        ];
        for (given, wanted) in cases {
            assert_eq!(bearer(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn a_made_key_is_known_again_by_its_hash() {
        let (key, keys) = ApiKeys::made(&Random::seeded(1));
        assert_eq!(keys.scope_of(&key), Some(KeyScope::Admin));
        let kept = ApiKeys::from_hash(&ApiKeys::hash_of(&key)).unwrap();
        assert_eq!(kept.scope_of(&key), Some(KeyScope::Admin));
        assert_eq!(kept.scope_of(&key[..key.len() - 1]), None);
        assert!(ApiKeys::from_hash("not a hash").is_none());
        let (other, _) = ApiKeys::made(&Random::seeded(2));
        assert_eq!(kept.scope_of(&other), None);
    }

    #[test]
    fn keys_do_not_show() {
        let keys = ApiKeys::from_key("visible-secret").unwrap();
        let shown = format!("{keys:?}");
        assert!(!shown.contains("visible") && !shown.contains(&ApiKeys::hash_of("visible-secret")));
    }
}
