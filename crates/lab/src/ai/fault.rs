//! What goes wrong at the simulated vendors of language models: their fault law, in the manner of the lab's own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Random;

use crate::ConfigError;
use crate::fault::{Entries, FAULTS_MAX, Kind, Struck, Syntax};

/// The most entries the law may have.
pub const AI_FAULTS_MAX: usize = FAULTS_MAX;

/// How the fault law of the simulated AI vendors is written, for help texts.
///
/// ```
/// assert!(paceline_lab::AI_FAULT_GRAMMAR.contains("quota"));
/// ```
pub const AI_FAULT_GRAMMAR: &str = "\
A comma-separated list of KIND:CHANCE or KIND:CHANCE@FROM..TO, or `none`.

CHANCE is between 0 and 1, FROM..TO a span since the vendor's first call, in ms, s, min or h. Faults
strike calls that passed the limits; of several that strike, the first in the list happens. KIND is:

  429         refused for its rate, in the vendor's own words (1 s; 429=5 says 5)
  quota       refused because no money is left: nothing that waiting mends
  401         refused for its key
  500         an error of the vendor, after the service time
  overloaded  529 of Anthropic, 503 of the others, at once
  drop        the call is done, then the connection ends without a reply
  hang        the call is done, and no reply ever comes
  length      the answer is cut as if the tokens it may take were used up
  refusal     the model refuses to answer
  blocked     a filter lets no answer through
  empty       the answer holds nothing
  garbled     where JSON was asked for, text that is none
  misshapen   where JSON was asked for, JSON of another shape

Examples: 429=2:1@0s..20s   overloaded:0.1   quota:1@60s..";

/// A kind of fault and the word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AiFaultKind {
    TooMany,
    Quota,
    Unauthorized,
    Internal,
    Overloaded,
    Drop,
    Hang,
    Length,
    Refusal,
    Blocked,
    Empty,
    Garbled,
    Misshapen,
}

const TABLE: [(AiFaultKind, &str); 13] = [
    (AiFaultKind::TooMany, "429"),
    (AiFaultKind::Quota, "quota"),
    (AiFaultKind::Unauthorized, "401"),
    (AiFaultKind::Internal, "500"),
    (AiFaultKind::Overloaded, "overloaded"),
    (AiFaultKind::Drop, "drop"),
    (AiFaultKind::Hang, "hang"),
    (AiFaultKind::Length, "length"),
    (AiFaultKind::Refusal, "refusal"),
    (AiFaultKind::Blocked, "blocked"),
    (AiFaultKind::Empty, "empty"),
    (AiFaultKind::Garbled, "garbled"),
    (AiFaultKind::Misshapen, "misshapen"),
];

impl Kind for AiFaultKind {
    const KINDS: &'static [Self] = &{
        let mut kinds = [AiFaultKind::TooMany; TABLE.len()];
        let mut place = 0;
        while place < TABLE.len() {
            kinds[place] = TABLE[place].0;
            place += 1;
        }
        kinds
    };
    const SYNTAX: Syntax = Syntax {
        owner: "an AI vendor",
        value: "seconds",
        value_max: u32::MAX as u64,
        value_wrong: "the seconds are not a whole number",
        numbered: false,
        refuse: |text, reason| ConfigError::AiFault { text, reason },
    };

    fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// What a 429 asks to wait, in seconds.
    fn value_default(self) -> Option<u64> {
        (self == Self::TooMany).then_some(1)
    }
}

/// A fault that has struck.
pub(super) type AiFault = Struck<AiFaultKind>;

/// Which faults strike how often and when; [`AI_FAULT_GRAMMAR`] says how one is written.
///
/// ```
/// use paceline_lab::AiFaultLaw;
/// let law: AiFaultLaw = "429=2:1@0s..20s, overloaded:0.1".parse()?;
/// assert_eq!(law.to_string(), "429=2:1@0ms..20000ms,overloaded:0.1");
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AiFaultLaw {
    entries: Entries<AiFaultKind>,
}

impl AiFaultLaw {
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

    /// This law and then that one.
    ///
    /// # Errors
    /// If together they have more than [`AI_FAULTS_MAX`] entries.
    pub fn and(self, other: Self) -> Result<Self, ConfigError> {
        Ok(Self { entries: self.entries.and(other.entries)? })
    }

    /// What goes wrong with a call that arrives so long after the first one; mostly nothing.
    pub(super) fn draw(&self, since_first_call: Duration, random: &Random) -> Option<AiFault> {
        self.entries.first(since_first_call, |entry| random.unit() < entry.chance())
    }
}

impl FromStr for AiFaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self { entries: Entries::parse_bounded(text)? })
    }
}

impl fmt::Display for AiFaultLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_and_writes_it_back() {
        for (place, (kind, name)) in TABLE.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert!(AI_FAULT_GRAMMAR.contains(&format!("  {name} ")), "{name}");
            let text = format!("{name}:0.25@5ms..");
            assert_eq!(text.parse::<AiFaultLaw>().unwrap().to_string(), text);
        }
        for text in ["none", "429=5:1", "500:0.1@20ms..40ms,hang:0.01"] {
            assert_eq!(text.parse::<AiFaultLaw>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_cannot_happen_and_says_why() {
        for (text, reason) in [
            ("quota", "chance is missing"),
            ("quota:2", "between 0 and 1"),
            ("teapot:1", "no kind `teapot`"),
            ("500=3:1", "takes no seconds"),
            ("429=x:1", "not a whole number"),
            ("500:1@5s", "FROM..TO"),
        ] {
            let error = text.parse::<AiFaultLaw>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("KIND:CHANCE"), "{text}: {error}");
        }
        assert!(vec!["500:0"; 33].join(",").parse::<AiFaultLaw>().is_err());
    }

    #[test]
    fn spans_hold_and_the_first_of_several_happens() {
        let law: AiFaultLaw = "quota:1@10s..,429=3:1@0s..20s".parse().unwrap();
        let random = Random::seeded(1);
        let at = |s| law.draw(Duration::from_secs(s), &random).map(|fault| fault.kind);
        assert_eq!(at(9), Some(AiFaultKind::TooMany));
        assert_eq!(at(10), Some(AiFaultKind::Quota));
        assert_eq!(at(20), Some(AiFaultKind::Quota));
    }
}
