//! Text that has to have a form: addresses, phone numbers, moments. Each check says in its error what the form is, and
//! never repeats what was given.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::{Error, Result, limits};

/// Bytes of an e-mail address. (RFC 5321: a path has 256, of which two are its brackets)
const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of a phone number as people write them.
const PHONE_BYTES_MAX: usize = 64;
const PHONE_DIGITS_MIN: usize = 3;

/// One `@` with something on either side and no space. A domain without a dot is fine: there are such hosts inside
/// companies, and only sending a message would tell more.
pub(super) fn email(text: &str) -> Result<()> {
    let sides = text.split_once('@');
    let fits = sides.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if fits && text.len() <= EMAIL_BYTES_MAX && !has_gaps(text) {
        return Ok(());
    }
    Err(Error::invalid(
        "an email column takes an address with one @ and no spaces, as in a@example.com",
    ))
}

/// A whole http or https address; kept as written.
pub(super) fn url(text: &str) -> Result<()> {
    let fits = text.len() <= limits::URL_BYTES_MAX
        && !has_gaps(text)
        && url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a url or image_url column takes a whole http or https address of at most {} bytes, as in https://example.com/a",
        limits::URL_BYTES_MAX
    )))
}

/// Digits, and what people write between them.
pub(super) fn phone(text: &str) -> Result<()> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let known = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-(). ".contains(&byte));
    if known && digits >= PHONE_DIGITS_MIN && text.len() <= PHONE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(
        "a phone column takes at least 3 digits and between them only + - ( ) . and spaces, as in +1 617 555 0100",
    ))
}

/// A date as it is, a date-time in UTC with six decimals, so that moments sort as text; without an offset it is UTC.
pub(super) fn datetime(text: &str) -> Result<String> {
    moment(text).ok_or_else(|| {
        Error::invalid(
            "a datetime column takes ISO 8601: a date as 2026-01-31 or a date-time as 2026-01-31T09:30:00Z or ...+02:00",
        )
    })
}

fn moment(text: &str) -> Option<String> {
    // Years before 0 and after 9999 have a sign, and do not sort as text.
    if text.len() < 10 || !text.as_bytes()[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let has_time = text.contains(['T', 't', ' ']);
    let normal = if has_time {
        let at = instant(text)?;
        to_the_second(text).unwrap_or_else(|| format!("{at:.6}"))
    } else {
        text.parse::<Date>().ok()?.to_string()
    };
    normal.starts_with(|c: char| c.is_ascii_digit()).then_some(normal)
}

/// A date with a time in ISO 8601; without an offset it is UTC.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| civil().map(|zoned| zoned.timestamp()))
}

/// A moment that is known for one, written as most programs write it (`2026-01-31T09:30:00Z`): normal once it has its
/// decimals. Writing a moment anew costs more than reading it, and a large insert does it for every row.
fn to_the_second(text: &str) -> Option<String> {
    let second = text.strip_suffix('Z').filter(|second| second.len() == 19)?;
    // A leap second is told as the one before it.
    (second.as_bytes()[10] == b'T' && !second.ends_with("60")).then(|| format!("{second}.000000Z"))
}

fn has_gaps(text: &str) -> bool {
    text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_utc_with_six_decimals_and_dates_stay() {
        let cases = [
            ("2026-01-31", Some("2026-01-31")),
            ("2026-01-31T09:30:00Z", Some("2026-01-31T09:30:00.000000Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.000000Z")),
            ("2026-01-31 09:30:00Z", Some("2026-01-31T09:30:00.000000Z")),
            ("2026-01-31T09:30Z", Some("2026-01-31T09:30:00.000000Z")),
            ("2026-01-31t09:30:00z", Some("2026-01-31T09:30:00.000000Z")),
            ("2026-01-31 09:30:00", Some("2026-01-31T09:30:00.000000Z")),
            ("2026-01-31T00:30:00+02:00", Some("2026-01-30T22:30:00.000000Z")),
            ("2026-01-31T09:30:00.1234567Z", Some("2026-01-31T09:30:00.123456Z")),
            ("2026-02-30", None),
            ("2026-01-31T25:00:00Z", None),
            ("31.01.2026", None),
            ("2026", None),
            ("yesterday!", None),
            ("", None),
            ("-000001-01-01", None),
            ("0000-01-01T00:00:00+02:00", None),
        ];
        for (given, wanted) in cases {
            assert_eq!(datetime(given).ok().as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn addresses_and_numbers_have_their_forms() {
        let long = format!("{}@example.com", "x".repeat(250));
        for (text, fits) in [
            ("a@example.com", true),
            ("a@intranet", true),
            ("ä@bücher.example", true),
            ("a@b@c", false),
            ("@example.com", false),
            ("a@", false),
            ("a b@example.com", false),
            ("a@example.com\n", false),
            ("", false),
            (&long, false),
        ] {
            assert_eq!(email(text).is_ok(), fits, "{text}");
        }
        for (text, fits) in [
            ("https://example.com/a?b=c", true),
            ("http://localhost:8080", true),
            ("ftp://example.com", false),
            ("example.com", false),
            ("https://", false),
            ("https://exa mple.com", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(url(text).is_ok(), fits, "{text}");
        }
        for (text, fits) in [
            ("+1 (617) 555-0100", true),
            ("112", true),
            ("11", false),
            ("+1 617 CALL NOW", false),
            ("", false),
        ] {
            assert_eq!(phone(text).is_ok(), fits, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_normal_stays_so(text in ".{0,40}") {
            let _ = (email(&text), url(&text), phone(&text));
            if let Ok(normal) = datetime(&text) {
                proptest::prop_assert_eq!(datetime(&normal).ok(), Some(normal));
            }
        }

        #[test]
        fn moments_sort_as_text_as_they_do_in_time(a in 0_i64..250_000_000_000, b in 0_i64..250_000_000_000) {
            let text = |second: i64| datetime(&Timestamp::from_second(second).unwrap().to_string()).unwrap();
            proptest::prop_assert_eq!(text(a).cmp(&text(b)), a.cmp(&b));
        }
    }
}
