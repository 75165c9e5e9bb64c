//! After a POST without a clean answer: which run is ours? Decided purely, from listings. What cannot be told is for a person,
//! and nothing is ever sent again on the strength of "not seen yet".

use std::time::Duration;

use paceline_clock::Timestamp;

use crate::{Run, RunId};

/// What listings say so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// This run is ours.
    Ours(Run),
    /// Not clear yet: list again.
    Wait,
    /// No run appeared.
    None,
    /// It may be any of these.
    Several(Vec<RunId>),
}

/// One POST that is being reconciled.
#[derive(Clone, Debug)]
pub(crate) struct Reconcile {
    /// Runs that were there before.
    pub(crate) baseline: Vec<RunId>,
    pub(crate) sent_at: Timestamp,
    pub(crate) clock_skew_max: Duration,
    /// The one run that could be ours at the last listing.
    candidate: Option<RunId>,
}

impl Reconcile {
    pub(crate) fn new(baseline: Vec<RunId>, sent_at: Timestamp, clock_skew_max: Duration) -> Self {
        Self { baseline, sent_at, clock_skew_max, candidate: None }
    }

    /// Runs that could be ours: not there before, no other job's, and not begun before the POST.
    fn candidates<'r>(&self, runs: &'r [Run], is_own: impl Fn(&RunId) -> bool) -> Vec<&'r Run> {
        let earliest = self.sent_at.before(self.clock_skew_max);
        let mut found: Vec<&Run> = Vec::new();
        for run in runs {
            let new = !self.baseline.contains(&run.run_id) && !is_own(&run.run_id);
            let after = run.start_time.is_none_or(|start| start >= earliest);
            // Pages shift while they are read: a run may be on two of them.
            if new && after && !found.iter().any(|other| other.run_id == run.run_id) {
                found.push(run);
            }
        }
        found
    }

    /// What this listing says. A single candidate has to be there in two listings, or in the last one: another may turn up
    /// meanwhile. `rivals`: unsettled POSTs of others, made no earlier, whose runs nobody could tell from ours.
    pub(crate) fn listed(
        &mut self,
        runs: &[Run],
        is_own: impl Fn(&RunId) -> bool,
        rivals: usize,
        last: bool,
    ) -> Finding {
        let candidates = self.candidates(runs, is_own);
        match candidates.as_slice() {
            [] if last => Finding::None,
            [] => {
                self.candidate = None;
                Finding::Wait
            }
            [one] if rivals == 0 => {
                let again = self.candidate.replace(one.run_id.clone()) == Some(one.run_id.clone());
                if again || last { Finding::Ours((*one).clone()) } else { Finding::Wait }
            }
            [_] if !last => Finding::Wait,
            several => Finding::Several(several.iter().map(|run| run.run_id.clone()).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> RunId {
        RunId(name.to_owned())
    }

    /// `name` or `name@start`, in seconds since 1970.
    fn runs(names: &[&str]) -> Vec<Run> {
        let run = |name: &&str| {
            let (name, start) = name.split_once('@').map_or((*name, None), |(n, s)| (n, Some(s)));
            let start = start.map(|at| jiff::Timestamp::from_second(at.parse().unwrap()).unwrap());
            let start = start.map(|start| start.to_string());
            let json = serde_json::json!({"runId": name, "status": "RUNNING", "startTime": start});
            serde_json::from_value(json).unwrap()
        };
        names.iter().map(run).collect()
    }

    fn reconcile() -> Reconcile {
        let skew = Duration::from_secs(120);
        Reconcile::new(vec![id("old")], Timestamp::from_seconds(1_000), skew)
    }

    /// What each of these listings says; `own` is another job's run.
    fn findings(listings: &[&[&str]], rivals: usize) -> Vec<String> {
        let mut reconcile = reconcile();
        let own = |run: &RunId| *run == id("own");
        let last = listings.len() - 1;
        let one = |(at, names): (usize, &&[&str])| match reconcile.listed(
            &runs(names),
            own,
            rivals,
            at == last,
        ) {
            Finding::Ours(run) => format!("ours {}", run.run_id),
            Finding::Wait => "wait".to_owned(),
            Finding::None => "none".to_owned(),
            Finding::Several(ids) => format!("several {}", ids.len()),
        };
        listings.iter().enumerate().map(one).collect()
    }

    #[test]
    fn one_new_run_in_two_listings_or_in_the_last_is_ours() {
        let old: &[&str] = &["own", "old"];
        let new: &[&str] = &["a", "own", "old"];
        let cases: [(&[&[&str]], &[&str]); 9] = [
            (&[new, new, new], &["wait", "ours a", "ours a"]),
            (&[old, new, new], &["wait", "wait", "ours a"]),
            (&[old, old, new], &["wait", "wait", "ours a"]),
            (&[old, old, old], &["wait", "wait", "none"]),
            (&[new], &["ours a"]),
            (&[&["a"], &["b"], &["b"]], &["wait", "wait", "ours b"]),
            (&[&["a", "b"], old], &["several 2", "none"]),
            (&[new, &["a", "b", "old"]], &["wait", "several 2"]),
            (&[&["a", "a", "old"], &["a"]], &["wait", "ours a"]),
        ];
        for (listings, wanted) in cases {
            assert_eq!(findings(listings, 0), wanted, "{listings:?}");
        }
    }

    #[test]
    fn a_run_that_began_before_the_post_is_not_ours() {
        let cases: [(&[&str], &str); 3] = [
            (&["a@879", "old"], "none"),
            (&["a@880", "old"], "ours a"),
            (&["a@879", "b"], "ours b"),
        ];
        for (listing, wanted) in cases {
            assert_eq!(findings(&[listing], 0), [wanted], "{listing:?}");
        }
    }

    #[test]
    fn with_a_rival_even_a_single_run_is_for_a_person() {
        assert_eq!(findings(&[&["a"], &["a"]], 1), ["wait", "several 1"]);
        assert_eq!(findings(&[&["old"], &["old"]], 1), ["wait", "none"]);
    }
}
