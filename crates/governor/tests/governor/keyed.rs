//! A budget per key decides as a budget of its own, however often it was frozen in between.

use std::collections::HashMap;
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock};
use paceline_governor::{Budget, BudgetConfig, Keyed, Outcome, OutcomeClass, Shape, TooManyKeys};

fn config(shape: Shape) -> BudgetConfig {
    let limits = ["3/s", "10/min"].map(|text| text.parse().unwrap());
    BudgetConfig { shape, ..BudgetConfig::new(limits) }
}

/// Whether a call may go; it takes `millis` if it does.
async fn call(budget: Budget, clock: &Clock, millis: u64) -> bool {
    let Ok(mut permit) = budget.try_acquire() else { return false };
    permit.sent();
    clock.sleep(Duration::from_millis(millis)).await;
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
    true
}

#[test]
fn a_key_decides_as_a_budget_of_its_own() {
    for shape in Shape::ALL {
        SimClock::new().run(|clock| async move {
            let keyed: Keyed<u64> = Keyed::new(config(shape), clock.clone()).unwrap();
            let mut own: HashMap<u64, Budget> = HashMap::new();
            let random = Random::seeded(11);
            let (mut admitted, mut refused) = (0, 0);
            for _ in 0..20_000 {
                let key = random.next_u64() % 200;
                let own = own
                    .entry(key)
                    .or_insert_with(|| Budget::new(config(shape), clock.clone()).unwrap());
                let expected = own.try_acquire();
                let keyed = keyed.budget(&key).unwrap().try_acquire();
                assert_eq!(expected.is_ok(), keyed.is_ok(), "{shape:?} key {key}");
                if let (Ok(mut a), Ok(mut b)) = (expected, keyed) {
                    a.sent();
                    b.sent();
                    clock.sleep(Duration::from_millis(random.next_u64() % 4)).await;
                    a.seen();
                    b.seen();
                    a.finish(&Outcome::of(OutcomeClass::Success));
                    b.finish(&Outcome::of(OutcomeClass::Success));
                    admitted += 1;
                } else {
                    refused += 1;
                }
                clock.sleep(Duration::from_millis(random.next_u64() % 40)).await;
            }
            assert!(admitted > 1_000 && refused > 1_000, "{shape:?} {admitted} {refused}");
        });
    }
}

#[test]
fn what_is_held_is_not_frozen_and_what_is_over_is_forgotten() {
    SimClock::new().run(|clock| async move {
        let keyed: Keyed<String> = Keyed::new(config(Shape::Auto), clock.clone()).unwrap();
        let held = keyed.budget("held").unwrap();
        for key in 0..1_000 {
            assert!(call(keyed.budget(&key.to_string()).unwrap(), &clock, 0).await);
        }
        assert_eq!(keyed.len(), 1_001);
        clock.sleep(Duration::from_secs(61)).await;
        keyed.shrink();
        assert_eq!(keyed.len(), 1, "the windows of all others are empty");
        while held.try_acquire().is_ok() {}
        assert!(keyed.budget("held").unwrap().try_acquire().is_err(), "it is the same one");
    });
}

#[test]
fn no_more_keys_than_may_be() {
    SimClock::new().run(|clock| async move {
        let keyed: Keyed<u64> =
            Keyed::with_keys_max(config(Shape::Auto), clock.clone(), 640).unwrap();
        let mut full = 0;
        for key in 0..10_000 {
            match keyed.budget(&key) {
                Ok(budget) => assert!(call(budget, &clock, 0).await),
                Err(error) => {
                    assert_eq!(error, TooManyKeys { keys_max: 640 });
                    full += 1;
                }
            }
        }
        assert!(keyed.len() <= 640 && full >= 9_360, "{} {full}", keyed.len());
        clock.sleep(Duration::from_secs(61)).await;
        keyed.shrink();
        assert!(keyed.budget(&1_000_000).is_ok());
    });
}
