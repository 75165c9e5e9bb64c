//! Spec G14: the plan is the optimum of limiter-theory.md, `T*(N) = max { sum k_j W_j : sum k_j L_j <= N-1 }`.

use std::time::Duration;

use paceline_governor::{Limit, PlanError, PlanRequest, plan, plan_after};
use proptest::prelude::*;

fn request(calls: u64, limits: &[&str]) -> PlanRequest {
    let limits = limits.iter().map(|text| text.parse().unwrap()).collect();
    PlanRequest { calls, limits, concurrency: None, service: Duration::ZERO }
}

/// The formula, by dynamic programming over the calls: an unbounded knapsack.
fn optimum_ms(calls: u64, limits: &[Limit]) -> u64 {
    let room = calls.saturating_sub(1) as usize;
    let mut best = vec![0_u64; room + 1];
    for used in 1..=room {
        best[used] = best[used - 1];
        for limit in limits {
            let count = limit.count() as usize;
            if count <= used {
                best[used] = best[used].max(best[used - count] + limit.window().as_millis() as u64);
            }
        }
    }
    best[room]
}

#[test]
fn calls_made_before_hold_their_slots_until_they_leave() {
    let seconds = |ages: &[u64]| -> Vec<Duration> {
        ages.iter().map(|age| Duration::from_secs(*age)).collect()
    };
    let cases: [(u64, &[u64], f64, f64); 6] = [
        (2, &[], 0.0, 0.0),
        (1, &[59, 1], 1_000.0, 1_000.0),
        (2, &[59, 1], 1_000.0, 59_000.0),
        (3, &[1, 59], 1_000.0, 61_000.0),
        (2, &[3_000, 60], 0.0, 0.0),
        (0, &[1, 1], 0.0, 0.0),
    ];
    for (calls, ages, first, last) in cases {
        let planned = plan_after(&request(calls, &["2/min"]), &seconds(ages)).unwrap();
        assert_eq!(
            (planned.first_start_ms, planned.last_start_ms),
            (first, last),
            "{calls} {ages:?}"
        );
    }
}

#[test]
fn the_figures_of_the_theory() {
    let hex = ["20/min", "60/h"];
    let cases = [
        (0, 0.0, None),
        (1, 0.0, None),
        (20, 0.0, None),
        (21, 60_000.0, Some("20/min")),
        (60, 120_000.0, Some("20/min")),
        (61, 3_600_000.0, Some("60/h")),
        (81, 3_660_000.0, Some("60/h")),
        (200, 10_800_000.0, Some("60/h")),
        (600, 32_520_000.0, Some("60/h")),
        (1_000, 57_660_000.0, Some("60/h")),
    ];
    for (calls, last_start_ms, binding) in cases {
        let plan = plan(&request(calls, &hex)).unwrap();
        assert_eq!(plan.last_start_ms, last_start_ms, "{calls}");
        assert_eq!(plan.binding_limit.as_deref(), binding, "{calls}");
    }
}

#[test]
fn concurrency_and_service_time_are_one_more_limit() {
    let mut request = request(100, &["1000/s"]);
    request.concurrency = Some(5);
    request.service = Duration::from_millis(300);
    let planned = plan(&request).unwrap();
    assert_eq!((planned.last_start_ms, planned.end_ms), (5_700.0, 6_000.0));
    assert_eq!(planned.binding_limit.as_deref(), Some("concurrency"));
    request.concurrency = Some(0);
    assert_eq!(plan(&request), Err(PlanError::NoConcurrency));
    request.calls = u64::MAX;
    assert!(matches!(plan(&request), Err(PlanError::TooManyCalls { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_plan_is_the_optimum(
        calls in 1_u64..400,
        limits in prop::collection::vec((1_u32..50, 1_u64..5_000), 1..5),
    ) {
        let limits: Vec<Limit> = limits
            .into_iter()
            .map(|(count, window_ms)| Limit::new(count, Duration::from_millis(window_ms)).unwrap())
            .collect();
        let wanted = optimum_ms(calls, &limits);
        let planned = plan(&PlanRequest { calls, limits, concurrency: None, service: Duration::ZERO }).unwrap();
        prop_assert_eq!(planned.last_start_ms, wanted as f64);
    }
}
