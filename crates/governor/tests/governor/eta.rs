//! Spec G4: the queue says when a call will go, and it goes then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{SimClock, Tick};
use paceline_governor::{Budget, BudgetConfig, Guard, Shape};
use proptest::prelude::*;

use crate::support::{Journey, all, any_limits, config, travel};

/// Some calls go before, then after a pause many are wanted at once: what was told of each of these, and when it went.
fn told_and_true(
    config: BudgetConfig,
    latency: Duration,
    before: usize,
    pause: Duration,
    calls: usize,
) -> Vec<(Tick, Tick)> {
    SimClock::new().run(|clock| async move {
        let budget = Budget::new(config, clock.clone()).unwrap();
        let there = latency / 2;
        let journey = Journey { there, back: latency - there, ..Journey::DIRECT };
        let vendor = Arc::new(Mutex::new(Vec::new()));
        let caller = |_| {
            let (budget, clock, vendor) = (budget.clone(), clock.clone(), Arc::clone(&vendor));
            tokio::spawn(async move { travel(&budget, &clock, journey, &vendor).await.unwrap() })
        };
        let earlier: Vec<_> = (0..before).map(caller).collect();
        clock.sleep(pause).await;
        let waiting = budget.status().waiting as u64;
        let told: Vec<Tick> = (1..=calls as u64).map(|n| budget.eta(waiting + n).at).collect();
        let later: Vec<_> = (0..calls).map(caller).collect();
        all(&clock, earlier).await;
        let went = all(&clock, later).await;
        told.into_iter().zip(went.into_iter().map(|ride| ride.granted)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn at_zero_latency_the_estimate_is_the_moment(
        limits in any_limits(),
        before in 0_usize..30,
        pause_us in 1_u64..3_000_000,
        calls in 1_usize..40,
    ) {
        let config = config(limits, Shape::Burst, Guard::Strict);
        let pause = Duration::from_micros(pause_us);
        for (told, went) in told_and_true(config, Duration::ZERO, before, pause, calls) {
            prop_assert_eq!(told, went);
        }
    }

    #[test]
    fn at_constant_latency_it_is_within_one_percent_or_one_latency(
        limits in any_limits(),
        before in 1_usize..30,
        latency_us in 1_u64..500_000,
        pause_us in 1_u64..3_000_000,
        calls in 1_usize..40,
        concurrent_max in prop::option::of(1_u32..5),
    ) {
        let config = BudgetConfig { concurrent_max, ..config(limits, Shape::Burst, Guard::Strict) };
        let latency = Duration::from_micros(latency_us);
        // It has seen an answer: before that it knows of no latency.
        let pause = latency + Duration::from_micros(pause_us);
        for (told, went) in told_and_true(config, latency, before, pause, calls) {
            let off = if told > went { told - went } else { went - told };
            let most = latency.max((went - (Tick::ZERO + pause)) / 100) + Duration::from_micros(1);
            prop_assert!(off <= most, "{:?} off: told {:?}, went {:?}", off, told, went);
        }
    }
}
