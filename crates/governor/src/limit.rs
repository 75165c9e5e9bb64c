//! A limit: so many calls, or tokens, per window.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest window: a month of the longest kind.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// The most calls in one window.
const CALLS_MAX: u32 = 1_000_000;
/// The most tokens in one window: above what any vendor sells, and its logs are in buckets anyway.
const TOKENS_MAX: u32 = 1_000_000_000;
/// What may stand after the slash, and how long it is.
const UNITS: [(&str, Duration); 15] = [
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("sec", Duration::from_secs(1)),
    ("second", Duration::from_secs(1)),
    ("seconds", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("min", Duration::from_secs(60)),
    ("minute", Duration::from_secs(60)),
    ("minutes", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
    ("hour", Duration::from_secs(3600)),
    ("hours", Duration::from_secs(3600)),
    ("d", Duration::from_secs(86_400)),
    ("day", Duration::from_secs(86_400)),
    ("days", Duration::from_secs(86_400)),
];

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Every call weighs 1.
    #[default]
    Calls,
    /// A call weighs the tokens it takes: reserved by estimate, settled by the true usage (spec G13).
    Tokens,
}

/// At most `count` calls (or tokens) in every window of this length. Written `20/min`, `60/h`, `10/s`, `500/15min`,
/// `90000 tokens/min`.
///
/// ```
/// use paceline_governor::{Limit, Unit};
/// let limit: Limit = "500/15min".parse().unwrap();
/// assert_eq!((limit.count(), limit.window().as_secs()), (500, 900));
/// assert_eq!("90000 tokens/min".parse::<Limit>().unwrap().unit(), Unit::Tokens);
/// assert!("20/fortnight".parse::<Limit>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    count: u32,
    window: Duration,
    unit: Unit,
}

/// A limit that cannot be: what was written, what is wrong with it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {written:?}: {problem}")]
pub struct LimitError {
    written: String,
    problem: String,
}

impl Limit {
    /// `count` (1 to 1,000,000) calls per `window` (1 ms to 31 days).
    ///
    /// # Errors
    /// Names the range that was left.
    pub fn new(count: u32, window: Duration) -> Result<Self, LimitError> {
        Self::of(count, Unit::Calls, window)
    }

    /// `count` (1 to 1,000,000,000) tokens per `window` (1 ms to 31 days).
    ///
    /// # Errors
    /// Names the range that was left.
    pub fn tokens(count: u32, window: Duration) -> Result<Self, LimitError> {
        Self::of(count, Unit::Tokens, window)
    }

    fn of(count: u32, unit: Unit, window: Duration) -> Result<Self, LimitError> {
        let error =
            |problem: String| LimitError { written: format!("{count} per {window:?}"), problem };
        let count_max = match unit {
            Unit::Calls => CALLS_MAX,
            Unit::Tokens => TOKENS_MAX,
        };
        if !(1..=count_max).contains(&count) {
            return Err(error(format!("the count must be from 1 to {count_max}")));
        }
        if window < Duration::from_millis(1) || window > WINDOW_MAX {
            return Err(error("the window must be from 1 ms to 31 days".to_owned()));
        }
        Ok(Self { count, window, unit })
    }

    /// A rate as one limit: a whole number of calls per second as it stands, any other as one call per `1/rate` seconds,
    /// so that no second ever holds more than the rate rounded up. `None` if `rate` is not a positive number.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        if !rate.is_finite() || rate <= 0.0 {
            return None;
        }
        if rate.fract() == 0.0 && rate <= f64::from(CALLS_MAX) {
            return Self::new(rate as u32, Duration::from_secs(1)).ok();
        }
        Self::new(1, Duration::try_from_secs_f64(1.0 / rate).ok()?).ok()
    }

    /// How many calls or tokens.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// In how long.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// What it counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How much of this limit one call takes.
    pub(crate) fn weight(&self, tokens: u32) -> u32 {
        match self.unit {
            Unit::Calls => 1,
            Unit::Tokens => tokens,
        }
    }

    /// Calls (or tokens) per second in the long run.
    #[must_use]
    pub fn rate_per_second(&self) -> f64 {
        f64::from(self.count) / self.window.as_secs_f64()
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let error = |problem: &str| LimitError {
            written: text.chars().take(40).collect(),
            problem: problem.to_owned(),
        };
        let (count, window) = text
            .trim()
            .split_once('/')
            .ok_or_else(|| error("write a count, a slash and a unit, as in 20/min or 500/15min"))?;
        let (count, unit) = match count.trim().strip_suffix("tokens") {
            Some(count) => (count, Unit::Tokens),
            None => (count, Unit::Calls),
        };
        let count: u32 = count.trim().parse().map_err(|_| {
            error("the count before the slash must be a whole number from 1 to 1000000")
        })?;
        let window = window.trim().to_ascii_lowercase();
        let digits = window.bytes().take_while(u8::is_ascii_digit).count();
        let (times, length) = window.split_at(digits);
        let times: u32 = match times {
            "" => 1,
            times => times.parse().map_err(|_| error("the window is too long; at most 31 days"))?,
        };
        let length = length.trim();
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == length) else {
            return Err(error(
                "the unit after the slash must be ms, s, min, h or d, with a number before it if wanted, as in 15min",
            ));
        };
        let window = length
            .checked_mul(times)
            .ok_or_else(|| error("the window is too long; at most 31 days"))?;
        Self::of(count, unit, window).map_err(|problem| error(&problem.problem))
    }
}

impl fmt::Display for Limit {
    /// As it is written: `20/min`, `500/15min`, `90000 tokens/min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = match self.unit {
            Unit::Calls => "",
            Unit::Tokens => " tokens",
        };
        write!(f, "{}{tokens}/", self.count)?;
        let nanos = self.window.as_nanos();
        let units = [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("min", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
        ];
        for (unit, length) in units {
            if nanos.is_multiple_of(length) {
                let times = nanos / length;
                return if times == 1 && unit != "ms" {
                    f.write_str(unit)
                } else {
                    write!(f, "{times}{unit}")
                };
            }
        }
        write!(f, "{:.3}ms", self.window.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        for text in ["20/min", "60/h", "10/s", "500/15min", "1/d", "7/250ms", "500/5s", "1000/31d"]
        {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        assert_eq!("90000tokens/min".parse::<Limit>().unwrap().to_string(), "90000 tokens/min");
        assert_eq!("20 / Minute".parse::<Limit>().unwrap().to_string(), "20/min");
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let cases = [
            ("20/fortnight", "must be ms, s, min, h or d"),
            ("20", "a slash"),
            ("/min", "before the slash"),
            ("-1/min", "before the slash"),
            ("0/min", "from 1 to"),
            ("1.5/s", "whole number"),
            ("20/0s", "from 1 ms"),
            ("20/32d", "31 days"),
            ("20/99999999999d", "31 days"),
            ("9999999/s", "from 1 to"),
            ("2000000000 tokens/s", "from 1 to 1000000000"),
            ("20 token/s", "whole number"),
            ("20/", "must be ms"),
        ];
        for (text, wanted) in cases {
            let error = text.parse::<Limit>().expect_err(text).to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn rates_become_limits() {
        assert_eq!(Limit::per_second(500.0).unwrap().to_string(), "500/s");
        assert_eq!(Limit::per_second(0.1).unwrap().to_string(), "1/10s");
        assert_eq!(Limit::per_second(2.5).unwrap().to_string(), "1/400ms");
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Limit::per_second(wrong).is_none());
        }
    }
}
