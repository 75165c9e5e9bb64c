//! Which kind of enforcer a vendor runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::bucket::Bucket;
use super::counter::Counter;
use super::log::Log;
use super::windows::Windows;
use super::{LIMITS_MAX, Rule, nanos};
use crate::limit::LIMIT_COUNT_MAX;
use crate::{ConfigError, Limit};

/// How a vendor enforces its limits. Its text form is what `--policy` takes.
///
/// | text | rule |
/// |---|---|
/// | `fixed`, `fixed:PHASE_MS` | windows that follow one another, the first boundary at the phase |
/// | `first_call` | a window that the first call after the last one opens |
/// | `log` | at most COUNT accepted calls in any window |
/// | `log_counting` | the same, and a refused call counts too |
/// | `log:seconds`, `log_counting:seconds` | the same, kept in whole seconds: up to a second stricter |
/// | `counter` | this window's calls plus the last window's, weighted by how much of it still overlaps |
/// | `bucket`, `bucket:SIZE`, `bucket:SIZE,SIZE` | a full bucket of the limit's count (or SIZE, or one size per limit), refilled at COUNT per window |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Windows that follow one another without gaps.
    Fixed {
        /// Where the first boundary after time zero lies.
        phase: Duration,
    },
    /// A window opened by the first call that falls into none.
    FirstCall,
    /// A sliding log.
    Log {
        /// Whether a refused call is written down like an accepted one.
        counting: bool,
        /// Whether arrivals are kept in whole seconds.
        seconds: bool,
    },
    /// Two fixed windows, the earlier one weighted.
    Counter,
    /// A token bucket (GCRA) that starts full.
    Bucket {
        /// One size for every limit, or one per limit; none is the limit's own count.
        sizes: Vec<u64>,
    },
}

impl Policy {
    /// Fixed windows that begin with the clock.
    pub const FIXED: Policy = Policy::Fixed { phase: Duration::ZERO };
    /// A sliding log with exact times that forgets refused calls.
    pub const LOG: Policy = Policy::Log { counting: false, seconds: false };
    /// A sliding log with exact times in which refused calls count.
    pub const LOG_COUNTING: Policy = Policy::Log { counting: true, seconds: false };
    /// A bucket of the limit's own count.
    pub const BUCKET: Policy = Policy::Bucket { sizes: Vec::new() };

    pub(super) fn counts_refused(&self) -> bool {
        matches!(self, Self::Log { counting: true, .. })
    }

    pub(super) fn rules(&self, limits: &[Limit]) -> Result<Vec<Box<dyn Rule>>, ConfigError> {
        if let Self::Bucket { sizes } = self
            && sizes.len() > 1
            && sizes.len() != limits.len()
        {
            return Err(ConfigError::Together(format!(
                "policy `{self}` gives {} sizes for {} limits; give one size for all, or one per limit",
                sizes.len(),
                limits.len()
            )));
        }
        Ok(limits.iter().enumerate().map(|(place, limit)| self.rule(place, *limit)).collect())
    }

    fn rule(&self, place: usize, limit: Limit) -> Box<dyn Rule> {
        match self {
            Self::Fixed { phase } => Box::new(Windows::fixed(limit, nanos(*phase))),
            Self::FirstCall => Box::new(Windows::opened_by_first_call(limit)),
            Self::Log { seconds, .. } => Box::new(Log::new(limit, *seconds)),
            Self::Counter => Box::new(Counter::new(limit)),
            Self::Bucket { sizes } => {
                let size = sizes.get(place).or(sizes.first()).copied();
                Box::new(Bucket::new(limit, size.unwrap_or(limit.count())))
            }
        }
    }
}

impl FromStr for Policy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::Policy { text: text.to_owned(), reason };
        let (name, setting) = match text.trim().split_once(':') {
            Some((name, setting)) => (name, Some(setting)),
            None => (text.trim(), None),
        };
        let log = |counting| match setting {
            None => Ok(Self::Log { counting, seconds: false }),
            Some("seconds") => Ok(Self::Log { counting, seconds: true }),
            Some(_) => Err(refuse("a log takes no setting but `seconds`")),
        };
        match (name, setting) {
            ("fixed", None) => Ok(Self::FIXED),
            ("fixed", Some(phase)) => phase
                .parse()
                .map(|ms| Self::Fixed { phase: Duration::from_millis(ms) })
                .map_err(|_| refuse("the phase is not a whole number of milliseconds")),
            ("first_call", None) => Ok(Self::FirstCall),
            ("log", _) => log(false),
            ("log_counting", _) => log(true),
            ("counter", None) => Ok(Self::Counter),
            ("bucket", None) => Ok(Self::BUCKET),
            ("bucket", Some(sizes)) => {
                parse_sizes(sizes).map(|sizes| Self::Bucket { sizes }).map_err(refuse)
            }
            ("first_call" | "counter", Some(_)) => Err(refuse("this policy takes no setting")),
            _ => Err(refuse("there is no such policy")),
        }
    }
}

fn parse_sizes(text: &str) -> Result<Vec<u64>, &'static str> {
    let sizes: Vec<u64> = text
        .split(',')
        .take(LIMITS_MAX + 1)
        .map(|size| size.trim().parse().map_err(|_| "a bucket's size is not a whole number"))
        .collect::<Result<_, _>>()?;
    if sizes.iter().any(|size| !(1..=LIMIT_COUNT_MAX).contains(size)) {
        return Err("a bucket's size must be between 1 and 10000000");
    }
    Ok(sizes)
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { phase } if phase.is_zero() => f.write_str("fixed"),
            Self::Fixed { phase } => write!(f, "fixed:{}", phase.as_millis()),
            Self::FirstCall => f.write_str("first_call"),
            Self::Log { counting, seconds } => {
                f.write_str(if *counting { "log_counting" } else { "log" })?;
                f.write_str(if *seconds { ":seconds" } else { "" })
            }
            Self::Counter => f.write_str("counter"),
            Self::Bucket { sizes } => {
                f.write_str("bucket")?;
                for (place, size) in sizes.iter().enumerate() {
                    write!(f, "{}{size}", if place == 0 { ':' } else { ',' })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Enforcer;

    #[test]
    fn reads_every_form_and_writes_it_back() {
        let texts = "fixed fixed:250 first_call log log:seconds log_counting log_counting:seconds \
                     counter bucket bucket:5 bucket:20,100";
        for text in texts.split_whitespace() {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_the_zoo_does_not_have() {
        let texts =
            "fix fixed:x fixed:-1 first_call:1 log:ms counter:2 bucket: bucket:0 bucket:1,x";
        for text in texts.split_whitespace() {
            let error = text.parse::<Policy>().unwrap_err().to_string();
            assert!(error.contains("first_call") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn sizes_must_fit_the_limits() {
        let limits = ["20/s".parse().unwrap(), "100/10s".parse().unwrap()];
        let build = |text: &str| Enforcer::new(&limits, &text.parse().unwrap()).map(|_| ());
        assert_eq!(build("bucket:20,100"), Ok(()));
        assert_eq!(build("bucket:20"), Ok(()));
        let error = build("bucket:1,2,3").unwrap_err().to_string();
        assert!(error.contains("3 sizes for 2 limits"), "{error}");
    }
}
