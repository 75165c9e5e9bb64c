//! How the receiver of a webhook knows that a call is ours and fresh: a keyed hash over the time and the body.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use paceline_clock::Timestamp;
use sha2::Sha256;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The header that carries a signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-paceline-signature");

/// The value of `X-Paceline-Signature`: `t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 of `SECONDS.BODY`. The platform's
/// outgoing webhooks and columns that call a webhook sign alike, so that a receiver checks both with the same code.
///
/// ```
/// use paceline_clock::Timestamp;
/// let value = paceline_engine::signed("whsec_test", Timestamp::from_seconds(1_767_225_600), b"{}");
/// assert!(value.starts_with("t=1767225600,v1="));
/// ```
#[must_use]
pub fn signed(secret: &str, at: Timestamp, body: &[u8]) -> String {
    let seconds = at.as_micros().div_euclid(MICROS_PER_SECOND).to_string();
    // A key of any length makes one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    let tag = mac.finalize().into_bytes();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: hmac.new(b"whsec_test", b"1767225600." + body, "sha256").hexdigest()
    #[test]
    fn it_is_what_anybody_else_computes() {
        let body = br#"{"id":"whd_1_1"}"#;
        let made = signed("whsec_test", Timestamp::from_micros(1_767_225_600_999_999), body);
        assert_eq!(
            made,
            "t=1767225600,v1=04a90f25f917bab32b0851de0054dd7b2f8cd90daac179dc511a2fefc7301a7b"
        );
        assert_ne!(made, signed("whsec_tesu", Timestamp::from_seconds(1_767_225_600), body));
    }
}
