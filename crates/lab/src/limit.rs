//! One limit of a vendor: so many calls in a window.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ConfigError;

/// The most calls a limit may allow in its window; what a log remembers is bounded by it.
pub const LIMIT_COUNT_MAX: u64 = 10_000_000;
/// The longest window: 366 days.
pub const LIMIT_WINDOW_MAX: Duration = Duration::from_secs(366 * 86_400);

/// So many calls in a window, as `20/min` or `500/15min`.
///
/// ```
/// use std::time::Duration;
/// use paceline_lab::Limit;
///
/// let limit: Limit = "500/15min".parse()?;
/// assert_eq!((limit.count(), limit.window()), (500, Duration::from_secs(900)));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    count: u64,
    window_nanos: u64,
}

impl Limit {
    /// `count` calls per `window`.
    ///
    /// # Errors
    /// If `count` is not in `1..=`[`LIMIT_COUNT_MAX`], or `window` is zero or above [`LIMIT_WINDOW_MAX`].
    pub fn new(count: u64, window: Duration) -> Result<Self, ConfigError> {
        let refuse = |reason| {
            Err(ConfigError::Limit { text: format!("{count}/{}ms", window.as_millis()), reason })
        };
        if count == 0 || count > LIMIT_COUNT_MAX {
            return refuse("the count must be between 1 and 10000000");
        }
        match u64::try_from(window.as_nanos()) {
            Ok(window_nanos) if window_nanos > 0 && window <= LIMIT_WINDOW_MAX => {
                Ok(Self { count, window_nanos })
            }
            _ => refuse("the window must be longer than nothing and at most 366 days"),
        }
    }

    /// The most calls in a window.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    /// How long a window is.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    pub(crate) fn window_nanos(self) -> u64 {
        self.window_nanos
    }
}

impl FromStr for Limit {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::Limit { text: text.to_owned(), reason };
        let (count, window) =
            text.trim().split_once('/').ok_or_else(|| refuse("there is no `/`"))?;
        let count = count.trim().parse().map_err(|_| refuse("the count is not a whole number"))?;
        let window = parse_window(window.trim()).map_err(refuse)?;
        Self::new(count, window).map_err(|error| match error {
            ConfigError::Limit { reason, .. } => refuse(reason),
            other => other,
        })
    }
}

/// Reads `min`, `15min`, `100ms`: an optional whole number and a unit.
fn parse_window(text: &str) -> Result<Duration, &'static str> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = match number {
        "" => 1,
        digits => digits.parse().map_err(|_| "the window's number is too large")?,
    };
    let millis = match unit.trim() {
        "ms" => 1,
        "s" | "sec" | "second" => 1_000,
        "m" | "min" | "minute" => 60_000,
        "h" | "hour" => 3_600_000,
        "d" | "day" => 86_400_000,
        _ => return Err("the window's unit must be ms, s, min, h or d"),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "min"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
        ];
        let whole = UNITS.iter().find(|(nanos, _)| self.window_nanos.is_multiple_of(*nanos));
        match whole {
            Some((nanos, unit)) if self.window_nanos == *nanos => {
                write!(f, "{}/{unit}", self.count)
            }
            Some((nanos, unit)) => write!(f, "{}/{}{unit}", self.count, self.window_nanos / nanos),
            // Only code can ask for such a window; the text form has no unit below a millisecond.
            None => write!(f, "{}/{}ns", self.count, self.window_nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_it_back() {
        let cases = [
            ("20/min", 20, 60_000),
            ("60/h", 60, 3_600_000),
            ("10/s", 10, 1_000),
            ("500/15min", 500, 900_000),
            ("500/5s", 500, 5_000),
            ("1000/100ms", 1_000, 100),
            ("7/2d", 7, 172_800_000),
        ];
        for (text, count, window_ms) in cases {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(
                limit,
                Limit::new(count, Duration::from_millis(window_ms)).unwrap(),
                "{text}"
            );
            assert_eq!(limit.to_string(), text);
        }
        assert_eq!("60/60s".parse::<Limit>().unwrap().to_string(), "60/min");
        assert_eq!(" 5 / minute ".parse::<Limit>().unwrap().to_string(), "5/min");
    }

    #[test]
    fn refuses_what_is_no_limit_and_says_why() {
        let cases = [
            ("20", "there is no `/`"),
            ("20/fortnight", "the window's unit"),
            ("x/min", "not a whole number"),
            ("-1/s", "not a whole number"),
            ("0/s", "between 1 and"),
            ("10000001/s", "between 1 and"),
            ("1/0s", "longer than nothing"),
            ("1/9999d", "at most 366 days"),
            ("1/99999999999999999999s", "too large"),
            ("1/", "the window's unit"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("20/min"), "{text}: {error}");
        }
    }
}
