//! What goes wrong at the simulated Hex: its fault law, in the manner of the lab's own.

mod kind;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Random;

pub(super) use kind::{HexFaultKind, STAGES, Stage};

use crate::ConfigError;
use crate::fault::{Entries, FAULTS_MAX, Struck, When};

/// The most entries the law may have.
pub const HEX_FAULTS_MAX: usize = FAULTS_MAX;

/// How the fault law of the simulated Hex is written, for help texts.
///
/// ```
/// assert!(paceline_lab::HEX_FAULT_GRAMMAR.contains("drop-after-start:#3"));
/// ```
pub const HEX_FAULT_GRAMMAR: &str = "\
A comma-separated list of KIND:CHANCE or KIND:#N, each perhaps with @FROM..TO, or `none`.

CHANCE is between 0 and 1. #N strikes the Nth, #N..M the Nth to the Mth, #N.. all from the Nth on
of the calls or runs that the kind is about. FROM..TO is a span since the first call, in ms, s, min
or h; `@20s..` has no end. Of several that strike at one point, the first in the list happens.

  401                     any call: plain text, once
  rotate                  any call: its token is revoked, 401 until another one comes
  drop-before-start hang-before-start 429-on-start[=SECONDS] 500-before-start 502-before-start
  503-before-start        a start: nothing was done (502 and 503 in a proxy's HTML)
  503-kernels             a start: nothing was done, in Hex's own JSON
  drop-after-start hang-after-start 500-after-start 502-after-start 504-after-start
  garbled-after-start     a start: the run was made all the same
  drop-on-read hang-on-read 429-on-read[=SECONDS] 500-on-read 502-on-read
  garbled-on-read         any GET
  drop-on-cancel          a cancellation: done, then no answer
  429-on-cancel[=SECONDS] 500-on-cancel: not done
  stuck-pending stuck-running errored killed no-kernel: how a run ends; killed by somebody else
  completes-on-cancel     a run: COMPLETED is what its cancellation finds
  late-in-list[=MS]       a run: it is not listed for so long (30000)
  409-on-overlap          a start while a run of the project goes on
  foreign foreign-scheduled: another user's run of the project starts just after this one

Examples: drop-after-start:#3   500-on-read:0.1,429-on-read:1@0s..20s   late-in-list=5000:1";

/// A fault that has struck.
pub(super) type HexFault = Struck<HexFaultKind>;

/// Which faults strike how often and when; [`HEX_FAULT_GRAMMAR`] says how one is written.
///
/// ```
/// use paceline_lab::HexFaultLaw;
/// let law: HexFaultLaw = "drop-after-start:#3, 500-on-read:0.1@20s..".parse()?;
/// assert_eq!(law.to_string(), "drop-after-start:#3,500-on-read:0.1@20000ms..");
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HexFaultLaw {
    entries: Entries<HexFaultKind>,
}

impl HexFaultLaw {
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
    /// If together they have more than [`HEX_FAULTS_MAX`] entries.
    pub fn and(self, other: Self) -> Result<Self, ConfigError> {
        Ok(Self { entries: self.entries.and(other.entries)? })
    }
}

impl FromStr for HexFaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::none().and(Self { entries: Entries::parse(text)? })
    }
}

impl fmt::Display for HexFaultLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

/// A law at work: it knows how many calls have come to each point.
#[derive(Debug)]
pub(super) struct Faults {
    law: HexFaultLaw,
    seen: [u64; STAGES],
    /// One stream for each kind, so that one more fault does not change when the others strike.
    streams: Vec<Random>,
}

impl Faults {
    pub(super) fn new(law: HexFaultLaw, seed: u64) -> Self {
        let stream = |kind: &HexFaultKind| {
            Random::seeded(seed.rotate_left(8) ^ (0x4000 + kind.place() as u64))
        };
        Self { law, seen: [0; STAGES], streams: HexFaultKind::ALL.iter().map(stream).collect() }
    }

    /// Another law from now on; the counts begin anew.
    pub(super) fn set(&mut self, law: HexFaultLaw) {
        self.law = law;
        self.seen = [0; STAGES];
    }

    pub(super) fn law(&self) -> &HexFaultLaw {
        &self.law
    }

    /// What happens to a call that comes to `stage` so long after the first call; mostly nothing.
    pub(super) fn strike(&mut self, stage: Stage, since_first_call: Duration) -> Option<HexFault> {
        let seen = &mut self.seen[stage as usize];
        *seen += 1;
        let number = *seen;
        let streams = &self.streams;
        self.law.entries.first(since_first_call, |entry| {
            entry.fault.kind.stage() == stage
                && match entry.when {
                    When::Chance(chance) => streams[entry.fault.kind.place()].unit() < chance,
                    When::Calls { first, last } => (first..=last).contains(&number),
                }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind as _;

    fn strikes(law: &str, stage: Stage, calls: u64) -> Vec<u64> {
        let mut faults = Faults::new(law.parse().unwrap(), 1);
        let second = |number| Duration::from_secs(number - 1);
        (1..=calls).filter(|number| faults.strike(stage, second(*number)).is_some()).collect()
    }

    #[test]
    fn numbers_and_spans_strike_exactly_what_they_name() {
        for (law, expected) in [
            ("drop-after-start:#3", vec![3]),
            ("drop-after-start:#2..4", vec![2, 3, 4]),
            ("drop-after-start:#4..", vec![4, 5, 6]),
            ("drop-after-start:1@2s..4s", vec![3, 4]),
            ("drop-after-start:#1..4@3s..", vec![4]),
            ("drop-after-start:#2,502-after-start:#5", vec![2, 5]),
            ("500-on-read:1", vec![]),
        ] {
            assert_eq!(strikes(law, Stage::Start, 6), expected, "{law}");
        }
    }

    #[test]
    fn the_first_in_the_list_happens() {
        let law = "502-after-start:#2,drop-after-start:1".parse().unwrap();
        let mut faults = Faults::new(law, 1);
        let mut kinds = || faults.strike(Stage::Start, Duration::ZERO).map(|fault| fault.kind);
        assert_eq!(kinds(), Some(HexFaultKind::DropAfterStart));
        assert_eq!(kinds(), Some(HexFaultKind::BadGatewayAfterStart));
    }

    #[test]
    fn one_more_fault_does_not_change_when_the_others_strike() {
        let alone = strikes("drop-on-read:0.2", Stage::Read, 2_000);
        let mut faults = Faults::new("500-on-read:0.3,drop-on-read:0.2".parse().unwrap(), 1);
        let both: Vec<_> =
            (1..=2_000).map(|_| faults.strike(Stage::Read, Duration::ZERO)).collect();
        let dropped = |number: &u64| {
            let kind = both[*number as usize - 1].map(|fault| fault.kind);
            kind == Some(HexFaultKind::DropOnRead) || kind == Some(HexFaultKind::InternalOnRead)
        };
        assert!(alone.iter().all(dropped));
        assert!((300..500).contains(&alone.len()), "{}", alone.len());
    }

    #[test]
    fn reads_every_kind_and_writes_it_back() {
        for kind in HexFaultKind::ALL {
            let text = format!("{}:0.25", kind.name());
            assert_eq!(text.parse::<HexFaultLaw>().unwrap().to_string(), text);
            assert!(HEX_FAULT_GRAMMAR.contains(kind.name()), "{text}");
        }
        for (text, written) in [
            ("none", "none"),
            ("", "none"),
            ("rotate:#20", "rotate:#20"),
            ("errored:#2..4", "errored:#2..4"),
            ("errored:#2..", "errored:#2.."),
            ("late-in-list=5000:1", "late-in-list=5000:1"),
            ("late-in-list=30000:1", "late-in-list:1"),
            ("429-on-read:1@0s..20s", "429-on-read:1@0ms..20000ms"),
        ] {
            let law: HexFaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), written);
            assert_eq!(written.parse::<HexFaultLaw>().unwrap(), law);
        }
    }

    #[test]
    fn refuses_what_cannot_happen_and_says_why() {
        for (text, reason) in [
            ("rotate", "chance is missing"),
            ("rotate:", "between 0 and 1"),
            ("rotate:1.5", "between 0 and 1"),
            ("rotate:NaN", "between 0 and 1"),
            ("rotate:#0", "from 1 on"),
            ("rotate:#x", "from 1 on"),
            ("rotate:#4..2", "end before"),
            ("teapot:1", "no kind `teapot`"),
            ("rotate=3:1", "takes no value"),
            ("late-in-list=x:1", "not a whole number"),
            ("late-in-list=86400001:1", "not a whole number"),
            ("errored:1@5s", "FROM..TO"),
        ] {
            let error = text.parse::<HexFaultLaw>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("KIND:CHANCE"), "{text}: {error}");
        }
        assert!(vec!["errored:0"; 33].join(",").parse::<HexFaultLaw>().is_err());
    }
}
