//! Every enforcer against its naive definition, and by hand where a table reads better.

use paceline_clock::Tick;
use paceline_lab::{Enforcer, Limit, Policy, Refusal, Standing, Verdict};
use proptest::prelude::*;

use crate::naive::{Naive, cases};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Verdict, the limit that refuses, the moment it stops refusing, and what is left: all as defined.
    #[test]
    fn every_enforcer_does_what_its_definition_says(case in cases()) {
        let naive = case.naive();
        let mut enforcer = Enforcer::new(&case.limits, &case.policy).unwrap();
        let counts_refused = matches!(case.policy, Policy::Log { counting: true, .. });
        let mut counted = Vec::new();
        for &now in &case.arrivals {
            let accepted = naive.iter().all(|limit| limit.accepts(&counted, now));
            if accepted || counts_refused {
                counted.push(now);
            }
            match enforcer.decide(Tick::from_nanos(now)) {
                Verdict::Accepted => prop_assert!(accepted, "accepted at {now}"),
                Verdict::Refused(refusal) => {
                    prop_assert!(!accepted, "refused at {now}");
                    check_refusal(refusal, &naive, &counted, (now, case.unit_nanos))?;
                }
            }
            for (standing, limit) in enforcer.standing(Tick::from_nanos(now)).zip(&naive) {
                check_standing(standing, limit, &counted, (now, case.unit_nanos))?;
            }
        }
    }
}

fn check_refusal(
    refusal: Refusal,
    naive: &[Naive],
    counted: &[u64],
    (now, unit_nanos): (u64, u64),
) -> Result<(), TestCaseError> {
    let all_accept = |at: u64| naive.iter().all(|limit| limit.accepts(counted, at));
    let until = (1..).map(|step| now + step * unit_nanos).find(|&at| all_accept(at));
    prop_assert_eq!(Some(refusal.until.as_nanos()), until, "refused at {}", now);
    let just_before = refusal.until.as_nanos() - unit_nanos;
    prop_assert!(!naive[refusal.limit].accepts(counted, just_before), "limit {}", refusal.limit);
    Ok(())
}

fn check_standing(
    standing: Standing,
    limit: &Naive,
    counted: &[u64],
    (now, unit_nanos): (u64, u64),
) -> Result<(), TestCaseError> {
    prop_assert_eq!(standing.remaining, limit.remaining(counted, now), "left at {}", now);
    let clear_at = standing.clear_at.as_nanos();
    prop_assert_eq!(limit.remaining(counted, clear_at), limit.size(), "clear at {}", clear_at);
    let too_early =
        clear_at > now && limit.remaining(counted, clear_at - unit_nanos) == limit.size();
    prop_assert!(!too_early, "clear before {}", clear_at);
    Ok(())
}

/// What an enforcer says to arrivals at these milliseconds: `+` for accepted, else the ms it refuses until.
fn said(policy: &str, limits: &[&str], arrivals_ms: &[u64]) -> String {
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    let mut enforcer = Enforcer::new(&limits, &policy.parse().unwrap()).unwrap();
    let mut words = Vec::new();
    for &ms in arrivals_ms {
        words.push(match enforcer.decide(Tick::from_millis(ms)) {
            Verdict::Accepted => "+".to_owned(),
            Verdict::Refused(Refusal { limit, until }) => {
                format!("{limit}:{}", until.as_nanos() as f64 / 1e6)
            }
        });
    }
    words.join(" ")
}

#[test]
fn each_policy_in_one_line() {
    let arrivals = [900, 900, 900, 1000, 1899, 1900, 2000];
    let cases = [
        // Two per second. The same arrivals are seven different stories.
        ("fixed", "+ + 0:1000 + + 0:2000 +"),
        ("fixed:500", "+ + 0:1500 0:1500 + + 0:2500"),
        ("first_call", "+ + 0:1900 0:1900 0:1900 + +"),
        ("log", "+ + 0:1900 0:1900 0:1900 + +"),
        ("log_counting", "+ + 0:1900 0:1900 0:2000 0:2899 0:2900"),
        ("log:seconds", "+ + 0:2000 0:2000 0:2000 0:2000 +"),
        ("bucket", "+ + 0:1400 0:1400 + + 0:2400"),
        ("bucket:1", "+ 0:1400 0:1400 0:1400 + 0:2399 0:2399"),
    ];
    for (policy, expected) in cases {
        assert_eq!(said(policy, &["2/s"], &arrivals), expected, "{policy}");
    }
    // Two in the last second weigh 2 at 1000, and less than 2 a nanosecond later; less than 1 just after 1500.
    let counter = said("counter", &["2/s"], &[900, 900, 1000, 1001, 1002, 1501, 1501, 2500]);
    assert_eq!(counter, "+ + 0:1000.000001 + 0:1500.000001 + 0:2000.000001 +");
}

#[test]
fn all_limits_accept_or_none_is_charged() {
    // The hour refuses the third call; had the second been charged for it, the fourth would be refused by the second.
    let limits = ["2/s", "2/h"];
    assert_eq!(said("log", &limits, &[0, 0, 2000, 2000]), "+ + 1:3600000 1:3600000");
    // A vendor that counts refused calls counts them in every limit: the two refusals by the second fill the five.
    let said = said("log_counting", &["1/s", "3/5s"], &[0, 500, 1400, 2400]);
    assert_eq!(said, "+ 0:1500 1:5000 1:5500");
}

#[test]
fn time_that_goes_back_counts_as_the_latest_seen() {
    assert_eq!(said("log", &["1/s"], &[5000, 0, 4000, 6000]), "+ 0:6000 0:6000 +");
}

#[test]
fn the_ends_of_time_and_size_do_not_overflow() {
    let limits = ["1/s".parse().unwrap(), "10000000/366d".parse().unwrap()];
    for policy in ["fixed:7", "first_call", "log", "log:seconds", "counter", "bucket:10000000"] {
        let mut enforcer = Enforcer::new(&limits, &policy.parse().unwrap()).unwrap();
        for at in [Tick::ZERO, Tick::from_nanos(u64::MAX - 1), Tick::NEVER, Tick::NEVER] {
            enforcer.decide(at);
            assert_eq!(enforcer.standing(at).count(), 2, "{policy}");
        }
    }
}

#[test]
fn too_many_limits_are_refused() {
    let limits = vec!["1/s".parse().unwrap(); 17];
    let error = Enforcer::new(&limits, &Policy::LOG).unwrap_err().to_string();
    assert!(error.contains("17 limits") && error.contains("at most 16"), "{error}");
}

#[test]
fn reset_forgets_every_call() {
    let mut enforcer = Enforcer::new(&["1/h".parse().unwrap()], &Policy::LOG).unwrap();
    assert_eq!(enforcer.decide(Tick::ZERO), Verdict::Accepted);
    assert_ne!(enforcer.decide(Tick::ZERO), Verdict::Accepted);
    enforcer.reset();
    assert_eq!(enforcer.decide(Tick::ZERO), Verdict::Accepted);
}
