//! Numbers and times as vendors write them. Every function reads untrusted text: nonsense is `None`, and what is too
//! large for its type becomes the largest.

use std::time::{Duration, UNIX_EPOCH};

use paceline_clock::Timestamp;

use super::rfc3339;

/// A time in whole seconds, and the `Date` it is read against is in whole seconds too: together up to this is lost.
pub(super) const WHOLE_SECOND: Duration = Duration::from_secs(1);
/// A reset longer ago than this is a stuck clock or a left-over, not a reset that has just been.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Where epoch numbers are told from small ones, "now" is at least this (2001-09-09): a local clock may be unset.
const NOW_MIN: f64 = 1e9;

/// A number that is not negative: digits, perhaps a fraction or an exponent. Too large a one is infinite.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let first = *text.as_bytes().first()?;
    // What the standard parser takes beyond numbers ("inf", "NaN", signs) starts with something else.
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    text.parse().ok()
}

/// A count of units. Reddit writes `98.0`.
pub(super) fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    Some(number(text)? as u64)
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// A number of seconds, perhaps with a fraction.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    number(text).map(duration)
}

/// A number of milliseconds, perhaps with a fraction.
pub(super) fn millis(text: &str) -> Option<Duration> {
    number(text).map(|millis| duration(millis / 1e3))
}

/// `Retry-After`: seconds (RFC 9110 has whole ones; fractions are seen), or an HTTP date.
pub(super) fn retry_after(text: &str, base: Timestamp) -> Option<Duration> {
    seconds(text).or_else(|| Some(http_date(text)?.since(base) + WHOLE_SECOND))
}

/// A date as in the `Date` header, in the three forms of RFC 9110, section 5.6.7.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(i64::try_from(since_epoch.as_secs()).ok()?))
}

/// A duration as Go prints it: `6m0s`, `1h2m3.5s`, `250ms`, with `d` for days beside Go's units. Every number has a unit.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let one = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.saturating_add(duration(number(value)? * one));
        rest = after;
    }
    Some(total)
}

/// How long after `base` a quota is refilled: a duration, an RFC 3339 time, an HTTP date, or a number of which only the
/// size tells what it counts (see [`from_number`]).
pub(super) fn reset(text: &str, base: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Some(value) = number(text) {
        return from_number(value, !text.contains('.'), base);
    }
    if let Some(wait) = go_duration(text) {
        return Some(wait);
    }
    let (at, precision) =
        rfc3339::parse(text).or_else(|| http_date(text).map(|at| (at, WHOLE_SECOND)))?;
    until(at, precision, base)
}

/// Seconds from now (Reddit, RateLimit-Reset), or since 1970 in seconds (GitHub, X), milliseconds (OpenRouter, Rocket.Chat),
/// or smaller parts (PUBG): the headers have one name and no unit. The number itself tells them apart, because next to
/// "now" as seconds since 1970 an epoch time in seconds is of about its size, one in milliseconds is a thousand times
/// that, and so on, while nobody waits for decades. The borders lie half-way in orders of magnitude: a thirty-second
/// part of now (some 20 months), and thirty-two times it.
fn from_number(value: f64, whole: bool, base: Timestamp) -> Option<Duration> {
    let now = (base.as_micros() as f64 / 1e6).max(NOW_MIN);
    if value < now / 32.0 {
        return Some(duration(value));
    }
    let scale = [1.0, 1e3, 1e6, 1e9].into_iter().find(|scale| value < now * 32.0 * scale)?;
    let at = Timestamp::from_micros((value / scale * 1e6) as i64);
    let precision = if whole && scale == 1.0 { WHOLE_SECOND } else { Duration::ZERO };
    until(at, precision, base)
}

fn until(at: Timestamp, precision: Duration, base: Timestamp) -> Option<Duration> {
    (at + STALE >= base).then(|| at.since(base) + precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z, and as a date.
    const NOW_S: i64 = 1_767_225_600;

    fn millis_until(text: &str) -> Option<u128> {
        reset(text, Timestamp::from_seconds(NOW_S)).map(|wait| wait.as_millis())
    }

    #[test]
    fn a_number_is_told_by_its_size() {
        let cases = [
            ("0", Some(0)),
            ("60", Some(60_000)),
            ("0.65", Some(650)),
            ("2592000", Some(2_592_000_000)),
            // Since 1970: in seconds (one more for what whole seconds hide), in parts of them.
            ("1767225690", Some(91_000)),
            ("1767225690.5", Some(90_500)),
            ("1767225690500", Some(90_500)),
            ("1767225690500000", Some(90_500)),
            ("1767225690500000000", Some(90_500)),
            // Just gone; and stuck for years.
            ("1767225590", Some(1_000)),
            ("1499329365", None),
            ("-1", None),
            ("1e30", None),
            ("99999999999999999999999999999999", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(millis_until(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_number_means_the_same_to_a_clock_that_was_never_set() {
        let unset = Timestamp::default();
        assert_eq!(reset("60", unset), Some(Duration::from_secs(60)));
        // Not sixty days but an epoch time, far ahead of that clock.
        assert!(reset("1767225690", unset).unwrap() > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn durations_and_dates_are_resets_too() {
        let cases = [
            ("6m0s", Some(360_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("20ms", Some(20)),
            ("1d2h", Some(93_600_000)),
            ("150us", Some(0)),
            ("2026-01-01T00:01:30Z", Some(91_000)),
            ("2026-01-01T00:01:30.250Z", Some(90_250)),
            ("2026-01-01T01:01:30+01:00", Some(91_000)),
            ("2026-01-01T00:01Z", Some(120_000)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(91_000)),
            ("6m0", None),
            ("m", None),
            ("5 minutes", None),
            ("1.2.3s", None),
            ("Tue Feb 16 2021 09:02:42 GMT+0100", None),
            ("soon", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(millis_until(text), wanted, "{text}");
        }
    }

    #[test]
    fn counts_are_whole_and_saturate() {
        let cases = [
            ("0", Some(0)),
            (" 150000 ", Some(150_000)),
            ("98.0", Some(98)),
            ("98.9", Some(98)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("1e99", Some(u64::MAX)),
            ("-1", None),
            ("unlimited", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(count(text), wanted, "{text}");
        }
    }
}
