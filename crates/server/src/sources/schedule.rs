//! When a source is due: a cron expression of five fields, in UTC.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use paceline_clock::Timestamp;

/// Bytes of an expression.
const BYTES_MAX: usize = 128;

/// A schedule. Its ticks are at least a minute apart, because an expression of five fields cannot say anything else.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(Cron);

impl Schedule {
    /// Reads `minute hour day month weekday`; what is wrong with it, if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "write minute, hour, day, month and weekday, as in \"*/15 * * * *\"; UTC";
        if text.len() > BYTES_MAX {
            return Err(format!("{} bytes are over the limit of {BYTES_MAX}; {FORM}", text.len()));
        }
        let cron = CronParser::builder().seconds(Seconds::Disallowed).build().parse(text);
        cron.map(Self).map_err(|error| format!("{error}; {FORM}"))
    }

    /// The first tick after `at`; none if there is none any more, as with the 31st of February.
    pub(crate) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let next = self.0.find_next_occurrence(&at.to_zoned(TimeZone::UTC), false).ok()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn the_next_tick_is_after_the_moment_asked_for() {
        let cases = [
            ("*/15 * * * *", "2026-01-01T00:00:00Z", Some("2026-01-01T00:15:00Z")),
            ("*/15 * * * *", "2026-01-01T00:14:59.999999Z", Some("2026-01-01T00:15:00Z")),
            ("0 3 * * 1", "2026-01-01T00:00:00Z", Some("2026-01-05T03:00:00Z")),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("0 0 31 2 *", "2026-01-01T00:00:00Z", None),
        ];
        for (text, from, wanted) in cases {
            let found = Schedule::parse(text).unwrap().after(at(from));
            assert_eq!(found, wanted.map(at), "{text} from {from}");
        }
    }

    #[test]
    fn ticks_are_a_minute_apart_and_nonsense_is_refused() {
        let every = Schedule::parse("* * * * *").unwrap();
        let first = every.after(at("2026-01-01T00:00:30Z")).unwrap();
        assert_eq!(every.after(first).unwrap().since(first).as_secs(), 60);
        for text in ["", "*", "* * * * * *", "61 * * * *", "x * * * *"] {
            assert!(Schedule::parse(text).is_err(), "{text:?}");
        }
    }
}
