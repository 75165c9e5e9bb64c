//! Links to files: whoever has one may fetch the file without a key until it expires. The signature covers the file's name
//! and the moment of expiry, with a key derived from that of the data directory.

use hmac::{Hmac, KeyInit, Mac};
use paceline_clock::{Random, Timestamp};
use paceline_engine::Sealer;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::Sha256;

use crate::{App, ops};

/// What the key is derived for.
const PURPOSE: &str = "signatures of links to files";

/// Signs links, and knows its own.
#[derive(Clone)]
pub(crate) struct Links {
    key: [u8; 32],
}

/// A link that holds for a while.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Link {
    /// Where the file is, on this server; no key is needed.
    pub(crate) url: String,
    /// When the link stops to hold, ISO 8601.
    pub(crate) expires_at: Option<String>,
    /// Bytes of the file.
    pub(crate) bytes: Option<u64>,
}

impl Links {
    /// With a key of the data directory; without one links end with the process.
    pub(crate) fn new(sealer: Option<&Sealer>, random: &Random) -> Self {
        let key = sealer.map_or_else(
            || {
                let mut key = [0; 32];
                random.fill(&mut key);
                key
            },
            |sealer| sealer.derive(PURPOSE),
        );
        Self { key }
    }

    /// The path and query of a link that expires at that second.
    pub(crate) fn sign(&self, name: &str, expires: i64) -> String {
        let signature: String = self
            .mac(name, expires)
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("/files/{name}?expires={expires}&signature={signature}")
    }

    /// Whether this signature is ours. Takes as long for a wrong one as for a right one.
    pub(crate) fn verify(&self, name: &str, expires: i64, signature: &str) -> bool {
        let bytes: Option<Vec<u8>> = signature
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes.is_some_and(|bytes| self.mac(name, expires).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, name: &str, expires: i64) -> Hmac<Sha256> {
        // A block of the hash: what a key is shorter than that is zeros, as the standard has it.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(name.as_bytes());
        mac.update(b"\n");
        mac.update(expires.to_string().as_bytes());
        mac
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// A link to a file that expires at that moment.
pub(crate) fn link(app: &App, name: &str, expires: Timestamp, bytes: Option<u64>) -> Link {
    let second = expires.as_micros().div_euclid(1_000_000);
    Link {
        url: app.jobs.links.sign(name, second),
        expires_at: ops::iso(Timestamp::from_seconds(second)),
        bytes,
    }
}
