//! Times as in RFC 3339, the form of Anthropic's and Atlassian's resets, with the precision they are written in.

use std::time::Duration;

use paceline_clock::Timestamp;

use super::time::WHOLE_SECOND;

/// Jira Cloud writes whole minutes ("Rate limiting": `yyyy-MM-ddTHH:mmZ`).
const WHOLE_MINUTE: Duration = Duration::from_secs(60);

/// A time as in RFC 3339, seconds optional, with the precision it is written in. A time without a zone is nonsense: it
/// may mean any of 26 hours.
pub(super) fn parse(text: &str) -> Option<(Timestamp, Duration)> {
    let mut text = Cursor(text.as_bytes());
    let year = text.digits(4)?;
    text.one_of(b"-")?;
    let month = text.digits(2)?;
    text.one_of(b"-")?;
    let day = text.digits(2)?;
    text.one_of(b"Tt ")?;
    let hour = text.digits(2)?;
    text.one_of(b":")?;
    let minute = text.digits(2)?;
    let (mut second, mut micros, mut precision) = (0, 0, WHOLE_MINUTE);
    if text.one_of(b":").is_some() {
        (second, precision) = (text.digits(2)?, WHOLE_SECOND);
        if text.one_of(b".").is_some() {
            (micros, precision) = (text.fraction()?, Duration::ZERO);
        }
    }
    let offset = text.zone()?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || !text.0.is_empty() {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    Some((Timestamp::from_micros(seconds * 1_000_000 + micros), precision))
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn digits(&mut self, many: usize) -> Option<i64> {
        (0..many).try_fold(0, |value, _| {
            Some(value * 10 + i64::from(self.one_of(b"0123456789")? - b'0'))
        })
    }

    /// Microseconds, rounded up.
    fn fraction(&mut self) -> Option<i64> {
        let mut micros = self.digits(1)? * 100_000;
        let (mut worth, mut more) = (10_000, false);
        while let Some(digit) = self.one_of(b"0123456789") {
            let digit = i64::from(digit - b'0');
            micros += digit * worth;
            more |= worth == 0 && digit > 0;
            worth /= 10;
        }
        Some(micros + i64::from(more))
    }

    /// Minutes east of UTC.
    fn zone(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        self.one_of(b":");
        let minutes = self.digits(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. The year is counted from March, so that the leap day is its
/// last: the days before a month are then `(153 * month + 2) / 5`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 is the same count for 1970-01-01, from the first of March of the year 0.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_dates_of_http_over_four_centuries() {
        for day in 0..146_097 {
            let at = std::time::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let text = httpdate::fmt_http_date(at);
            let month = "JanFebMarAprMayJunJulAugSepOctNovDec".find(&text[8..11]).unwrap() / 3 + 1;
            let text = format!("{}-{month:02}-{}T00:00:00Z", &text[12..16], &text[5..7]);
            let wanted = Timestamp::from_seconds(day as i64 * 86_400);
            assert_eq!(parse(&text), Some((wanted, WHOLE_SECOND)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let cases = [
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+99:00",
            "2026-01-01T00:00:00Z!",
            "2026-01-01",
            "2026-1-1T00:00:00Z",
            "",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_a_second_are_never_rounded_to_earlier() {
        let micros = |text: &str| parse(text).unwrap().0.as_micros() % 1_000_000;
        assert_eq!(micros("2026-01-01T00:00:00.5Z"), 500_000);
        assert_eq!(micros("2026-01-01T00:00:00.123456Z"), 123_456);
        assert_eq!(micros("2026-01-01T00:00:00.123456000001Z"), 123_457);
        assert_eq!(micros("2026-01-01T00:00:00.1234560Z"), 123_456);
    }
}
