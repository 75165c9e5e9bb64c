//! What the judge costs: one decision of each enforcer, and one nearest-airport query.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use divan::{Bencher, black_box};
use paceline_clock::{Random, Tick};
use paceline_lab::{Airports, Enforcer, Limit, Policy, Position};

fn main() {
    divan::main();
}

/// One decision about a call every 100 µs, against 500 per 15 min and 20 per second: mostly refusals.
#[divan::bench(args = ["fixed", "first_call", "log", "log_counting", "counter", "bucket"])]
fn decide(bencher: Bencher<'_, '_>, policy: &str) {
    let limits: Vec<Limit> = ["20/s", "500/15min"].iter().map(|l| l.parse().unwrap()).collect();
    let policy: Policy = policy.parse().unwrap();
    let mut enforcer = Enforcer::new(&limits, &policy).unwrap();
    let mut now = 0;
    bencher.bench_local(move || {
        now += 100_000;
        black_box(enforcer.decide(Tick::from_nanos(now)))
    });
}

/// The nearest airport to a position drawn from the contiguous United States.
#[divan::bench]
fn nearest_other(bencher: Bencher<'_, '_>) {
    let airports = Airports::all();
    let random = Random::seeded(1);
    bencher
        .with_inputs(|| {
            Position::new(25.0 + 24.0 * random.unit(), -124.0 + 57.0 * random.unit()).unwrap()
        })
        .bench_local_values(|position| black_box(airports.nearest_other(position)));
}
