//! What goes wrong at a vendor, and how often: the fault law.

mod entries;
mod kind;
mod text;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Random;

pub use entries::FAULTS_MAX;
pub(crate) use entries::{Entries, Kind, Struck, Syntax, When};
pub use kind::FaultKind;

use crate::ConfigError;

/// How a fault law is written, for help texts.
///
/// ```
/// assert!(paceline_lab::FAULT_GRAMMAR.contains("KIND:CHANCE"));
/// ```
pub const FAULT_GRAMMAR: &str = "\
A comma-separated list of KIND:CHANCE or KIND:CHANCE@FROM..TO, or `none`.

CHANCE is between 0 and 1; the chances that hold at one moment add up to at most 1.
FROM..TO is a span since the first call, in ms, s, min or h; `@20s..` has no end.
Faults strike calls that passed the limits. KIND is one of:

  429         429 without a header
  429-after   429 with Retry-After in seconds (1; 429-after=5 says 5)
  429-date    429 with Retry-After as an HTTP date (1 s ahead; 429-date=5 is 5 s)
  500 502 503 that status, after the service time
  503-after   503 with Retry-After in seconds (1; 503-after=5 says 5)
  401 400     that status, at once
  reset       the connection is reset before anything was done
  drop        the call is done, then the connection ends without a reply
  hang        the call is done, and no reply ever comes
  truncated   the call is done, and the reply ends before its Content-Length
  huge        the call is done, and the reply is 64 MB long
  notjson     the call is done, and the reply is HTML with status 200

Examples: 500:0.1   429:1@0s..20s   reset:0.01,hang:0.005   503-after=2:0.05";

/// A fault that has struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// What `Retry-After` says, where the kind has one.
    pub retry_after_s: u32,
}

/// Which faults strike how often and when; [`FAULT_GRAMMAR`] says how one is written.
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::Random;
/// use paceline_lab::{FaultKind, FaultLaw};
///
/// let law: FaultLaw = "429:1@0s..20s".parse()?;
/// let random = Random::seeded(1);
/// let struck = law.draw(Duration::from_secs(19), &random).map(|fault| fault.kind);
/// assert_eq!(struck, Some(FaultKind::TooMany));
/// assert_eq!(law.draw(Duration::from_secs(20), &random), None);
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultLaw {
    entries: Entries<FaultKind>,
}

impl FaultLaw {
    /// A law under which nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nothing can go wrong.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.entries.is_none()
    }

    /// What goes wrong with a call that arrives so long after the first one; mostly nothing.
    #[must_use]
    pub fn draw(&self, since_first_call: Duration, random: &Random) -> Option<Fault> {
        if self.is_none() {
            return None;
        }
        let mut left = random.unit();
        for entry in self.entries.iter().filter(|entry| entry.applies_at(since_first_call)) {
            if left < entry.chance() {
                let Struck { kind, value } = entry.fault;
                let retry_after_s = u32::try_from(value).unwrap_or(u32::MAX);
                return Some(Fault { kind, retry_after_s });
            }
            left -= entry.chance();
        }
        None
    }

    /// The highest sum of chances at any one moment. It can only rise where a span begins.
    fn highest_chance(&self) -> f64 {
        let sum_at = |moment| -> f64 {
            self.entries.iter().filter(|e| e.applies_at(moment)).map(|e| e.chance()).sum()
        };
        self.entries.iter().map(|entry| sum_at(entry.from)).fold(0.0, f64::max)
    }
}

impl FromStr for FaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let law = Self { entries: Entries::parse_bounded(text)? };
        // A little room, because tenths are not exact.
        if law.highest_chance() > 1.0 + 1e-9 {
            let reason = "the chances at one moment add up to more than 1".to_owned();
            return Err(ConfigError::Fault { text: text.to_owned(), reason });
        }
        Ok(law)
    }
}

impl fmt::Display for FaultLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_and_writes_it_back() {
        for kind in FaultKind::ALL {
            let text = format!("{}:0.25", kind.name());
            let law: FaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), text);
            assert!(FAULT_GRAMMAR.contains(kind.name()), "{text}");
        }
        for (text, written) in [
            ("none", "none"),
            ("", "none"),
            ("429:1@0s..20s", "429:1@0ms..20000ms"),
            ("429-after=5:0.1@1min..", "429-after=5:0.1@60000ms.."),
            (" reset:0.01 , hang:0.005 ", "reset:0.01,hang:0.005"),
        ] {
            let law: FaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), written);
            assert_eq!(written.parse::<FaultLaw>().unwrap(), law);
        }
    }

    #[test]
    fn refuses_what_cannot_happen_and_says_why() {
        for (text, reason) in [
            ("500", "chance is missing"),
            ("500:", "between 0 and 1"),
            ("500:1.1", "between 0 and 1"),
            ("500:NaN", "between 0 and 1"),
            ("teapot:1", "no kind `teapot`"),
            ("500=3:1", "takes no seconds"),
            ("429-after=x:1", "not a whole number"),
            ("500:1@5s", "FROM..TO"),
            ("500:1@5s..5s", "ends before"),
            ("500:1@5..9", "unit must be"),
            ("500:0.6,400:0.6", "more than 1"),
            ("500:0.6@0s..9s,400:0.6@8s..", "more than 1"),
        ] {
            let error = text.parse::<FaultLaw>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("KIND:CHANCE"), "{text}: {error}");
        }
        assert!("500:0.6@0s..8s,400:0.6@8s..".parse::<FaultLaw>().is_ok());
        assert!(vec!["500:0"; 33].join(",").parse::<FaultLaw>().is_err());
    }

    #[test]
    fn chances_are_kept_as_written() {
        let law: FaultLaw = "500:0.3,reset:0.1".parse().unwrap();
        let random = Random::seeded(5);
        let drawn: Vec<_> = (0..20_000).map(|_| law.draw(Duration::ZERO, &random)).collect();
        let share = |kind| {
            let struck = drawn.iter().flatten().filter(|fault| fault.kind == kind).count();
            struck as f64 / 20_000.0
        };
        assert!((share(FaultKind::Internal) - 0.3).abs() < 0.01);
        assert!((share(FaultKind::Reset) - 0.1).abs() < 0.01);
    }
}
