//! The core by itself, step by step.

use super::*;
use crate::{Guard, Limit, Shape};
use crate::{Outcome, OutcomeClass};

fn ms(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn core(limits: &[&str], change: impl FnOnce(&mut BudgetConfig)) -> Core {
    let limits = limits.iter().map(|text| text.parse::<Limit>().unwrap());
    let mut config =
        BudgetConfig { guard: Guard::Strict, shape: Shape::Burst, ..BudgetConfig::new(limits) };
    change(&mut config);
    Core::new(config).unwrap()
}

fn good() -> Outcome {
    Outcome::of(OutcomeClass::Success)
}

/// A call that is sent, seen and finished at one moment.
fn call(core: &mut Core, at: Tick) -> Result<(), Refusal> {
    let slot = core.admit(at)?;
    core.sent(slot, at);
    core.seen(slot, at);
    core.finish(slot, &good(), at);
    Ok(())
}

#[test]
fn all_limits_hold_at_once_and_the_longest_wait_is_told() {
    let mut core = core(&["2/s", "3/min"], |_| {});
    call(&mut core, ms(0)).unwrap();
    call(&mut core, ms(0)).unwrap();
    let refusal = call(&mut core, ms(10)).unwrap_err();
    assert_eq!(refusal.reason, Reason::Limit(0));
    let until = refusal.until.unwrap();
    assert_eq!(until.as_nanos(), 1_000_500_000, "one window and 500 ppm of drift");
    call(&mut core, until).unwrap();
    let refusal = call(&mut core, until).unwrap_err();
    assert_eq!(refusal.reason, Reason::Limit(1));
    assert_eq!(refusal.until, Some(ms(60_030)));
}

#[test]
fn strict_holds_the_slot_until_the_answer() {
    let mut core = core(&["1/s"], |_| {});
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    assert_eq!(core.admit(ms(5_000)), Err(Refusal { reason: Reason::Limit(0), until: None }));
    core.seen(slot, ms(5_000));
    assert_eq!(core.admit(ms(5_001)).unwrap_err().until, Some(Tick::from_nanos(6_000_500_000)));
}

#[test]
fn a_fixed_guard_holds_it_no_longer_than_that() {
    let mut core = core(&["1/s"], |config| {
        config.guard = Guard::Fixed(Duration::from_millis(100));
    });
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    let refusal = core.admit(ms(50)).unwrap_err();
    assert_eq!(refusal.until, Some(Tick::from_nanos(1_100_500_000)));
    assert!(core.admit(refusal.until.unwrap()).is_ok(), "the answer to the first is still out");
}

#[test]
fn what_never_left_is_given_back_exactly() {
    let mut core = core(&["1/h"], |_| {});
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    core.give_back(slot, None, ms(3));
    assert!(core.admit(ms(3)).is_ok());
}

#[test]
fn what_was_stamped_by_the_guard_is_not_given_back() {
    let mut core = core(&["1/s"], |config| {
        config.guard = Guard::Fixed(Duration::from_millis(10));
    });
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    assert!(core.admit(ms(500)).is_err());
    core.give_back(slot, None, ms(500));
    assert!(core.admit(ms(500)).is_err(), "it may have been counted");
    assert_eq!(core.status(ms(500)).limits[0].used, 1);
}

#[test]
fn an_abandoned_call_counts_and_an_ended_slot_does_nothing() {
    let mut core = core(&["1/s"], |_| {});
    let slot = core.admit(ms(0)).unwrap();
    core.abandon(slot, ms(100));
    assert!(core.admit(ms(1_100)).is_err(), "a second of grace");
    let next = core.admit(ms(2_101)).unwrap();
    core.seen(slot, ms(2_101));
    core.finish(slot, &good(), ms(2_101));
    core.give_back(slot, None, ms(2_101));
    assert_eq!(core.status(ms(2_101)).in_flight, 1);
    core.finish(next, &good(), ms(2_101));
}

#[test]
fn concurrency_and_spacing() {
    let mut core = core(&[], |config| {
        config.concurrent_max = Some(2);
        config.spacing_min = Duration::from_millis(5);
    });
    let first = core.admit(ms(0)).unwrap();
    assert_eq!(core.admit(ms(1)), Err(Refusal { reason: Reason::Spacing, until: Some(ms(5)) }));
    core.admit(ms(5)).unwrap();
    assert_eq!(core.admit(ms(10)), Err(Refusal { reason: Reason::Concurrency, until: None }));
    core.finish(first, &good(), ms(10));
    assert!(core.admit(ms(10)).is_ok());
}

#[test]
fn retry_after_holds_the_whole_budget_and_is_never_shortened() {
    let mut core = core(&["100/s"], |_| {});
    let throttled = |seconds| Outcome {
        class: OutcomeClass::Throttled,
        retry_after: Some(Duration::from_secs(seconds)),
        credential_refused: false,
    };
    let (a, b) = (core.admit(ms(0)).unwrap(), core.admit(ms(0)).unwrap());
    core.finish(a, &throttled(30), ms(0));
    core.finish(b, &throttled(1), ms(0));
    assert_eq!(
        core.admit(ms(1)),
        Err(Refusal { reason: Reason::RetryAfter, until: Some(ms(30_000)) })
    );
    assert!(core.admit(ms(30_000)).is_ok());
}

#[test]
fn a_429_halves_the_slots_once_per_round_trip_and_they_grow_back() {
    let mut core = core(&["8/s"], |_| {});
    let slots: Vec<Slot> = (0..4).map(|_| core.admit(ms(0)).unwrap()).collect();
    slots.iter().for_each(|slot| core.sent(*slot, ms(0)));
    for slot in slots {
        core.finish(slot, &Outcome::of(OutcomeClass::Throttled), ms(10));
    }
    assert_eq!(core.status(ms(10)).limits[0].allowed, 4, "four refusals of one round trip are one");
    let later = core.admit(ms(20_000)).unwrap();
    core.sent(later, ms(20_000));
    core.finish(later, &Outcome::of(OutcomeClass::Throttled), ms(20_001));
    assert_eq!(core.status(ms(20_001)).limits[0].allowed, 2);
    for n in 0..80 {
        call(&mut core, ms(30_000 + n * 2_000)).unwrap();
    }
    assert_eq!(core.status(ms(200_000)).limits[0].allowed, 8);
}

#[test]
fn without_cool_down_the_rate_stays() {
    let mut core = core(&["8/s"], |config| config.cool_down_on_429 = false);
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    core.finish(slot, &Outcome::of(OutcomeClass::Throttled), ms(10));
    assert_eq!(core.status(ms(10)).limits[0].allowed, 8);
}

#[test]
fn paced_sends_one_per_interval() {
    let mut core = core(&["10/s", "60/min"], |config| {
        config.shape = Shape::Paced;
        config.guard = Guard::Auto;
    });
    call(&mut core, ms(0)).unwrap();
    assert_eq!(call(&mut core, ms(999)).unwrap_err().until, Some(ms(1_000)));
    call(&mut core, ms(1_000)).unwrap();
}

#[test]
fn counter_safe_bursts_once_holds_and_then_paces() {
    let mut core = core(&["4/s"], |config| config.shape = Shape::CounterSafe);
    let mut starts = Vec::new();
    let mut now = ms(0);
    while starts.len() < 8 {
        match call(&mut core, now) {
            Ok(()) => starts.push(now.as_millis()),
            Err(refusal) => now = refusal.until.unwrap(),
        }
    }
    assert_eq!(starts, [0, 0, 0, 0, 1000, 1250, 1500, 1750]);
    let rested = ms(10_000);
    (0..4).for_each(|_| call(&mut core, rested).unwrap());
}

#[test]
fn an_earlier_process_is_remembered() {
    let mut core = core(&["2/h"], |_| {});
    core.remember(ms(1_000));
    core.remember(ms(2_000));
    assert_eq!(
        core.admit(ms(3_000)).unwrap_err().until,
        Some(ms(1_000) + Duration::from_millis(3_601_800))
    );
}

#[test]
fn a_call_that_makes_a_connection_is_held_until_its_answer() {
    let mut core = core(&["1/s"], |config| config.guard = Guard::Fixed(Duration::from_millis(10)));
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    core.connecting(slot);
    assert!(core.admit(ms(2_000)).is_err(), "it may be counted any moment now");
    core.seen(slot, ms(2_000));
    assert_eq!(core.admit(ms(2_500)).unwrap_err().until, Some(Tick::from_nanos(3_000_500_000)));
}

#[test]
fn a_connection_that_is_made_lets_the_guard_count_from_there() {
    let mut core = core(&["1/s"], |config| config.guard = Guard::Fixed(Duration::from_millis(10)));
    let slot = core.admit(ms(0)).unwrap();
    core.sent(slot, ms(0));
    core.connecting(slot);
    assert!(core.admit(ms(300)).is_err());
    core.connected(slot, ms(300));
    assert_eq!(core.admit(ms(301)).unwrap_err().until, Some(Tick::from_nanos(1_310_500_000)));
    assert!(core.admit(Tick::from_nanos(1_310_500_000)).is_ok());
    core.seen(slot, ms(2_000));
    assert_eq!(core.status(ms(2_000)).limits[0].used, 1, "stamped once");
}
