//! Moments in filters: ISO 8601 to wall microseconds and back. A moment without a zone is UTC, a date alone its first
//! moment.

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 24 * 3600;

/// Wall microseconds of `2026-01-31`, `2026-01-31T10:20`, `2026-01-31T10:20:30.5Z` or `...+02:00`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut text = Cursor(text.as_bytes());
    let (year, month, day) = text.date()?;
    let (mut seconds, mut micros) = (days(year, month, day) * DAY_SECONDS, 0);
    if text.one_of(b"Tt ").is_some() {
        let (of_day, fraction) = text.time()?;
        seconds += of_day - text.zone()? * 60;
        micros = fraction;
    }
    text.0.is_empty().then_some(seconds * MICROS + micros)
}

/// As [`parse`] reads it, in UTC.
pub(super) fn show(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
    let (days, seconds) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        let digits = format!(".{micros:06}");
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that leap days end them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date so many days after 1970-01-01: the inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
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

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.digits(4)?;
        self.one_of(b"-")?;
        let month = self.digits(2)?;
        self.one_of(b"-")?;
        let day = self.digits(2)?;
        let there = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        there.then_some((year, month, day))
    }

    /// Seconds of the day, and microseconds.
    fn time(&mut self) -> Option<(i64, i64)> {
        let hour = self.digits(2)?;
        self.one_of(b":")?;
        let minute = self.digits(2)?;
        let (mut second, mut micros) = (0, 0);
        if self.one_of(b":").is_some() {
            second = self.digits(2)?;
            if self.one_of(b".").is_some() {
                micros = self.fraction()?;
            }
        }
        let there = hour < 24 && minute < 60 && second <= 60;
        there.then_some((hour * 3600 + minute * 60 + second, micros))
    }

    /// Microseconds; what is finer is cut off.
    fn fraction(&mut self) -> Option<i64> {
        let mut micros = self.digits(1)? * 100_000;
        let mut worth = 10_000;
        while let Some(digit) = self.one_of(b"0123456789") {
            micros += i64::from(digit - b'0') * worth;
            worth /= 10;
        }
        Some(micros)
    }

    /// Minutes east of UTC; none is UTC.
    fn zone(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-") {
            None | Some(b'Z' | b'z') => return Some(0),
            Some(b'-') => -1,
            Some(_) => 1,
        };
        let hours = self.digits(2)?;
        let _ = self.one_of(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.digits(2)? };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_as_iso_8601_says() {
        let cases = [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:01Z", Some(MICROS)),
            ("2026-11-22T04:09:00.250Z", Some(1_795_320_540_250_000)),
            ("2026-11-22T05:09+01:00", Some(1_795_320_540_000_000)),
            ("2026-11-22 04:09:00", Some(1_795_320_540_000_000)),
            ("2024-02-29", Some(1_709_164_800 * MICROS)),
            ("0000-03-01", Some(-62_162_035_200 * MICROS)),
            ("1969-12-31T23:59:59.999999Z", Some(-1)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-01-01T24:00", None),
            ("2026-01-01T10", None),
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
