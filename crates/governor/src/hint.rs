//! What a vendor says about when to come back. Parsed purely; the time is an argument.

use std::time::{Duration, UNIX_EPOCH};

use paceline_clock::Timestamp;

/// A hint longer than this is taken for this: a vendor that says "next year" is broken, and a person must look.
const HINT_MAX: Duration = Duration::from_secs(24 * 3600);
/// An absolute time is written in whole seconds, and so is the `Date` it is read against: together up to this is lost.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date.
///
/// A date is read against the `Date` header of the same response, never against the local clock if that can be helped:
/// clocks differ by more than limits forgive. `wall` serves where the response has no `Date`. `None` if the header is
/// neither (then it is ignored); at most a day.
///
/// ```
/// use paceline_clock::Timestamp;
/// use paceline_governor::retry_after;
/// let wait = retry_after("120", None, Timestamp::default());
/// assert_eq!(wait.unwrap().as_secs(), 120);
/// ```
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, wall: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(HINT_MAX));
    }
    // Not in the standard, and seen: seconds with a fraction.
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.min(HINT_MAX.as_secs_f64())));
    }
    let until = http_date(value)?;
    let base = date.and_then(http_date).unwrap_or(wall);
    Some((until.since(base) + WHOLE_SECONDS).min(HINT_MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(i64::try_from(since_epoch.as_secs()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SEVEN: &str = "Sun, 06 Nov 1994 08:50:07 GMT";

    #[test]
    fn every_form_and_every_nonsense() {
        // 1994-11-06T08:49:37Z as seconds since the epoch.
        let wall = Timestamp::from_seconds(784_111_777);
        let far_off = Timestamp::from_seconds(1_800_000_000);
        let cases = [
            ("0", None, wall, Some(0)),
            (" 7 ", None, wall, Some(7)),
            ("1.5", None, wall, Some(1)),
            ("99999999999999", None, wall, Some(86_400)),
            (SEVEN, None, wall, Some(31)),
            (SEVEN, Some(SIX), far_off, Some(31)),
            (SIX, Some(SEVEN), wall, Some(1)),
            ("-5", None, wall, None),
            ("soon", None, wall, None),
            ("", None, wall, None),
            ("NaN", None, wall, None),
            ("99999999999999999999999999", None, wall, Some(86_400)),
        ];
        for (value, date, wall, wanted) in cases {
            let wait = retry_after(value, date, wall).map(|wait| wait.as_secs());
            assert_eq!(wait, wanted, "{value:?} {date:?}");
        }
    }
}
