//! What arriving with property S buys: every half-open window of a limit holds at most its count. That is accepted by
//! fixed windows of any phase, windows opened by the first call, logs, and buckets of the limit's size; it is not
//! enough for a sliding counter or a smaller bucket.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_lab::{Enforcer, Limit, Policy, Verdict};
use proptest::prelude::*;

use crate::naive::{arrivals, limits};

/// The arrivals without those that would break property S.
fn with_property_s(limits: &[Limit], arrivals: Vec<u64>) -> Vec<u64> {
    let mut kept: Vec<u64> = Vec::new();
    for now in arrivals {
        let has_room = |limit: &Limit| {
            let since = |at: &u64| Duration::from_nanos(now - at);
            let held = kept.iter().filter(|at| since(at) < limit.window()).count() as u64;
            held < limit.count()
        };
        if limits.iter().all(has_room) {
            kept.push(now);
        }
    }
    kept
}

fn refused(limits: &[Limit], policy: &Policy, arrivals: &[u64]) -> usize {
    let mut enforcer = Enforcer::new(limits, policy).unwrap();
    let decide = |&at| enforcer.decide(Tick::from_nanos(at));
    arrivals.iter().map(decide).filter(|verdict| *verdict != Verdict::Accepted).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn is_accepted_by_windows_logs_and_full_buckets(
        (limits, arrivals) in (limits(1), arrivals(1)),
        phase in 0..=90_u64,
    ) {
        let arrivals = with_property_s(&limits, arrivals);
        let fixed = Policy::Fixed { phase: Duration::from_nanos(phase) };
        let policies = [fixed, Policy::FirstCall, Policy::LOG, Policy::LOG_COUNTING, Policy::BUCKET];
        for policy in policies {
            prop_assert_eq!(refused(&limits, &policy, &arrivals), 0, "{}", policy);
        }
    }
}

#[test]
fn is_not_enough_for_a_counter_or_a_smaller_bucket() {
    let limits = [Limit::new(4, Duration::from_nanos(8)).unwrap()];
    let arrivals = [0, 0, 0, 0, 8, 8, 8, 8];
    assert_eq!(with_property_s(&limits, arrivals.to_vec()), arrivals);
    assert_eq!(refused(&limits, &Policy::Counter, &arrivals), 4);
    assert_eq!(refused(&limits, &Policy::Bucket { sizes: vec![3] }, &arrivals), 2);
}

#[test]
fn whole_seconds_are_stricter_by_less_than_two_seconds() {
    let limits = ["1/s".parse().unwrap()];
    let seconds: Policy = "log:seconds".parse().unwrap();
    let second = 1_000_000_000;
    // Counted at 0.9 s, which is second 0; second 1 lies one window back and still weighs, second 2 does not.
    assert_eq!(refused(&limits, &seconds, &[second * 9 / 10, second * 2 - 1]), 1);
    assert_eq!(refused(&limits, &seconds, &[second * 9 / 10, second * 2]), 0);
    // Counted at 0, the same wait is a whole second longer than the exact log's.
    assert_eq!(refused(&limits, &seconds, &[0, second]), 1);
    assert_eq!(refused(&limits, &Policy::LOG, &[0, second]), 0);
}
