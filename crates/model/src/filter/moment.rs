//! Moments in filters: ISO 8601 to wall microseconds and back. A moment without a zone is UTC, a date alone its first
//! moment.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::value::instant;

/// Wall microseconds of `2026-01-31`, `2026-01-31T10:20`, `2026-01-31T10:20:30.5Z` or `...+02:00`; what is finer is cut
/// off.
pub(super) fn parse(text: &str) -> Option<i64> {
    // Years before 0 and after 9999 have a sign.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let at = if text.contains(['T', 't', ' ']) {
        instant(text)?
    } else {
        text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
    };
    i64::try_from(at.as_nanosecond().div_euclid(1_000)).ok()
}

/// As [`parse`] reads it, in UTC; what is before or after all years as the first or last moment there is.
pub(super) fn show(micros: i64) -> String {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_as_iso_8601_says() {
        let cases = [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("2026-11-22T04:09:00.250Z", Some(1_795_320_540_250_000)),
            ("2026-11-22T05:09+01:00", Some(1_795_320_540_000_000)),
            ("2026-11-22 04:09:00", Some(1_795_320_540_000_000)),
            ("2024-02-29", Some(1_709_164_800_000_000)),
            ("0000-03-01", Some(-62_162_035_200_000_000)),
            ("1969-12-31T23:59:59.999999Z", Some(-1)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-01-01T24:00", None),
            ("2026-01-01T10", Some(1_767_261_600_000_000)),
            ("2026-1-1", None),
            ("yesterday", None),
            ("", None),
            ("2026-01-01T10:00Zjunk", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(micros in -62_167_219_200_000_000..253_402_300_800_000_000_i64) {
            prop_assert_eq!(parse(&show(micros)), Some(micros));
        }

        #[test]
        fn any_moment_is_shown_and_any_text_is_survived(micros in any::<i64>(), text in ".{0,40}") {
            let _ = show(micros);
            let _ = parse(&text);
        }
    }
}
