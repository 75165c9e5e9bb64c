//! Spec G4: first come, first served inside one priority and turn key; keys take turns by their shares; nobody starves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Random, SimClock};
use paceline_governor::{Ask, Budget, Guard, Limit, Outcome, OutcomeClass, Priority, Shape};
use proptest::prelude::*;

use crate::support::{all, config, draw};

const KEYS: u64 = 8;
const CALLS_PER_KEY: usize = 1_000;
/// Priorities that are passed over eight times are due, and two of them may be due at once.
const LOW_WAITS_TURNS_MAX: usize = 10;

/// All of them join at once, in this order, over a budget of `limit`; answers their places in the order of their grants.
fn served(asks: Vec<Ask>, limit: Limit, delay: Duration) -> Vec<usize> {
    SimClock::new().run(|clock| async move {
        let config = config([limit], Shape::Burst, Guard::Strict);
        let budget = Budget::new(config, clock.clone()).unwrap();
        let (order, random) = (Arc::new(Mutex::new(Vec::new())), Random::seeded(1));
        let full: Vec<_> = (0..limit.count()).map(|_| budget.try_acquire().unwrap()).collect();
        let callers: Vec<_> = asks
            .into_iter()
            .enumerate()
            .map(|(number, ask)| {
                let (budget, clock, order) = (budget.clone(), clock.clone(), Arc::clone(&order));
                let takes = draw(&random, delay);
                tokio::spawn(async move {
                    let mut permit = budget.acquire_with(ask).await.unwrap();
                    order.lock().unwrap().push(number);
                    permit.sent();
                    clock.sleep(takes).await;
                    permit.finish(&Outcome::of(OutcomeClass::Success));
                })
            })
            .collect();
        // Everybody waits before the first is served.
        clock.sleep(Duration::from_millis(1)).await;
        full.into_iter().for_each(|permit| permit.finish(&Outcome::of(OutcomeClass::Success)));
        all(&clock, callers).await;
        let order = order.lock().unwrap();
        order.clone()
    })
}

fn any_limit() -> impl Strategy<Value = Limit> {
    (1_u32..200, 20_u64..2_000)
        .prop_map(|(count, ms)| Limit::new(count, Duration::from_millis(ms)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn eight_keys_with_a_thousand_calls_each_get_their_shares_within_ten_percent(
        shares in prop_oneof![
            Just([1; KEYS as usize]),
            prop::array::uniform8(1_u32..6),
        ],
        limit in any_limit(),
        delay_ms in 0_u64..100,
        seed in any::<u64>(),
    ) {
        // The calls of all keys come mixed, or one key after the other.
        let random = Random::seeded(seed);
        let mut keys: Vec<u64> = (0..KEYS).flat_map(|key| vec![key; CALLS_PER_KEY]).collect();
        if seed % 2 == 0 {
            keys.sort_by_cached_key(|_| random.next_u64());
        }
        let share = |key: u64| shares[key as usize];
        let asks = keys.iter().map(|key| Ask::new().turn(*key, share(*key))).collect();
        let order = served(asks, limit, Duration::from_millis(delay_ms));
        prop_assert_eq!(order.len(), keys.len());

        // As long as all of them have calls, each has had its share of what was served so far; a round is the grain.
        let sum: u32 = shares.iter().sum();
        let largest = shares.iter().max().copied().unwrap_or(1);
        let all_want = CALLS_PER_KEY * sum as usize / largest as usize - sum as usize;
        let mut had = [0_usize; KEYS as usize];
        for (served, number) in order.iter().take(all_want).enumerate() {
            had[keys[*number] as usize] += 1;
            for key in 0..KEYS {
                let due = (served + 1) as f64 * f64::from(share(key)) / f64::from(sum);
                let off = (had[key as usize] as f64 - due).abs();
                prop_assert!(off <= (0.1 * due).max(f64::from(share(key))), "{:?} of {} with shares {:?}", had, served, shares);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn inside_a_priority_and_a_key_the_first_who_came_is_the_first_served(
        asks in prop::collection::vec((0_usize..3, 0_u64..4, 1_u32..4), 1..150),
        limit in any_limit(),
        delay_ms in 0_u64..500,
    ) {
        let asks: Vec<Ask> = asks
            .into_iter()
            .map(|(priority, key, share)| Ask::new().priority(Priority::ALL[priority]).turn(key, share))
            .collect();
        let order = served(asks.clone(), limit, Duration::from_millis(delay_ms));
        prop_assert_eq!(order.len(), asks.len());
        let mut last = BTreeMap::new();
        for number in order {
            let line = (asks[number].get_priority() as usize, asks[number].get_turn());
            let before = last.insert(line, number);
            prop_assert!(before.is_none_or(|before| before < number), "{:?} before {} in {:?}", before, number, line);
        }
    }

    #[test]
    fn the_high_come_first_and_the_low_are_not_starved(
        priorities in prop::collection::vec(0_usize..3, 1..150),
        limit in any_limit(),
    ) {
        let asks: Vec<Ask> = priorities.iter().map(|p| Ask::new().priority(Priority::ALL[*p])).collect();
        let order = served(asks, limit, Duration::ZERO);
        let mut left = [0; 3];
        priorities.iter().for_each(|priority| left[*priority] += 1);
        let mut passed_over = [0; 3];
        for number in order {
            let served = priorities[number];
            for lower in served + 1..3 {
                passed_over[lower] += usize::from(left[lower] > 0);
                prop_assert!(passed_over[lower] <= LOW_WAITS_TURNS_MAX);
            }
            // Somebody higher is passed over only by one who was passed over long enough.
            let higher_waits = (0..served).any(|higher| left[higher] > 0);
            prop_assert!(!higher_waits || passed_over[served] >= 8, "{} came too early", number);
            passed_over[served] = 0;
            left[served] -= 1;
        }
    }
}
