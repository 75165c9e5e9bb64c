//! One budget: acquire, give up, end, time (theory: "nobody waits while a slot is free").

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::Tick;
use shuttle::rand::{Rng, thread_rng};

use super::calls::{Flag, Vendor};
use super::{World, explore};
use crate::{
    Ask, BreakerConfig, Budget, BudgetConfig, Guard, Keyed, Outcome, OutcomeClass, Priority,
    Refused,
};

const REFUSED: Outcome = Outcome {
    class: OutcomeClass::ConfigurationCaused,
    retry_after: None,
    credential_refused: true,
};

fn strict(per_second: Option<u32>, at_once: Option<u32>) -> BudgetConfig {
    let limits = per_second.map(|count| format!("{count}/s").parse().unwrap());
    BudgetConfig { concurrent_max: at_once, guard: Guard::Strict, ..BudgetConfig::new(limits) }
}

fn budget(world: &World, config: BudgetConfig) -> Budget {
    Budget::new(config, world.clock()).unwrap()
}

/// Any permit will do: one call is made with it, and no limit is looked at.
fn succeed(permit: Result<crate::Permit, Refused>) {
    permit.unwrap().finish(&Outcome::of(OutcomeClass::Success));
}

#[test]
fn callers_come_give_up_and_end_in_any_way() {
    explore(|| {
        let (per_second, at_once) = match thread_rng().gen_range(0..4) {
            0 => (Some(1), None),
            1 => (Some(2), None),
            2 => (None, Some(1)),
            _ => (Some(2), Some(1)),
        };
        let world = World::new();
        let budget = budget(&world, strict(per_second, at_once));
        let vendor = Vendor::of(per_second, at_once);
        for _ in 0..4 {
            let (budget, vendor) = (budget.clone(), vendor.clone());
            world.spawn(move |world| {
                if let Some(permit) = world.wait_or_give_up(budget.acquire()) {
                    world.call(&vendor, permit.unwrap());
                }
            });
        }
        let (hasty, seen) = (budget.clone(), vendor.clone());
        world.spawn(move |world| {
            if let Ok(permit) = hasty.try_acquire() {
                world.call(&seen, permit);
            }
        });
        world.run(&[&budget]);
    });
}

#[test]
fn the_core_never_sees_time_run_backwards() {
    explore(|| {
        let world = World::new();
        let budget = budget(&world, strict(None, None));
        let latest = Arc::new(Mutex::new(Tick::ZERO));
        for _ in 0..3 {
            let (budget, latest) = (budget.clone(), Arc::clone(&latest));
            world.spawn(move |_| {
                let look = |now| {
                    let before = std::mem::replace(&mut *latest.lock().unwrap(), now);
                    assert!(before <= now, "{now:?} after {before:?}");
                };
                budget.shared.with_core(|_, now| look(now));
                budget.shared.with_core_then_pump(|_, now| look(now));
                look(budget.shared.lock_now().1);
            });
        }
        world.run(&[&budget]);
    });
}

#[test]
fn a_budget_that_is_frozen_and_thawed_keeps_its_windows() {
    explore(|| {
        let world = World::new();
        let keyed = Keyed::new(strict(Some(1), None), world.clock()).unwrap();
        let vendor = Vendor::of(Some(1), None);
        for _ in 0..3 {
            let (keyed, vendor) = (keyed.clone(), vendor.clone());
            world.spawn(move |world| {
                let budget = keyed.budget(&7).unwrap();
                if let Some(permit) = world.wait_or_give_up(budget.acquire()) {
                    world.call(&vendor, permit.unwrap());
                }
            });
        }
        // Freezes it if nobody holds it just then.
        world.spawn(move |_| keyed.shrink());
        world.run(&[]);
    });
}

#[test]
fn the_first_gives_up_at_the_moment_its_timer_fires() {
    explore(|| {
        let world = World::new();
        let budget = budget(&world, strict(Some(1), None));
        succeed(budget.try_acquire().map_err(|refusal| panic!("{refusal:?}")));
        let free_at = budget.status().next_slot.unwrap();
        let first = budget.clone();
        world.spawn(move |world| {
            let enough = world.clock().sleep_until(free_at);
            if let Some(permit) = world.wait_or(first.acquire(), enough) {
                succeed(permit);
            }
        });
        for _ in 0..2 {
            let next = budget.clone();
            world.spawn(move |world| succeed(world.wait(next.acquire())));
        }
        world.run(&[&budget]);
    });
}

#[test]
fn a_higher_priority_comes_while_another_keeps_the_timer() {
    explore(|| {
        let world = World::new();
        let budget = budget(&world, strict(Some(1), None));
        let vendor = Vendor::of(Some(1), None);
        for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::High] {
            let (budget, vendor) = (budget.clone(), vendor.clone());
            world.spawn(move |world| {
                let ask = Ask::new().priority(priority);
                if let Some(permit) = world.wait_or_give_up(budget.acquire_with(ask)) {
                    world.call(&vendor, permit.unwrap());
                }
            });
        }
        world.run(&[&budget]);
    });
}

#[test]
fn a_breaker_that_trips_lets_nobody_wait_and_one_that_is_reset_admits() {
    explore(|| {
        let world = World::new();
        let breaker = BreakerConfig { credentials_refused_max: 1, ..BreakerConfig::default() };
        let per_second = thread_rng().gen_bool(0.5).then_some(1);
        let config = BudgetConfig { breaker, ..strict(per_second, Some(1)) };
        let budget = budget(&world, config);
        for number in 0..4 {
            let budget = budget.clone();
            world.spawn(move |world| match world.wait_or_give_up(budget.acquire()) {
                Some(Ok(permit)) if number % 2 == 0 => permit.finish(&REFUSED),
                Some(Ok(permit)) => permit.not_sent(None),
                Some(Err(refused)) => assert!(matches!(refused, Refused::Breaker(_))),
                None => {}
            });
        }
        let mended = budget.clone();
        world.spawn(move |_| mended.reset_breaker());
        world.run(&[&budget]);
        budget.reset_breaker();
        let after = budget.clone();
        world.spawn(move |world| succeed(world.wait(after.acquire())));
        world.run(&[&budget]);
    });
}

#[test]
fn a_breaker_that_probes_by_itself_lets_nobody_wait_for_ever() {
    explore(|| {
        let world = World::new();
        let breaker = BreakerConfig {
            credentials_refused_max: 1,
            probe_after: Some(Duration::from_secs(5)),
            ..BreakerConfig::default()
        };
        let budget = budget(&world, BudgetConfig { breaker, ..strict(None, Some(2)) });
        for number in 0..4 {
            let budget = budget.clone();
            world.spawn(move |world| {
                let Some(permit) = world.wait_or_give_up(budget.acquire()) else { return };
                let permit = permit.unwrap();
                match number {
                    0 => permit.finish(&REFUSED),
                    1 => permit.not_sent(Some(&REFUSED)),
                    2 => drop(permit),
                    _ => permit.finish(&Outcome::of(OutcomeClass::Success)),
                }
            });
        }
        world.run(&[&budget]);
    });
}

#[test]
fn a_bound_frees_the_slot_of_a_call_that_gets_no_answer() {
    explore(|| {
        let world = World::new();
        let guard = Guard::Fixed(Duration::from_millis(50));
        let budget = budget(&world, BudgetConfig { guard, ..strict(Some(1), None) });
        let (slow, answered) = (budget.clone(), Flag::default());
        let waits_for = answered.clone();
        world.spawn(move |world| {
            let mut permit = world.wait(slow.acquire()).unwrap();
            permit.sent();
            world.wait(waits_for);
            succeed(Ok(permit));
        });
        world.spawn(move |world| {
            for _ in 0..2 {
                let mut permit = world.wait(budget.acquire()).unwrap();
                permit.sent();
                succeed(Ok(permit));
            }
            answered.raise();
        });
        world.run(&[]);
    });
}
