//! How long something takes: a law that delays are drawn from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Random;

use crate::ConfigError;

/// The longest delay a law may name: one hour.
pub const LAW_MS_MAX: f64 = 3_600_000.0;
/// An exponential delay is cut at this many times its mean (two calls in a thousand million reach it).
pub const EXP_CUT: f64 = 20.0;

/// A delay in milliseconds: `0`, `20`, `20..400` (uniform) or `exp:60` (exponential with that mean, cut at 20 times it).
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::Random;
/// use paceline_lab::Law;
///
/// let law: Law = "20..400".parse()?;
/// let delay = law.draw(&Random::seeded(1));
/// assert!((Duration::from_millis(20)..=Duration::from_millis(400)).contains(&delay));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Law(Shape);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Fixed { ms: f64 },
    Uniform { from_ms: f64, to_ms: f64 },
    Exponential { mean_ms: f64 },
}

impl Default for Shape {
    fn default() -> Self {
        Self::Fixed { ms: 0.0 }
    }
}

impl Law {
    /// No delay at all.
    pub const ZERO: Law = Law(Shape::Fixed { ms: 0.0 });

    /// Always so many milliseconds.
    #[must_use]
    pub(crate) fn millis(ms: u32) -> Self {
        Self(Shape::Fixed { ms: f64::from(ms) })
    }

    /// Whether every delay is zero, so that nobody needs to sleep.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The longest delay that can be drawn.
    #[must_use]
    pub fn longest(self) -> Duration {
        duration(match self.0 {
            Shape::Fixed { ms } => ms,
            Shape::Uniform { to_ms, .. } => to_ms,
            Shape::Exponential { mean_ms } => mean_ms * EXP_CUT,
        })
    }

    /// A delay. A fixed law takes nothing from `random`.
    #[must_use]
    pub fn draw(self, random: &Random) -> Duration {
        duration(match self.0 {
            Shape::Fixed { ms } => ms,
            Shape::Uniform { from_ms, to_ms } => from_ms + (to_ms - from_ms) * random.unit(),
            // The unit is below 1, so the logarithm is finite.
            Shape::Exponential { mean_ms } => mean_ms * (-(1.0 - random.unit()).ln()).min(EXP_CUT),
        })
    }
}

/// Milliseconds that the parser has held to `0..=EXP_CUT * LAW_MS_MAX`.
fn duration(ms: f64) -> Duration {
    Duration::from_nanos((ms * 1e6).round() as u64)
}

impl FromStr for Law {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::Law { text: text.to_owned(), reason };
        let millis = |part: &str| match part.trim().parse::<f64>() {
            Ok(ms) if (0.0..=LAW_MS_MAX).contains(&ms) => Ok(ms),
            Ok(_) => Err(refuse("a delay must be between 0 and 3600000 ms")),
            Err(_) => Err(refuse("a delay is a number of milliseconds without a unit")),
        };
        let shape = if let Some(mean) = text.trim().strip_prefix("exp:") {
            Shape::Exponential { mean_ms: millis(mean)? }
        } else if let Some((from, to)) = text.split_once("..") {
            Shape::Uniform { from_ms: millis(from)?, to_ms: millis(to)? }
        } else {
            Shape::Fixed { ms: millis(text)? }
        };
        match shape {
            Shape::Uniform { from_ms, to_ms } if from_ms > to_ms => {
                Err(refuse("the range ends before it begins"))
            }
            // One spelling of nothing, so that `is_zero` sees it.
            shape if Law(shape).longest().is_zero() => Ok(Self::ZERO),
            shape => Ok(Self(shape)),
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Fixed { ms } => write!(f, "{ms}"),
            Shape::Uniform { from_ms, to_ms } => write!(f, "{from_ms}..{to_ms}"),
            Shape::Exponential { mean_ms } => write!(f, "exp:{mean_ms}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_it_back() {
        for text in ["0", "20", "0.5", "20..400", "exp:60"] {
            assert_eq!(text.parse::<Law>().unwrap().to_string(), text);
        }
        for text in ["0", "0..0", "exp:0"] {
            assert!(text.parse::<Law>().unwrap().is_zero(), "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_drawn_from() {
        for text in ["", "-1", "20ms", "9..3", "exp:", "exp:-5", "NaN", "inf", "3600001", "1..2..3"]
        {
            let error = text.parse::<Law>().unwrap_err().to_string();
            assert!(error.contains("20..400"), "{text}: {error}");
        }
    }

    #[test]
    fn draws_keep_the_mean_and_the_bounds() {
        let cases = [("7", 7.0), ("20..400", 210.0), ("exp:60", 60.0)];
        for (text, mean_ms) in cases {
            let law: Law = text.parse().unwrap();
            let random = Random::seeded(3);
            let draws: Vec<Duration> = (0..40_000).map(|_| law.draw(&random)).collect();
            assert!(draws.iter().all(|drawn| *drawn <= law.longest()));
            let mean = draws.iter().sum::<Duration>().as_secs_f64() * 1e3 / 40_000.0;
            assert!((mean - mean_ms).abs() < mean_ms * 0.02, "{text}: {mean}");
        }
        assert_eq!("exp:60".parse::<Law>().unwrap().longest(), Duration::from_millis(1200));
    }
}
