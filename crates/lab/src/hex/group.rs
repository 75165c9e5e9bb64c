//! The three groups that Hex limits, and the gates in front of them.

use std::fmt;
use std::str::FromStr;

use paceline_clock::{Tick, Timestamp};

use super::config::HexLimits;
use super::stats::HexGroupStats;
use crate::hints::Headers;
use crate::stats::Busiest;
use crate::{ConfigError, Enforcer, Limit, Policy, RateHeaders, Standing};

/// A group of calls that share limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexGroupName {
    /// RunProject.
    Runs,
    /// GetProject, GetProjectRuns and GetRunStatus.
    Reads,
    /// Every call.
    Overall,
}

/// A limit and the group it is for, as `runs:20/min`.
///
/// ```
/// use paceline_lab::{HexGroupName, HexLimit};
/// let limit: HexLimit = "reads:30/min".parse()?;
/// assert_eq!((limit.group, limit.limit), (HexGroupName::Reads, "30/min".parse()?));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexLimit {
    /// Whose limit it is.
    pub group: HexGroupName,
    /// The limit.
    pub limit: Limit,
}

/// A policy, for one group or for all: `first_call` or `runs:log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexPolicy {
    /// Whose policy it is; none: every group's.
    pub group: Option<HexGroupName>,
    /// The policy.
    pub policy: Policy,
}

impl HexGroupName {
    /// Every group, in the order of [`HexLimits`].
    pub const ALL: [HexGroupName; 3] = [Self::Runs, Self::Reads, Self::Overall];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Reads => "reads",
            Self::Overall => "overall",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name.trim())
    }
}

impl FromStr for HexLimit {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let unknown = || ConfigError::Word {
            what: "the group of the limit",
            text: text.to_owned(),
            accepted: "runs, reads, overall, as in runs:20/min",
        };
        let (group, limit) = text.split_once(':').ok_or_else(unknown)?;
        let group = HexGroupName::named(group).ok_or_else(unknown)?;
        Ok(Self { group, limit: limit.parse()? })
    }
}

impl FromStr for HexPolicy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let named = |(group, policy)| HexGroupName::named(group).map(|group| (group, policy));
        // No policy goes by the name of a group, so `bucket:20` stays a policy.
        match text.split_once(':').and_then(named) {
            Some((group, policy)) => Ok(Self { group: Some(group), policy: policy.parse()? }),
            None => Ok(Self { group: None, policy: text.parse()? }),
        }
    }
}

impl fmt::Display for HexGroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The gates of all groups. A call passes its own group's and the overall one, or is charged to neither (but where a
/// policy counts refused calls).
#[derive(Debug)]
pub(super) struct Gates([Gate; 3]);

#[derive(Debug)]
struct Gate {
    enforcer: Enforcer,
    busiest: Vec<Busiest>,
    accepted: u64,
    refused: u64,
}

impl Gate {
    fn new(limits: &[Limit], policy: &Policy) -> Result<Self, ConfigError> {
        let enforcer = Enforcer::new(limits, policy)?;
        let busiest = limits.iter().copied().map(Busiest::new).collect();
        Ok(Self { enforcer, busiest, accepted: 0, refused: 0 })
    }

    fn accept(&mut self, at: Tick) {
        self.accepted += 1;
        self.enforcer.accept(at);
        self.busiest.iter_mut().for_each(|busiest| busiest.accepted(at));
    }

    fn stats(&self) -> HexGroupStats {
        HexGroupStats {
            accepted: self.accepted,
            refused: self.refused,
            limits: self.busiest.iter().map(Busiest::stats).collect(),
        }
    }
}

impl Gates {
    pub(super) fn new(limits: &HexLimits) -> Result<Self, ConfigError> {
        let gate = |group: HexGroupName| {
            let group = limits.group(group);
            Gate::new(&group.limits, &group.policy)
        };
        let [runs, reads, overall] = HexGroupName::ALL.map(gate);
        Ok(Self([runs?, reads?, overall?]))
    }

    /// Lets a call of `group` through, or says from when on it may come again.
    pub(super) fn pass(&mut self, group: HexGroupName, at: Tick) -> Result<(), Tick> {
        let concerned = concerned(group);
        if concerned.iter().all(|&group| self.0[group as usize].enforcer.is_open(at)) {
            concerned.iter().for_each(|&group| self.0[group as usize].accept(at));
            return Ok(());
        }
        let mut until = at;
        for &group in concerned {
            let gate = &mut self.0[group as usize];
            gate.refused += u64::from(!gate.enforcer.is_open(at));
            until = until.max(gate.enforcer.refuse(at).until);
        }
        Err(until)
    }

    /// The headers that tell what a call of `group` has left.
    pub(super) fn headers(
        &self,
        form: RateHeaders,
        group: HexGroupName,
        (at, wall): (Tick, Timestamp),
    ) -> Headers {
        if form == RateHeaders::None {
            return Headers::new();
        }
        let gates = || concerned(group).iter().map(|&group| &self.0[group as usize].enforcer);
        let limits: Vec<Limit> = gates().flat_map(Enforcer::limits).copied().collect();
        let standings: Vec<Standing> = gates().flat_map(|gate| gate.standing(at)).collect();
        form.headers(&limits, &standings, (at, wall))
    }

    pub(super) fn stats(&self, group: HexGroupName) -> HexGroupStats {
        self.0[group as usize].stats()
    }
}

/// The groups that a call of `group` counts in.
fn concerned(group: HexGroupName) -> &'static [HexGroupName] {
    match group {
        HexGroupName::Runs => &[HexGroupName::Runs, HexGroupName::Overall],
        HexGroupName::Reads => &[HexGroupName::Reads, HexGroupName::Overall],
        HexGroupName::Overall => &[HexGroupName::Overall],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(runs: &str, overall: &str, policy: &str) -> Gates {
        let mut limits = HexLimits::default();
        for group in HexGroupName::ALL {
            limits.group_mut(group).policy = policy.parse().unwrap();
        }
        limits.runs.limits.push(runs.parse().unwrap());
        limits.overall.limits.push(overall.parse().unwrap());
        Gates::new(&limits).unwrap()
    }

    #[test]
    fn a_call_counts_in_its_group_and_overall_and_a_refused_one_in_neither() {
        let mut gates = gates("1/min", "3/min", "log");
        let at = Tick::from_millis(1_000);
        assert_eq!(gates.pass(HexGroupName::Runs, at), Ok(()));
        assert_eq!(gates.pass(HexGroupName::Runs, at), Err(Tick::from_millis(61_000)));
        assert_eq!(gates.pass(HexGroupName::Reads, at), Ok(()));
        assert_eq!(gates.pass(HexGroupName::Overall, at), Ok(()));
        assert_eq!(gates.pass(HexGroupName::Reads, at), Err(Tick::from_millis(61_000)));
        let counts = HexGroupName::ALL.map(|group| {
            let stats = gates.stats(group);
            (stats.accepted, stats.refused)
        });
        assert_eq!(counts, [(1, 1), (1, 0), (3, 1)]);
    }

    #[test]
    fn where_refused_calls_count_they_count_in_both() {
        let mut gates = gates("1/min", "2/min", "log_counting");
        let at = Tick::from_millis;
        assert_eq!(gates.pass(HexGroupName::Runs, at(0)), Ok(()));
        assert_eq!(gates.pass(HexGroupName::Runs, at(30_000)), Err(at(90_000)));
        // The two at 30 s fill the window: the refused start and this call itself.
        assert_eq!(gates.pass(HexGroupName::Overall, at(30_000)), Err(at(90_000)));
    }

    #[test]
    fn limits_and_policies_are_read_with_their_group() {
        let limit: HexLimit = "overall:60/min".parse().unwrap();
        assert_eq!(limit.group, HexGroupName::Overall);
        for text in ["20/min", "polls:20/min", "runs:20", ":20/min"] {
            let error = text.parse::<HexLimit>().unwrap_err().to_string();
            assert!(error.contains("20/min"), "{text}: {error}");
        }
        for (text, group, policy) in [
            ("first_call", None, "first_call"),
            ("runs:log_counting:seconds", Some(HexGroupName::Runs), "log_counting:seconds"),
            ("bucket:20", None, "bucket:20"),
        ] {
            let read: HexPolicy = text.parse().unwrap();
            assert_eq!((read.group, read.policy.to_string().as_str()), (group, policy));
        }
        assert!("reads:leaky".parse::<HexPolicy>().is_err());
    }
}
