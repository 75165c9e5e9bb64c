//! Spec G8: after a storm of refusals the rate is soon what it was; a vendor whose limit is lower than configured is asked
//! for more ever more seldom.

mod drive;

use std::time::Duration;

use paceline_governor::Shape;
use paceline_lab::Policy;

use drive::Job;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn table() {
    for (limit, calls) in [("500/min", 200), ("500/min", 1_000), ("500/min", 2_000), ("10/s", 200), ("10/s", 1_000), ("60/h", 60), ("60/h", 120), ("100/s", 2000)] {
        for (from, lasts) in [(0, 20), (0, 60), (10, 20), (30, 60), (5, 600)] {
            for share in [1.0, 0.5, 0.1] {
                for shape in [Shape::Auto, Shape::Burst] {
                    for asks in [None, Some(s(2))] {
                        if asks.is_some() && shape == Shape::Burst { continue; }
                        let calm = Job { limit, truth: limit, shape, calls, ..Job::default() };
                        let job = Job { storm: (s(from), s(from + lasts), share), asks, ..calm.clone() };
                        let (calm, done) = (calm.run(), job.run());
                        let late = done.took.as_secs_f64() - calm.took.as_secs_f64();
                        println!("{limit} {calls} storm {share} {from}+{lasts} {} asks {:?}: refused {} calm {:.0} took {:.0} late {:.0} {}",
                            shape.as_str(), asks.map(|a| a.as_secs()), done.refused, calm.took.as_secs_f64(), done.took.as_secs_f64(), late,
                            if late > lasts as f64 + 60.0 { "BAD" } else { "" });
                    }
                }
            }
        }
    }
}

#[test]
fn lower() {
    for (limit, truths) in [
        ("500/min", ["50/min", "100/min", "250/min", "400/min"]),
        ("10/s", ["1/s", "2/s", "5/s", "8/s"]),
        ("60/h", ["6/h", "12/h", "30/h", "48/h"]),
    ] {
        for truth in truths {
            for policy in [Policy::LOG, Policy::LOG_COUNTING, Policy::FIXED, Policy::Counter, Policy::BUCKET] {
                for shape in [Shape::Auto, Shape::Burst] {
                    let mut refused = [0, 0];
                    let mut accepted = 0;
                    for seed in 0..4 {
                        let job = Job { limit, truth, shape, policy: policy.clone(), seed,
                            phase: Duration::from_millis(13_377 * seed), deadline: s(if limit == "60/h" { 24 * 3600 } else { 3_600 }), ..Job::default() };
                        let done = job.run();
                        refused[0] += done.refused;
                        refused[1] += done.refused_late;
                        accepted += done.accepted;
                    }
                    println!("{limit} true {truth} {policy} {}: refused {} late {} accepted {}", shape.as_str(), refused[0] / 4, refused[1] / 4, accepted / 4);
                }
            }
        }
    }
}

#[test]
fn others() {
    for (limit, other) in [("500/min", 240), ("500/min", 1000), ("10/s", 200), ("10/s", 1000)] {
        for policy in [Policy::LOG, Policy::FIXED, Policy::BUCKET] {
            for shape in [Shape::Auto, Shape::Burst] {
                let job = Job { limit, truth: limit, shape, policy: policy.clone(), deadline: s(3_600), other: Some(Duration::from_millis(other)), ..Job::default() };
                let done = job.run();
                println!("{limit} other each {other} ms {policy} {}: refused {} late {} accepted {}", shape.as_str(), done.refused, done.refused_late, done.accepted);
            }
        }
    }
}

#[test]
fn one() {
    let shape = if std::env::var_os("BURST").is_some() { Shape::Burst } else { Shape::Auto };
    let of = |name: &str| std::env::var(name).unwrap();
    let n = |name: &str| of(name).parse::<u64>().unwrap();
    let limit: &'static str = of("LIMIT").leak();
    let truth: &'static str = of("TRUTH").leak();
    let policy: Policy = of("POLICY").parse().unwrap();
    let job = Job { limit, truth, shape, calls: n("CALLS"), policy, deadline: s(n("DEADLINE")), storm: (s(n("FROM")), s(n("FROM") + n("LASTS")), of("SHARE").parse().unwrap()), ..Job::default() };
    println!("{:?}", job.run());
}
