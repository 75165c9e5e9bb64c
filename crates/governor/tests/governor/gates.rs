//! Spec G2: columns with limits of their own share one budget. Both hold, nobody starves, and each learns its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock, Tick};
use paceline_governor::{
    Ask, BreakerState, Budget, BudgetConfig, Gates, Guard, Limit, Outcome, OutcomeClass, Permit,
    Refused, Shape,
};
use proptest::prelude::*;

use crate::support::recursion;
use crate::support::{Fate, Journey, all, any_limits, assert_property_s, config, limits};

/// Columns behind one shared budget.
fn gates(clock: &Clock, columns: &[BudgetConfig], shared: BudgetConfig) -> Vec<Gates> {
    let shared = Budget::new(shared, clock.clone()).unwrap();
    let gates = |own: &BudgetConfig| {
        Gates::new(Budget::new(own.clone(), clock.clone()).unwrap(), shared.clone())
    };
    columns.iter().map(gates).collect()
}

/// One call; answers whether it was granted, and notes when it arrives.
async fn travel(gates: &Gates, ask: Ask, clock: &Clock, journey: Journey, note: impl Fn(Tick)) {
    clock.sleep(journey.starts).await;
    let mut permit = match journey.patience {
        None => gates.acquire_with(ask).await.unwrap(),
        Some(patience) => tokio::select! {
            permit = gates.acquire_with(ask) => permit.unwrap(),
            () = clock.sleep(patience) => return,
        },
    };
    clock.sleep(journey.dawdles).await;
    if journey.fate == Fate::NotSent {
        return permit.not_sent(None);
    }
    permit.sent();
    note(clock.now() + journey.there);
    match journey.fate {
        Fate::Dropped | Fate::DroppedUnsent => clock.sleep(journey.back).await,
        Fate::Failed => {
            clock.sleep(journey.back).await;
            permit.finish(&Outcome::of(OutcomeClass::Transient));
        }
        _ => {
            clock.sleep(journey.there + journey.back).await;
            permit.seen();
            clock.sleep(journey.body).await;
            permit.finish(&Outcome::of(OutcomeClass::Success));
        }
    }
}

fn answered(mut permit: Permit, class: OutcomeClass) {
    permit.sent();
    permit.seen();
    permit.finish(&Outcome::of(class));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn property_s_holds_for_every_column_and_for_what_they_share_and_nobody_starves(
        seed in any::<u64>(),
        columns in prop::collection::vec((any_limits(), prop::option::of(1_u32..4)), 2..5),
        shared in any_limits(),
        shared_max in prop::option::of(1_u32..5),
        calls in 1_usize..60,
        delay_ms in 0_u64..500,
        shape in prop::sample::select(Shape::ALL.to_vec()),
        direct in any::<bool>(),
    ) {
        let strict = |limits: &[Limit], concurrent_max| BudgetConfig {
            concurrent_max,
            ..config(limits.to_vec(), shape, Guard::Strict)
        };
        let configs: Vec<_> = columns.iter().map(|(limits, max)| strict(limits, *max)).collect();
        let shared_config = strict(&shared, shared_max);
        let width = columns.len();
        let arrivals = SimClock::new().run(|clock| async move {
            let mut gates = gates(&clock, &configs, shared_config);
            if direct {
                // Somebody passes the shared gate only.
                let key = gates[0].shared().clone();
                gates[0] = Gates::new(key.clone(), key);
            }
            let (random, delay) = (Random::seeded(seed), Duration::from_millis(delay_ms));
            let arrivals = Arc::new(Mutex::new(vec![Vec::new(); width]));
            let callers: Vec<_> = (0..calls)
                .map(|_| {
                    let column = (random.next_u64() % width as u64) as usize;
                    let journey = Journey::any(&random, delay * 8, delay);
                    let (gates, clock, arrivals) = (gates[column].clone(), clock.clone(), Arc::clone(&arrivals));
                    tokio::spawn(async move {
                        let ask = Ask::new().turn(column as u64, 1);
                        let note = |at| arrivals.lock().unwrap()[column].push(at);
                        travel(&gates, ask, &clock, journey, note).await;
                    })
                })
                .collect();
            all(&clock, callers).await;
            for gate in &gates {
                let waiting = (gate.own().status().waiting, gate.shared().status().waiting);
                let under_way = (gate.own().status().in_flight, gate.shared().status().in_flight);
                assert_eq!((waiting, under_way), ((0, 0), (0, 0)), "every place is given back");
            }
            let arrivals = arrivals.lock().unwrap();
            arrivals.clone()
        });
        for limit in &shared {
            assert_property_s(&arrivals.concat(), limit)?;
        }
        for (column, (limits, _)) in columns.iter().enumerate().skip(usize::from(direct)) {
            for limit in limits {
                assert_property_s(&arrivals[column], limit)?;
            }
        }
    }
}

/// Every column wants `calls`, all at once; answers the columns in the order of their grants.
fn turns(shares: Vec<u32>, limit: Limit, calls: usize, takes: Duration) -> Vec<usize> {
    SimClock::new().run(|clock| async move {
        let own = config([], Shape::Burst, Guard::Strict);
        let shared = config([limit], Shape::Burst, Guard::Strict);
        let gates = gates(&clock, &vec![own; shares.len()], shared);
        let take = |_| gates[0].shared().try_acquire().unwrap();
        let full: Vec<Permit> = (0..limit.count()).map(take).collect();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut callers = Vec::new();
        for (column, (gates, share)) in gates.iter().zip(shares).enumerate() {
            for _ in 0..calls {
                let (gates, clock, order) = (gates.clone(), clock.clone(), Arc::clone(&order));
                callers.push(tokio::spawn(async move {
                    let ask = Ask::new().turn(column as u64, share);
                    let permit = gates.acquire_with(ask).await.unwrap();
                    order.lock().unwrap().push(column);
                    clock.sleep(takes).await;
                    answered(permit, OutcomeClass::Success);
                }));
            }
        }
        // Everybody waits before the first is served.
        clock.sleep(Duration::from_millis(1)).await;
        full.into_iter().for_each(|permit| answered(permit, OutcomeClass::Success));
        all(&clock, callers).await;
        let order = order.lock().unwrap();
        order.clone()
    })
}

fn assert_turns(order: &[usize], shares: &[u32]) -> Result<(), TestCaseError> {
    let sum: u32 = shares.iter().sum();
    let mut had = vec![0_usize; shares.len()];
    for (served, column) in order.iter().enumerate() {
        had[*column] += 1;
        for (column, share) in shares.iter().enumerate() {
            let due = (served + 1) as f64 * f64::from(*share) / f64::from(sum);
            let off = (had[column] as f64 - due).abs();
            let most = (0.1 * due).max(f64::from(*share));
            prop_assert!(off <= most, "{had:?} of {served} with shares {shares:?}");
        }
    }
    Ok(())
}

/// When the calls of each column went, all wanted at once, over a network without latency.
fn starts(columns: &[Vec<Limit>], shared: &[Limit], calls: usize) -> Vec<Vec<Tick>> {
    let burst = |limits: &[Limit]| config(limits.to_vec(), Shape::Burst, Guard::Strict);
    let configs: Vec<_> = columns.iter().map(|limits| burst(limits)).collect();
    let shared = burst(shared);
    SimClock::new().run(|clock| async move {
        let starts = Arc::new(Mutex::new(vec![Vec::new(); configs.len()]));
        let mut callers = Vec::new();
        for (column, gates) in gates(&clock, &configs, shared).iter().enumerate() {
            for _ in 0..calls {
                let (gates, clock, starts) = (gates.clone(), clock.clone(), Arc::clone(&starts));
                callers.push(tokio::spawn(async move {
                    let ask = Ask::new().turn(column as u64, 1);
                    let note = |at| starts.lock().unwrap()[column].push(at);
                    travel(&gates, ask, &clock, Journey::DIRECT, note).await;
                }));
            }
        }
        all(&clock, callers).await;
        let starts = starts.lock().unwrap();
        starts.clone()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_gate_that_is_wide_open_adds_no_wait(
        columns in prop::collection::vec(any_limits(), 2..5),
        shared in any_limits(),
        calls in 1_usize..40,
    ) {
        // Each column as if it were alone...
        for (column, starts) in starts(&columns, &[], calls).iter().enumerate() {
            prop_assert_eq!(starts, &recursion(calls, &columns[column]));
        }
        // ...and all together as if there were no columns.
        let mut all = starts(&vec![Vec::new(); columns.len()], &shared, calls).concat();
        all.sort_unstable();
        prop_assert_eq!(all, recursion(calls * columns.len(), &shared));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn columns_that_all_want_more_get_equal_turns_within_ten_percent(
        columns in 2_usize..6,
        count in 1_u32..30,
        window_ms in 20_u64..2_000,
        takes_ms in 0_u64..200,
    ) {
        let shared = Limit::new(count, Duration::from_millis(window_ms)).unwrap();
        let order = turns(vec![1; columns], shared, 150, Duration::from_millis(takes_ms));
        prop_assert_eq!(order.len(), columns * 150);
        assert_turns(&order, &vec![1; columns])?;
    }
}

#[test]
fn a_429_teaches_only_what_is_shared() {
    SimClock::new().run(|clock| async move {
        let own = config(limits(&["8/s"]), Shape::Auto, Guard::Strict);
        let gates = gates(&clock, &[own.clone(), own.clone()], own);
        answered(gates[0].acquire().await.unwrap(), OutcomeClass::Throttled);
        let [shared, own, other] =
            [gates[0].shared(), gates[0].own(), gates[1].own()].map(Budget::status);
        assert_eq!((shared.throttled, own.throttled, other.throttled), (1, 0, 0));
        let allowed = [&shared, &own, &other].map(|status| status.limits[0].allowed);
        assert_eq!(allowed, [4, 8, 8]);
        assert!(shared.next_slot.is_some(), "a pause for all");
        assert_eq!((own.next_slot, other.next_slot), (None, None));
    });
}

#[test]
fn a_columns_breaker_trips_alone_and_a_refused_credential_trips_both() {
    SimClock::new().run(|clock| async move {
        let plain = BudgetConfig::new(limits(&["1000/s"]));
        let gates = gates(&clock, &[plain.clone(), plain.clone()], plain);
        let [failing, good] = &gates[..] else { panic!("two columns") };
        let mut sent = 0;
        while let Ok(permit) = failing.acquire().await {
            answered(permit, OutcomeClass::Transient);
            sent += 1;
        }
        assert_eq!(sent, 10, "the breaker's least");
        assert_eq!(failing.shared().status().breaker, BreakerState::Admitting);
        for _ in 0..100 {
            answered(good.acquire().await.unwrap(), OutcomeClass::Success);
        }
        assert!(matches!(failing.acquire().await, Err(Refused::Breaker(_))));
        failing.own().reset_breaker();
        answered(failing.acquire().await.unwrap(), OutcomeClass::Success);

        let refused =
            Outcome { credential_refused: true, ..Outcome::of(OutcomeClass::ConfigurationCaused) };
        for _ in 0..3 {
            failing.acquire().await.unwrap().finish(&refused);
        }
        assert!(matches!(good.acquire().await, Err(Refused::Breaker(_))), "one key for both");
        assert_eq!(good.own().status().breaker, BreakerState::Admitting);
    });
}
