//! The zoo defined a second time, straight from the words and without any state: what a limit says follows from the
//! list of the calls it has counted.

use std::time::Duration;

use paceline_lab::{Limit, Policy};
use proptest::prelude::*;

const SECOND: u128 = 1_000_000_000;

/// A limit under a policy, in the place it has among the limits.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    pub(crate) policy: Policy,
    pub(crate) limit: Limit,
    pub(crate) place: usize,
}

impl Naive {
    /// Whether a call at `now` is accepted after the `counted` ones.
    pub(crate) fn accepts(&self, counted: &[u64], now: u64) -> bool {
        let (most, window) = (self.limit.count(), self.limit.window().as_nanos());
        let inside = |weighs: &dyn Fn(u64) -> bool| {
            (counted.iter().filter(|&&at| weighs(at)).count() as u64) < most
        };
        match &self.policy {
            Policy::Fixed { phase } => {
                let index = |at: u64| {
                    (i128::from(at) - phase.as_nanos() as i128).div_euclid(window as i128)
                };
                inside(&|at| index(at) == index(now))
            }
            Policy::FirstCall => {
                let mut opened: Option<u64> = None;
                for &at in counted {
                    if opened.is_none_or(|opened| u128::from(at - opened) >= window) {
                        opened = Some(at);
                    }
                }
                let current = opened.filter(|opened| u128::from(now - opened) < window);
                current.is_none_or(|opened| inside(&|at| at >= opened))
            }
            Policy::Log { seconds: false, .. } => inside(&|at| u128::from(now - at) < window),
            Policy::Log { seconds: true, .. } => inside(&|at| {
                let whole_second = |at: u64| u128::from(at) / SECOND * SECOND;
                whole_second(now) - whole_second(at) <= window
            }),
            Policy::Counter => {
                let index = |at: u64| u128::from(at) / window;
                let held =
                    |wanted| counted.iter().filter(|&&at| index(at) == wanted).count() as u128;
                let earlier = index(now).checked_sub(1).map_or(0, held);
                let rest = window - u128::from(now) % window;
                earlier * rest / window + held(index(now)) < u128::from(most)
            }
            Policy::Bucket { .. } => {
                // A call fits if no stretch of calls that ends with it is longer than the bucket and what flowed in.
                let fits = |calls: u128, since: u64| {
                    let flowed_in = u128::from(now - since) * u128::from(most);
                    calls * window <= u128::from(self.size()) * window + flowed_in
                };
                let stretches = counted.iter().rev().zip(2..);
                fits(1, now) && stretches.into_iter().all(|(&since, calls)| fits(calls, since))
            }
        }
    }

    /// How many calls are accepted at `now` at once.
    pub(crate) fn remaining(&self, counted: &[u64], now: u64) -> u64 {
        let mut counted = counted.to_vec();
        let before = counted.len();
        while self.accepts(&counted, now) {
            counted.push(now);
        }
        (counted.len() - before) as u64
    }

    /// How many calls it accepts at once when it has counted none.
    pub(crate) fn size(&self) -> u64 {
        match &self.policy {
            Policy::Bucket { sizes } => {
                let size = sizes.get(self.place).or(sizes.first());
                size.copied().unwrap_or(self.limit.count())
            }
            _ => self.limit.count(),
        }
    }
}

/// A zoo, and arrivals for it. Everything is a multiple of `unit_nanos`, so that a search in steps of it is exact.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) policy: Policy,
    pub(crate) limits: Vec<Limit>,
    pub(crate) arrivals: Vec<u64>,
    pub(crate) unit_nanos: u64,
}

impl Case {
    pub(crate) fn naive(&self) -> Vec<Naive> {
        let of_limit = |(place, limit): (usize, &Limit)| Naive {
            policy: self.policy.clone(),
            limit: *limit,
            place,
        };
        self.limits.iter().enumerate().map(of_limit).collect()
    }
}

/// One to three limits of up to 5 calls in up to 40 units.
pub(crate) fn limits(unit_nanos: u64) -> impl Strategy<Value = Vec<Limit>> {
    let limit = (1..=5_u64, 1..=40_u64).prop_map(move |(count, window)| {
        Limit::new(count, Duration::from_nanos(window * unit_nanos)).unwrap()
    });
    prop::collection::vec(limit, 1..=3)
}

/// Arrivals in order, many of them at the same moment, a few far apart.
pub(crate) fn arrivals(unit_nanos: u64) -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![4 => Just(0), 6 => 0..=6_u64, 3 => 0..=40_u64, 1 => 0..=130_u64];
    prop::collection::vec(gap, 1..60).prop_map(move |gaps| {
        let mut now = 0;
        gaps.iter()
            .map(|gap| {
                now += gap * unit_nanos;
                now
            })
            .collect()
    })
}

/// Any policy with any limits and arrivals.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let policy = prop_oneof![
        (0..=90_u64).prop_map(|nanos| Policy::Fixed { phase: Duration::from_nanos(nanos) }),
        Just(Policy::FirstCall),
        (any::<bool>(), any::<bool>())
            .prop_map(|(counting, seconds)| Policy::Log { counting, seconds }),
        Just(Policy::Counter),
        Just(Policy::BUCKET),
        (1..=8_u64).prop_map(|size| Policy::Bucket { sizes: vec![size] }),
    ];
    policy.prop_flat_map(|policy| {
        // Whole seconds need windows of seconds; everything else is as well tested on nanoseconds.
        let seconds = matches!(policy, Policy::Log { seconds: true, .. });
        let unit_nanos = if seconds { 100_000_000 } else { 1 };
        (limits(unit_nanos), arrivals(unit_nanos)).prop_map(move |(limits, arrivals)| Case {
            policy: policy.clone(),
            limits,
            arrivals,
            unit_nanos,
        })
    })
}
