//! Two gates (spec G2): both permits at once or neither, and no two callers that wait for each other.

use shuttle::rand::{Rng, thread_rng};

use super::calls::Vendor;
use super::{World, explore};
use crate::{
    Ask, BreakerConfig, Budget, BudgetConfig, Gates, Guard, Outcome, OutcomeClass, Priority,
    Refused,
};

fn budget(world: &World, per_second: Option<u32>, at_once: Option<u32>) -> Budget {
    let limits = per_second.map(|count| format!("{count}/s").parse().unwrap());
    let config =
        BudgetConfig { concurrent_max: at_once, guard: Guard::Strict, ..BudgetConfig::new(limits) };
    Budget::new(config, world.clock()).unwrap()
}

/// A caller that comes, may give up, and makes a call that ends in any way.
fn caller(world: &World, gates: &Gates, ask: Ask, vendor: &Vendor) {
    let (gates, vendor) = (gates.clone(), vendor.clone());
    world.spawn(move |world| {
        if let Some(permit) = world.wait_or_give_up(gates.acquire_with(ask)) {
            world.call(&vendor, permit.unwrap());
        }
    });
}

#[test]
fn two_columns_share_a_key() {
    explore(|| {
        let world = World::new();
        let (per_second, at_once) = match thread_rng().gen_range(0..3) {
            0 => (Some(1), None),
            1 => (None, Some(1)),
            _ => (Some(2), Some(2)),
        };
        let key = budget(&world, per_second, at_once);
        let vendor = Vendor::of(per_second, at_once);
        let columns = [budget(&world, None, Some(1)), budget(&world, Some(1), None)];
        for (turn, own) in columns.iter().enumerate() {
            let gates = Gates::new(own.clone(), key.clone());
            let urgent = if thread_rng().gen_bool(0.5) { Priority::High } else { Priority::Normal };
            for priority in [Priority::Normal, urgent] {
                let ask = Ask::new().turn(turn as u64, 1).priority(priority);
                caller(&world, &gates, ask, &vendor);
            }
        }
        // And one that needs no column.
        let alone = Gates::new(key.clone(), key.clone());
        caller(&world, &alone, Ask::new().turn(2, 1), &vendor);
        world.run(&[&key, &columns[0], &columns[1]]);
    });
}

#[test]
fn priorities_at_two_gates() {
    explore(|| {
        let world = World::new();
        let (own, key) = (budget(&world, None, Some(1)), budget(&world, Some(1), None));
        let vendor = Vendor::of(Some(1), Some(1));
        let gates = Gates::new(own.clone(), key.clone());
        for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::High] {
            caller(&world, &gates, Ask::new().priority(priority), &vendor);
        }
        world.run(&[&own, &key]);
    });
}

#[test]
fn the_same_budgets_the_other_way_round() {
    explore(|| {
        let world = World::new();
        let (a, b) = (budget(&world, None, Some(1)), budget(&world, Some(1), None));
        let vendor = Vendor::of(Some(1), Some(1));
        let pairs = [Gates::new(a.clone(), b.clone()), Gates::new(b.clone(), a.clone())];
        for _ in 0..2 {
            for gates in &pairs {
                caller(&world, gates, Ask::new(), &vendor);
            }
        }
        world.run(&[&a, &b]);
    });
}

#[test]
fn one_budget_twice_is_one_gate() {
    explore(|| {
        let world = World::new();
        let both = budget(&world, Some(1), Some(1));
        let vendor = Vendor::of(Some(1), Some(1));
        let gates = Gates::new(both.clone(), both.clone());
        for _ in 0..3 {
            caller(&world, &gates, Ask::new(), &vendor);
        }
        world.run(&[&both]);
    });
}

#[test]
fn a_key_that_is_refused_lets_nobody_wait() {
    explore(|| {
        let world = World::new();
        let columns = [None, Some(1)].map(|at_once| budget(&world, None, at_once));
        let breaker = BreakerConfig { credentials_refused_max: 1, ..BreakerConfig::default() };
        let config = BudgetConfig { breaker, concurrent_max: Some(1), ..BudgetConfig::new([]) };
        let key = Budget::new(config, world.clock()).unwrap();
        for number in 0..4 {
            let gates = Gates::new(columns[number % 2].clone(), key.clone());
            world.spawn(move |world| match world.wait_or_give_up(gates.acquire()) {
                Some(Ok(permit)) if number == 0 => permit.finish(&Outcome {
                    class: OutcomeClass::ConfigurationCaused,
                    retry_after: None,
                    credential_refused: true,
                }),
                Some(Ok(permit)) => permit.finish(&Outcome::of(OutcomeClass::Success)),
                Some(Err(refused)) => assert!(matches!(refused, Refused::Breaker(_))),
                None => {}
            });
        }
        world.run(&[&key, &columns[0], &columns[1]]);
    });
}
