//! Spec G1, G3, G4: nothing is ever early (property S), and nothing is ever late (no waiter waits once its slot is free).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Random, SimClock, Tick};
use paceline_governor::{Budget, BudgetConfig, Guard, PlanRequest, Shape, plan};
use proptest::prelude::*;

use crate::support::{
    Fate, Journey, Reference, Ride, all, any_limits, assert_property_s, config, recursion, travel,
};

/// What became of a job: the callers that were granted in the order of their joining, and the arrivals at the vendor.
struct Job {
    rides: Vec<Ride>,
    /// The callers by their places in the order of joining, in the order of their grants.
    order: Vec<usize>,
    arrivals: Vec<Tick>,
}

/// Callers that all share one budget, in virtual time.
fn run(config: BudgetConfig, journeys: Vec<Journey>) -> Job {
    SimClock::new().run(|clock| async move {
        let budget = Budget::new(config, clock.clone()).unwrap();
        let vendor = Arc::new(Mutex::new(Vec::new()));
        let callers: Vec<_> = journeys
            .into_iter()
            .map(|journey| {
                let (budget, clock, vendor) = (budget.clone(), clock.clone(), Arc::clone(&vendor));
                tokio::spawn(async move { travel(&budget, &clock, journey, &vendor).await })
            })
            .collect();
        let mut rides: Vec<Ride> = all(&clock, callers).await.into_iter().flatten().collect();
        assert_eq!(budget.status().in_flight, 0, "every place is given back");
        // Callers that start at one moment join in the order in which they were made; the sort keeps it.
        rides.sort_by_key(|ride| ride.joined);
        let mut order: Vec<usize> = (0..rides.len()).collect();
        order.sort_by_key(|number| rides[*number].granted);
        let arrivals = vendor.lock().unwrap().iter().map(|(at, _)| *at).collect();
        Job { rides, order, arrivals }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn property_s_holds_for_any_limits_arrivals_cancels_and_failures(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..60,
        // Without delay nothing hides the drift of the clocks.
        delay_ms in prop_oneof![Just(0), 0_u64..500],
        shape in prop::sample::select(Shape::ALL.to_vec()),
        strict in any::<bool>(),
        concurrent_max in prop::option::of(1_u32..5),
        starts_ms in 0_u64..4_000,
    ) {
        let delay = Duration::from_millis(delay_ms);
        // A bound that the network keeps is as good as strictness.
        let guard = if strict { Guard::Strict } else { Guard::Fixed(delay) };
        let config = BudgetConfig { concurrent_max, ..config(limits.clone(), shape, guard) };
        let random = Random::seeded(seed);
        let any = |_| Journey::any(&random, Duration::from_millis(starts_ms), delay);
        let job = run(config, (0..calls).map(any).collect());
        for limit in &limits {
            assert_property_s(&job.arrivals, limit)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_waiter_waits_once_its_slot_is_free(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..40,
        delay_ms in 0_u64..500,
        concurrent_max in prop::option::of(1_u32..5),
        starts_ms in 0_u64..4_000,
    ) {
        let delay = Duration::from_millis(delay_ms);
        let base = config(limits.clone(), Shape::Burst, Guard::Strict);
        let random = Random::seeded(seed);
        let mut journeys: Vec<Journey> =
            (0..calls).map(|_| Journey::any(&random, Duration::from_millis(starts_ms), delay)).collect();
        // A refusal makes the budget wait, and rightly; that is not the schedule.
        journeys.iter_mut().filter(|journey| journey.fate == Fate::Throttled)
            .for_each(|journey| journey.fate = Fate::Answered);
        let job = run(BudgetConfig { concurrent_max, ..base }, journeys);
        prop_assert!(job.order.iter().copied().eq(0..job.rides.len()), "first come, first served: {:?}", job.order);
        let reference = Reference { limits, concurrent_max };
        for (number, wanted) in reference.grants(&job.rides).enumerate() {
            let granted = job.rides[number].granted;
            prop_assert_eq!(granted, wanted, "call {} of {:#?}", number, job.rides);
        }
    }

    #[test]
    fn at_zero_latency_the_starts_are_the_plan(limits in any_limits(), calls in 1_usize..120) {
        let config = config(limits.clone(), Shape::Burst, Guard::Strict);
        let job = run(config, vec![Journey::DIRECT; calls]);
        let starts: Vec<Tick> = job.rides.iter().map(|ride| ride.granted).collect();
        prop_assert_eq!(&starts, &recursion(calls, &limits));

        // And the last one is T*, but for the drift that every window allows for.
        let request = PlanRequest {
            calls: calls as u64,
            limits,
            concurrency: None,
            service: Duration::ZERO,
        };
        let wanted_ms = plan(&request).unwrap().last_start_ms;
        let last_ms = (starts[calls - 1] - Tick::ZERO).as_secs_f64() * 1e3;
        prop_assert!((last_ms - wanted_ms * 1.0005).abs() < 1e-3, "{} for {}", last_ms, wanted_ms);
    }
}
