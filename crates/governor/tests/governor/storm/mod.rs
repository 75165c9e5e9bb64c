//! Spec G8: after a storm of refusals the rate is soon what it was, and a vendor whose limit is lower than configured is asked
//! for more ever more seldom.

mod drive;

use std::time::Duration;

use paceline_governor::Shape;
use paceline_lab::Policy;

use drive::{Done, Job};

const SHAPES: [Shape; 2] = [Shape::Auto, Shape::Burst];

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Jobs whose vendor storms: the limit, the calls, and from when on for how long.
fn stormy() -> impl Iterator<Item = (Job, Duration)> {
    let jobs = [("500/min", 200), ("500/min", 1_000), ("10/s", 200), ("10/s", 1_000)];
    let storms = [(0, 20), (0, 60), (10, 20), (30, 60)];
    let asked = [None, Some(s(2))];
    let jobs = jobs.into_iter().flat_map(|(limit, calls)| {
        SHAPES.map(|shape| Job { limit, truth: limit, shape, calls, ..Job::default() })
    });
    jobs.flat_map(move |job| {
        storms.into_iter().flat_map(move |(from, lasts)| {
            let storm = (s(from), s(from + lasts), 1.0);
            let job = job.clone();
            asked.map(move |asks| (Job { storm, asks, ..job.clone() }, s(lasts)))
        })
    })
}

/// By how much the storm made the job later.
fn late(job: &Job) -> (Done, Duration) {
    let calm = Job { storm: (s(0), s(0), 0.0), ..job.clone() }.run();
    let done = job.run();
    (done, done.took.saturating_sub(calm.took))
}

#[test]
fn a_storm_makes_a_job_later_by_no_more_than_itself_and_a_minute() {
    for (job, lasts) in stormy() {
        let (done, late) = late(&job);
        assert!(late <= lasts + s(60), "late by {late:?}, {done:?}: {job:?}");
    }
}

/// Where some calls come through nobody can tell a storm from a lower limit before it is over.
#[test]
fn a_storm_that_lets_some_calls_through_makes_a_job_later_by_no_more_than_itself_and_three_minutes()
{
    for (job, lasts) in stormy() {
        for share in [0.5, 0.1] {
            let (from, until, _) = job.storm;
            let (done, late) = late(&Job { storm: (from, until, share), ..job.clone() });
            assert!(late <= lasts + s(180), "late by {late:?}, {done:?}: {share} of {job:?}");
        }
    }
}

#[test]
fn a_storm_costs_few_calls() {
    for (job, lasts) in stormy() {
        let Done { refused, .. } = job.run();
        // What is under way at once, twice; then one call alone for each pause.
        let most = 2 * u64::from(job.concurrent_max) + lasts.as_secs() + 10;
        assert!(refused <= most, "{refused} refused, at most {most}: {job:?}");
    }
}

/// By how the vendor enforces its limit.
type Refused = [(Policy, [u64; 2]); 4];

/// What a vendor of half the configured limit refused within two hours before storms were told from lower limits, with shape
/// `auto` and `burst`: half of the window was lost with every refusal, and it came back ever more slowly.
const REFUSED_BEFORE: [(&str, &str, Refused); 2] = [
    (
        "500/min",
        "250/min",
        [
            (Policy::LOG, [51, 32]),
            (Policy::FIXED, [44, 34]),
            (Policy::BUCKET, [28, 26]),
            (Policy::Counter, [28, 24]),
        ],
    ),
    (
        "10/s",
        "5/s",
        [
            (Policy::LOG, [24, 26]),
            (Policy::FIXED, [30, 29]),
            (Policy::BUCKET, [6, 29]),
            (Policy::Counter, [26, 30]),
        ],
    ),
];

#[test]
fn a_vendor_of_half_the_limit_refuses_no_more_calls_than_before() {
    for (limit, truth, policies) in REFUSED_BEFORE {
        for (policy, before) in policies {
            for (shape, before) in SHAPES.into_iter().zip(before) {
                // A counter lets a call through now and then while it refuses, as a storm may, so it is asked more often.
                // Of the others one call in ten is chance: each refusal moves all that come after it.
                let tenth = before.div_ceil(10);
                let most = if policy == Policy::Counter { before * 4 / 3 } else { before + tenth };
                let (policy, deadline) = (policy.clone(), s(2 * 3_600));
                let job = Job { limit, truth, shape, policy, deadline, ..Job::default() };
                let Done { refused, accepted, .. } = job.run();
                assert!(refused <= most, "{refused} refused, {most} at most: {job:?}");
                let least = if job.policy == Policy::Counter { 15_000 } else { 17_000 };
                assert!(accepted >= least, "{accepted} accepted: {job:?}");
            }
        }
    }
}
