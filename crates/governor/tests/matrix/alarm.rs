//! The instrument itself: what is known to be refused is seen to be refused, and a run can be repeated.

use std::time::Duration;

use paceline_governor::Shape;

use crate::drive::run;
use crate::scenario::{Case, Enforcement, Guarding, Latency, RetryAfter, VENDORS};

/// 200 calls on 20/min + 60/h over a network with a heavy tail, as in the table of limiter-theory.md.
fn case(enforcement: Enforcement, guarding: Guarding) -> Case {
    Case {
        vendor: &VENDORS[0],
        enforcement,
        latency: Latency::HeavyTail,
        shape: Shape::Burst,
        guarding,
        retry_after: RetryAfter::WholeSeconds,
        calls: 200,
        run: 3,
    }
}

#[test]
fn a_stamp_at_the_sending_is_refused_by_a_log_and_one_at_the_answer_is_not() {
    let at_sending = Guarding::Fixed(Duration::ZERO);
    let refused = |enforcement, guarding| run(&case(enforcement, guarding)).refused;
    assert!(refused(Enforcement::Log, at_sending) > 0);
    assert!(refused(Enforcement::LogCounting, at_sending) > 0);
    assert_eq!(refused(Enforcement::Log, Guarding::Strict), 0);
}

#[test]
fn property_s_is_not_enough_for_a_counter_or_a_small_bucket() {
    for enforcement in [Enforcement::Counter, Enforcement::SmallBucket] {
        assert!(run(&case(enforcement, Guarding::Strict)).refused > 0, "{}", enforcement.name());
    }
}

#[test]
fn a_job_that_is_told_nothing_ends_too() {
    for retry_after in [RetryAfter::None, RetryAfter::WholeSeconds, RetryAfter::Exact] {
        let case = Case { retry_after, ..case(Enforcement::Counter, Guarding::Strict) };
        let run = run(&case);
        assert!(run.ended && run.refused > 0, "{retry_after:?}: {} refused", run.refused);
        assert_eq!(run.sent.len() as u64, 200 + run.refused);
    }
}

#[test]
fn the_same_case_is_the_same_run() {
    let case = case(Enforcement::Counter, Guarding::AutoTold);
    assert_eq!(run(&case).sent, run(&case).sent);
    assert_ne!(run(&case).sent, run(&Case { run: 4, ..case }).sent);
}
