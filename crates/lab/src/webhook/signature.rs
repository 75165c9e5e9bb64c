//! Whether a call is signed by who knows a secret, and lately. The lab reads the documentation (docs/webhooks.md) and not
//! the code that signs.

use hmac::{Hmac, KeyInit, Mac};
use paceline_clock::Timestamp;
use sha2::Sha256;

/// The header that carries a signature: `t=SECONDS,v1=HEX`.
pub(super) const HEADER: &str = "x-paceline-signature";

/// What is wrong with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is none.
    Unsigned,
    /// It is none, or made with another secret or over another body.
    Forged,
    /// It is genuine, and from another time.
    Stale,
}

impl Wrong {
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Unsigned => "there is no X-Paceline-Signature",
            Self::Forged => "the signature does not fit the body and the secret",
            Self::Stale => "the signature is genuine, but too far from now",
        }
    }
}

/// Checks a header over a body: one of the secrets, and no more than so many seconds from `now`.
pub(super) fn check(
    header: Option<&str>,
    body: &[u8],
    secrets: &[String],
    (now, tolerance_s): (Timestamp, u64),
) -> Result<(), Wrong> {
    let header = header.ok_or(Wrong::Unsigned)?;
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let (_, time) = fields().find(|(name, _)| *name == "t").ok_or(Wrong::Forged)?;
    let seconds: i64 = time.parse().map_err(|_| Wrong::Forged)?;
    let genuine = fields()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, hex)| bytes(hex))
        .any(|tag| secrets.iter().any(|secret| signs(secret, time, body, &tag)));
    if !genuine {
        return Err(Wrong::Forged);
    }
    let now = now.as_micros().div_euclid(1_000_000);
    if now.abs_diff(seconds) > tolerance_s {
        return Err(Wrong::Stale);
    }
    Ok(())
}

fn signs(secret: &str, time: &str, body: &[u8], tag: &[u8]) -> bool {
    // A key of any length makes one.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).is_ok_and(|mac| {
        mac.chain_update(time).chain_update(b".").chain_update(body).verify_slice(tag).is_ok()
    })
}

/// Two digits a byte; none if that is not what it is.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits?;
    if !pairs.len().is_multiple_of(2) {
        return None;
    }
    pairs.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: hmac.new(b"whsec_test", b"1767225600." + body, "sha256").hexdigest()
    const GENUINE: &str =
        "t=1767225600,v1=04a90f25f917bab32b0851de0054dd7b2f8cd90daac179dc511a2fefc7301a7b";
    const BODY: &[u8] = br#"{"id":"whd_1_1"}"#;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_the_documentation_signs_is_good_for_so_long_and_with_no_other_secret_or_body() {
        let secrets = ["whsec_other".to_owned(), "whsec_test".to_owned()];
        let checked = |header, body, now| check(header, body, &secrets, (at(now), 300));
        let genuine = 1_767_225_600;
        assert_eq!(checked(Some(GENUINE), BODY, genuine), Ok(()));
        assert_eq!(checked(Some(GENUINE), BODY, genuine + 300), Ok(()));
        assert_eq!(checked(Some(GENUINE), BODY, genuine - 300), Ok(()));
        assert_eq!(checked(Some(GENUINE), BODY, genuine + 301), Err(Wrong::Stale));
        assert_eq!(checked(Some(GENUINE), BODY, genuine - 301), Err(Wrong::Stale));
        assert_eq!(checked(Some(GENUINE), b"{}", genuine), Err(Wrong::Forged));
        assert_eq!(checked(None, BODY, genuine), Err(Wrong::Unsigned));
        let one = ["whsec_other".to_owned()];
        assert_eq!(check(Some(GENUINE), BODY, &one, (at(genuine), 300)), Err(Wrong::Forged));
    }

    #[test]
    fn what_is_no_signature_is_forged_and_nothing_worse() {
        let secrets = ["whsec_test".to_owned()];
        for header in [
            "",
            "t",
            "t=,v1=",
            "t=x,v1=00",
            "t=1767225600",
            "v1=04a9",
            "t=1767225600,v1=04a",
            "t=1767225600,v1=é",
            "t=1767225601,v1=04a90f25f917bab32b0851de0054dd7b2f8cd90daac179dc511a2fefc7301a7b",
        ] {
            let checked = check(Some(header), BODY, &secrets, (at(1_767_225_600), 300));
            assert_eq!(checked, Err(Wrong::Forged), "{header}");
        }
        let another = format!("{GENUINE},v1=00");
        assert_eq!(check(Some(&another), BODY, &secrets, (at(1_767_225_600), 300)), Ok(()));
    }
}
