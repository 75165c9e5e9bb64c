//! What the properties share: budgets without a breaker, property S on the vendor's clock, and the theory's schedule.

mod reference;
mod travel;

use std::time::Duration;

use paceline_clock::{Clock, Random, Tick};
use paceline_governor::{BreakerConfig, BudgetConfig, Guard, Limit, Shape};
use proptest::prelude::*;

pub(crate) use reference::{Reference, Ride, recursion};
pub(crate) use travel::{Fate, Journey, travel};

/// The vendor's clock may run this much slower than ours: as a fraction, 500 ppm.
const DRIFT: (u128, u128) = (2_001, 2_000);

pub(crate) fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Up to three limits of few calls per short window, so that every one of them binds somewhere.
pub(crate) fn any_limits() -> impl Strategy<Value = Vec<Limit>> {
    let limit = (1_u32..8, 20_u64..2_000)
        .prop_map(|(count, ms)| Limit::new(count, Duration::from_millis(ms)).unwrap());
    prop::collection::vec(limit, 1..4)
}

/// A budget whose breaker never trips: these properties are about rates.
pub(crate) fn config(
    limits: impl IntoIterator<Item = Limit>,
    shape: Shape,
    guard: Guard,
) -> BudgetConfig {
    let breaker = BreakerConfig {
        calls_min: u32::MAX,
        credentials_refused_max: u32::MAX,
        ..BreakerConfig::default()
    };
    BudgetConfig { shape, guard, breaker, ..BudgetConfig::new(limits) }
}

/// No job in these tests lasts as long: who waits until then waits for ever.
const FOREVER: Duration = Duration::from_secs(100 * 24 * 3_600);

/// What all callers came back with. Fails instead of hanging if one waits for something that nobody will do.
pub(crate) async fn all<T>(clock: &Clock, callers: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for caller in callers {
        tokio::select! {
            result = caller => results.push(result.unwrap()),
            () = clock.sleep(FOREVER) => panic!("a caller waits for ever"),
        }
    }
    results
}

/// Evenly drawn from 0 up to `most`, to the nanosecond: no two events fall together by chance.
pub(crate) fn draw(random: &Random, most: Duration) -> Duration {
    Duration::from_nanos(random.next_u64() % (most.as_nanos() as u64 + 1))
}

/// True with this chance.
pub(crate) fn chance(random: &Random, chance: f64) -> bool {
    random.unit() < chance
}

/// How long a clock that runs 500 ppm fast takes for what lasts `length` on the vendor's.
pub(crate) fn with_drift(length: Duration) -> Duration {
    let (ours, vendors) = DRIFT;
    Duration::from_nanos((length.as_nanos() * ours / vendors) as u64)
}

/// Whether less than `window` of the slowest vendor's time lies between two of our moments.
pub(crate) fn inside(first: Tick, last: Tick, window: Duration) -> bool {
    let (ours, vendors) = DRIFT;
    (last - first).as_nanos() * vendors < window.as_nanos() * ours
}

/// Property S: every half-open interval as long as the window holds at most `count` of the arrivals, on a vendor's clock
/// that runs 500 ppm slower than ours.
pub(crate) fn assert_property_s(arrivals: &[Tick], limit: &Limit) -> Result<(), TestCaseError> {
    let weighed: Vec<(Tick, u32)> = arrivals.iter().map(|at| (*at, 1)).collect();
    assert_weights_fit(&weighed, limit)
}

/// Property S for what the calls weigh.
pub(crate) fn assert_weights_fit(
    arrivals: &[(Tick, u32)],
    limit: &Limit,
) -> Result<(), TestCaseError> {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_unstable();
    let (mut first, mut weight) = (0, 0_u64);
    for (at, heavy) in &arrivals {
        weight += u64::from(*heavy);
        while !inside(arrivals[first].0, *at, limit.window()) {
            weight -= u64::from(arrivals[first].1);
            first += 1;
        }
        prop_assert!(
            weight <= u64::from(limit.count()),
            "{limit}: {weight} from {:?} to {at:?}",
            arrivals[first].0
        );
    }
    Ok(())
}
