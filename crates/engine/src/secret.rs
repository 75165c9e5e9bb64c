//! Secrets of column configs at rest (spec S3): sealed before they reach the store, opened only to make a call, masked
//! wherever a person or program reads a config.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use paceline_clock::Random;

use crate::{Error, Result};

/// What a sealed value begins with. A plain value that begins so is taken for a sealed one, and does not open.
const PREFIX: &str = "sealed:v1:";
/// What is shown instead of a secret.
pub(crate) const MASK: &str = "********";
const NONCE_BYTES: usize = 24;

/// Seals and opens secrets with one key. The key never appears in any output.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    /// What other keys are derived from; it tells nothing of the key itself.
    root: [u8; 32],
    random: Random,
}

impl Sealer {
    /// A sealer with this key.
    #[must_use]
    pub fn new(key: &[u8; 32], random: Random) -> Self {
        let root = blake3::derive_key("paceline 2026-11 root of derived keys", key);
        Self { cipher: XChaCha20Poly1305::new(key.into()), root, random }
    }

    /// A key for another purpose: always the same for this key and that purpose, and of no use to find the key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.root, purpose.as_bytes()).as_bytes()
    }

    /// Seals `plain`, bound to `place`: a sealed value moved to another place does not open.
    ///
    /// ```
    /// use paceline_clock::Random;
    /// use paceline_engine::Sealer;
    /// let sealer = Sealer::new(&[7; 32], Random::seeded(1));
    /// let sealed = sealer.seal("Bearer abc", "leads.enriched.authorization").unwrap();
    /// assert!(!sealed.contains("abc"));
    /// assert_eq!(sealer.open(&sealed, "leads.enriched.authorization").as_deref(), Some("Bearer abc"));
    /// assert_eq!(sealer.open(&sealed, "elsewhere"), None);
    /// ```
    #[must_use]
    pub fn seal(&self, plain: &str, place: &str) -> Option<String> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce);
        let payload = Payload { msg: plain.as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Some(format!("{PREFIX}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what [`Sealer::seal`] made for the same place; `None` if it was made with another key, for another
    /// place, or changed.
    #[must_use]
    pub fn open(&self, sealed: &str, place: &str) -> Option<String> {
        let bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(PREFIX)?).ok()?;
        let (nonce, body) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: body, aad: place.as_bytes() };
        String::from_utf8(self.cipher.decrypt(&XNonce::from(nonce), payload).ok()?).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// Whether a value is sealed.
pub(crate) fn is_sealed(value: &str) -> bool {
    value.starts_with(PREFIX)
}

/// A secret of a configuration, sealed for `place`; `field` is what it is called. Without a sealer it is refused: it would
/// stand in the store in plain text.
pub(crate) fn seal_field(
    value: Option<String>,
    sealer: Option<&Sealer>,
    field: &str,
    place: &str,
) -> Result<Option<String>> {
    let Some(plain) = value.as_deref().filter(|value| !is_sealed(value)) else { return Ok(value) };
    if plain == MASK {
        let problem = "is the mask that is shown instead of the secret; give the secret again";
        return Err(Error::config(field, problem));
    }
    let sealed = sealer.and_then(|sealer| sealer.seal(plain, place));
    let problem = "is a secret, and there is no key to seal it with";
    sealed.map(Some).ok_or_else(|| Error::config(field, problem))
}

/// What [`seal_field`] sealed.
pub(crate) fn open_field(
    value: Option<String>,
    sealer: Option<&Sealer>,
    field: &str,
    place: &str,
) -> Result<Option<String>> {
    let Some(sealed) = value.as_deref().filter(|value| is_sealed(value)) else { return Ok(value) };
    let opened = sealer.and_then(|sealer| sealer.open(sealed, place));
    let problem = "cannot be opened with this data directory's key; give the secret again";
    opened.map(Some).ok_or_else(|| Error::config(field, problem))
}

/// Whether the value of a header of this name is a secret.
pub(crate) fn is_secret_header(name: &str) -> bool {
    const WORDS: [&str; 8] = [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "credential",
        "signature",
        "key",
    ];
    let name = name.to_ascii_lowercase();
    name != "idempotency-key" && WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_or_a_changed_byte_does_not_open() {
        let sealer = Sealer::new(&[1; 32], Random::seeded(1));
        let sealed = sealer.seal("secret", "place").unwrap();
        assert_ne!(sealed, sealer.seal("secret", "place").unwrap(), "a nonce of its own each time");
        assert_eq!(Sealer::new(&[2; 32], Random::seeded(1)).open(&sealed, "place"), None);
        let changed = format!("{}A", &sealed[..sealed.len() - 1]);
        assert!(changed == sealed || sealer.open(&changed, "place").is_none());
        for nonsense in ["", "sealed:v1:", "sealed:v1:AAAA", "sealed:v1:!!"] {
            assert_eq!(sealer.open(nonsense, "place"), None);
        }
    }

    #[test]
    fn headers_that_carry_keys_are_known() {
        for name in ["Authorization", "X-Api-Key", "cookie", "X-Auth-Token", "apikey"] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["Accept", "Content-Type", "Idempotency-Key", "User-Agent"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }
}
