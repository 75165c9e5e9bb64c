//! What goes wrong at a vendor, and how often: the fault law.

mod kind;
mod text;

use std::time::Duration;

use paceline_clock::Random;

pub use kind::FaultKind;
pub(crate) use text::parse_span;

/// The most entries a fault law may have.
pub const FAULTS_MAX: usize = 32;

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
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    fault: Fault,
    chance: f64,
    from: Duration,
    to: Option<Duration>,
}

impl Entry {
    fn applies_at(&self, since_first_call: Duration) -> bool {
        self.from <= since_first_call && self.to.is_none_or(|to| since_first_call < to)
    }
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
        self.entries.is_empty()
    }

    /// What goes wrong with a call that arrives so long after the first one; mostly nothing.
    #[must_use]
    pub fn draw(&self, since_first_call: Duration, random: &Random) -> Option<Fault> {
        if self.is_none() {
            return None;
        }
        let mut left = random.unit();
        for entry in self.entries.iter().filter(|entry| entry.applies_at(since_first_call)) {
            if left < entry.chance {
                return Some(entry.fault);
            }
            left -= entry.chance;
        }
        None
    }

    /// The highest sum of chances at any one moment. It can only rise where a span begins.
    fn highest_chance(&self) -> f64 {
        let sum_at = |moment| -> f64 {
            self.entries.iter().filter(|e| e.applies_at(moment)).map(|e| e.chance).sum()
        };
        self.entries.iter().map(|entry| sum_at(entry.from)).fold(0.0, f64::max)
    }
}
