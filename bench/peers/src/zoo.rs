//! The policies that traces are judged by, and how early anybody could be through with them.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_lab::{Enforcer, Policy, Verdict};

use crate::Failure;
use crate::sets::Set;

/// A policy, its heading, and whether it accepts every client that keeps each limit in every window (property S).
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) accepts_s: bool,
    text: &'static str,
}

const fn kind(name: &'static str, text: &'static str, accepts_s: bool) -> Kind {
    Kind { name, accepts_s, text }
}

pub(crate) const KINDS: [Kind; 7] = [
    kind("fixed", "fixed", true),
    kind("first_call", "first_call", true),
    kind("log", "log", true),
    kind("log_counting", "log_counting", true),
    kind("counter", "counter", false),
    kind("bucket L", "bucket", true),
    kind("bucket L/4", "bucket:quarter", false),
];

impl Kind {
    /// A server of this kind that has seen nothing yet.
    pub(crate) fn enforcer(&self, set: &Set) -> Result<Enforcer, Failure> {
        let policy = match self.text {
            "bucket:quarter" => {
                let quarter = |count: u32| u64::from(count / 4).max(1);
                Policy::Bucket { sizes: set.limits.map(|limit| quarter(limit.count)).to_vec() }
            }
            text => text.parse()?,
        };
        Ok(Enforcer::new(&set.judged()?, &policy)?)
    }

    /// When the last call arrives if each arrives as soon as it is accepted: the optimum of a client that knows the
    /// policy and the phase. Where refused calls count it is the log's, for it is never refused.
    pub(crate) fn optimum(&self, set: &Set, phase: Duration) -> Result<Duration, Failure> {
        let known = if self.text == "log_counting" { &kind("", "log", true) } else { self };
        let mut enforcer = known.enforcer(set)?;
        let start = Tick::ZERO + phase;
        let mut at = start;
        for _ in 0..set.calls {
            while let Verdict::Refused(refusal) = enforcer.decide(at) {
                at = refusal.until;
            }
        }
        Ok(at - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets;

    #[test]
    fn the_optimum_is_the_one_of_the_theory() {
        let set = &sets::all().unwrap()[0];
        let of = |name| {
            let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
            kind.optimum(set, Duration::from_secs(7)).unwrap().as_secs()
        };
        // 3600 * floor(199 / 60) + 60 * floor((199 mod 60) / 20), and (200 - 60) calls at one a minute.
        assert_eq!((of("log"), of("log_counting"), of("bucket L")), (10_800, 10_800, 8_400));
    }
}
