//! What an enforcer's own record says of a run: how much it refused before the caller had settled, and after.

use std::fmt;

use crate::process::Ended;
use crate::{CALLS, RUN_MAX};

/// By then a run must have settled: so many calls served.
const SETTLED_BY: usize = CALLS / 3;

/// One call as the enforcer decided it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    /// By the enforcer's own clock, in seconds.
    pub(crate) at_s: f64,
    pub(crate) status: u16,
}

/// The sum of a record. Times are in seconds since the first call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    served: usize,
    refused_before_s: Vec<f64>,
    refused_after_s: Vec<f64>,
    elapsed_s: f64,
}

impl Verdict {
    /// Judges a record in its order.
    #[track_caller]
    pub(crate) fn of(record: &[Decision]) -> Self {
        let mut verdict = Self::default();
        let first_s = record.first().map_or(0.0, |first| first.at_s);
        for decision in record {
            verdict.elapsed_s = decision.at_s - first_s;
            match decision.status {
                200 => verdict.served += 1,
                429 if verdict.served < SETTLED_BY => {
                    verdict.refused_before_s.push(verdict.elapsed_s);
                }
                429 => verdict.refused_after_s.push(verdict.elapsed_s),
                other => panic!("the enforcer answered {other}: {decision:?}"),
            }
        }
        verdict
    }

    /// Prints the figures and demands what the product promises: every row called for in time and none refused once
    /// settled. What the run itself reported must be what the enforcer saw.
    #[track_caller]
    #[expect(clippy::print_stdout, reason = "the figure before settling is asked for")]
    pub(crate) fn demand(&self, enforcer: &str, ended: &Ended) {
        println!("{enforcer}: {self}");
        assert_eq!(self.served, CALLS, "{enforcer}: not done after {RUN_MAX:?}, or called twice");
        assert_eq!((ended.code, ended.count("completed")), (Some(0), CALLS as u64), "{ended:#?}");
        let refused = self.refused_before_s.len() + self.refused_after_s.len();
        assert_eq!(ended.count("throttled"), refused as u64, "{ended:#?}");
        let after_s = &self.refused_after_s;
        assert!(after_s.is_empty(), "{enforcer}: refused once settled, at {after_s:.3?} s");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} served in {:.1} s; refused ", self.served, self.elapsed_s)?;
        write!(f, "{} before settling", self.refused_before_s.len())?;
        if let Some(last_s) = self.refused_before_s.last() {
            write!(f, " (the last at {last_s:.1} s)")?;
        }
        write!(f, ", {} after", self.refused_after_s.len())
    }
}

#[test]
fn a_refusal_is_before_settling_until_a_third_is_served() {
    let decision = |place: usize, status| Decision { at_s: 100.0 + place as f64 / 100.0, status };
    let mut record: Vec<_> = (0..CALLS).map(|place| decision(place, 200)).collect();
    record.insert(SETTLED_BY, decision(SETTLED_BY, 429));
    record.insert(SETTLED_BY - 1, decision(SETTLED_BY - 1, 429));
    record.insert(0, decision(0, 429));
    assert_eq!(
        Verdict::of(&record).to_string(),
        "1000 served in 10.0 s; refused 2 before settling (the last at 3.3 s), 1 after"
    );
}
