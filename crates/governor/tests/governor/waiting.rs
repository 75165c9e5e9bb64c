//! Spec G1, G3, G4: waiting in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_governor::{Budget, BudgetConfig, Guard, Outcome, OutcomeClass, Refused, Shape};

use crate::support::limits;

fn strict(texts: &[&str]) -> BudgetConfig {
    BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits(texts)) }
}

/// One call that the vendor counts after `before` and answers after another `after`; returns (started, counted).
async fn call(budget: &Budget, clock: &Clock, before: Duration, after: Duration) -> (Tick, Tick) {
    let mut permit = budget.acquire().await.unwrap();
    permit.sent();
    let started = clock.now();
    clock.sleep(before).await;
    let counted = clock.now();
    clock.sleep(after).await;
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
    (started, counted)
}

#[test]
fn a_hundred_callers_at_once_all_get_through_in_order() {
    // The limiter in the seed leaves 80 of them waiting for ever (spec G4).
    let starts = SimClock::new().run(|clock| async move {
        let budget = Budget::new(strict(&["20/min", "60/h"]), clock.clone()).unwrap();
        let starts = Arc::new(Mutex::new(Vec::new()));
        let mut callers = Vec::new();
        for number in 0..100 {
            let (budget, clock, starts) = (budget.clone(), clock.clone(), Arc::clone(&starts));
            callers.push(tokio::spawn(async move {
                let (started, _) = call(&budget, &clock, Duration::ZERO, Duration::ZERO).await;
                starts.lock().unwrap().push((number, started.as_millis()));
            }));
        }
        for caller in callers {
            caller.await.unwrap();
        }
        starts.lock().unwrap().clone()
    });
    assert!(starts.iter().map(|(number, _)| *number).eq(0..100), "first come, first served");
    let at = |number: usize| starts[number].1 / 1000;
    assert_eq!(
        [at(0), at(19), at(20), at(40), at(59), at(60), at(80), at(99)],
        [0, 0, 60, 120, 120, 3601, 3661, 3661]
    );
}

#[test]
fn who_is_cancelled_gives_the_place_back_at_once() {
    let waited = SimClock::new().run(|clock| async move {
        let budget = Budget::new(strict(&["1/s"]), clock.clone()).unwrap();
        call(&budget, &clock, Duration::ZERO, Duration::ZERO).await;
        let ahead: Vec<_> = (0..50)
            .map(|_| {
                let budget = budget.clone();
                tokio::spawn(async move { budget.acquire().await.map(drop) })
            })
            .collect();
        clock.sleep(Duration::from_millis(10)).await;
        assert_eq!(budget.status().waiting, 50);
        ahead.iter().for_each(|caller| caller.abort());
        let (started, _) = call(&budget, &clock, Duration::ZERO, Duration::ZERO).await;
        started.as_millis()
    });
    assert_eq!(waited, 1000);
}

#[test]
fn a_permit_granted_to_someone_who_has_gone_is_not_lost() {
    SimClock::new().run(|clock| async move {
        let config = BudgetConfig { concurrent_max: Some(1), ..BudgetConfig::new([]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let held = budget.acquire().await.unwrap();
        let mut gone = Box::pin(budget.acquire());
        let poll =
            std::future::poll_fn(|cx| std::task::Poll::Ready(gone.as_mut().poll(cx).is_pending()));
        assert!(poll.await);
        held.finish(&Outcome::of(OutcomeClass::Success)); // granted to `gone`, which never looks
        assert!(budget.try_acquire().is_err());
        drop(gone);
        assert!(budget.try_acquire().is_ok());
    });
}

#[test]
fn a_full_queue_and_a_tripped_breaker_refuse_instead_of_waiting() {
    SimClock::new().run(|clock| async move {
        let config =
            BudgetConfig { concurrent_max: Some(1), queue_max: 2, ..BudgetConfig::new([]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let held = budget.acquire().await.unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let budget = budget.clone();
                tokio::spawn(
                    async move { budget.acquire().await.map(|permit| permit.not_sent(None)) },
                )
            })
            .collect();
        clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(budget.acquire().await.unwrap_err(), Refused::QueueFull { waiting: 2 });

        held.not_sent(None);
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        let refused =
            Outcome { credential_refused: true, ..Outcome::of(OutcomeClass::ConfigurationCaused) };
        for _ in 0..3 {
            budget.acquire().await.unwrap().finish(&refused);
        }
        assert!(matches!(budget.acquire().await, Err(Refused::Breaker(_))));
        budget.reset_breaker();
        assert!(budget.acquire().await.is_ok());
    });
}

#[test]
fn a_breaker_that_trips_lets_nobody_wait_for_ever() {
    SimClock::new().run(|clock| async move {
        let config = BudgetConfig { concurrent_max: Some(10), ..BudgetConfig::new([]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(budget.acquire().await.unwrap());
        }
        let waiter = {
            let budget = budget.clone();
            tokio::spawn(async move { budget.acquire().await.map(drop) })
        };
        clock.sleep(Duration::from_millis(1)).await;
        // Held back one by one: a freed place would go to the waiter before the tenth failure.
        let last = held.split_off(9);
        let failed = Outcome::of(OutcomeClass::Transient);
        for permit in held {
            permit.finish(&failed);
        }
        for permit in last {
            permit.finish(&failed);
        }
        let _ = waiter.await.unwrap();
        assert!(matches!(budget.acquire().await, Err(Refused::Breaker(_))));
    });
}

#[test]
fn the_guard_lets_slow_answers_overlap_where_strictness_would_wait() {
    // limiter-theory.md: 60 calls of 30 s at 20/min take 211 s stamped at the answer, 156 s with a bound.
    let makespan = |guard| {
        SimClock::new().run(|clock| async move {
            let shape = Shape::Burst;
            let config = BudgetConfig { guard, shape, ..BudgetConfig::new(limits(&["20/min"])) };
            let budget = Budget::new(config, clock.clone()).unwrap();
            let callers: Vec<_> = (0..60)
                .map(|_| {
                    let (budget, clock) = (budget.clone(), clock.clone());
                    tokio::spawn(async move {
                        call(&budget, &clock, Duration::from_millis(10), Duration::from_secs(30))
                            .await;
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
            clock.now().as_millis() / 1000
        })
    };
    assert_eq!(makespan(Guard::Strict), 210);
    assert_eq!(makespan(Guard::Fixed(Duration::from_millis(50))), 150);
    assert!(makespan(Guard::Auto) < 185, "{}", makespan(Guard::Auto));
}
