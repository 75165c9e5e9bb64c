//! Spec G13: weights are reserved by estimate and settled by the true usage, and never exceed a limit of tokens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Random, SimClock, Tick};
use paceline_governor::{
    Ask, Budget, BudgetConfig, Core, Guard, Limit, Outcome, OutcomeClass, Refused, Shape,
};
use proptest::prelude::*;

use crate::support::{
    Fate, Journey, Reference, Ride, all, assert_weights_fit, config, draw, inside, travel,
    with_drift,
};

/// Tokens of the smallest limit at the most.
const TOKENS_MAX: u32 = 1_000;

/// One or two limits of tokens, and perhaps one of calls beside them.
fn any_limits() -> impl Strategy<Value = Vec<Limit>> {
    let window = || (20_u64..2_000).prop_map(Duration::from_millis);
    let tokens = (TOKENS_MAX..3 * TOKENS_MAX, window())
        .prop_map(|(count, window)| Limit::tokens(count, window).unwrap());
    let calls =
        (1_u32..20, window()).prop_map(|(count, window)| Limit::new(count, window).unwrap());
    (prop::collection::vec(tokens, 1..3), prop::option::of(calls))
        .prop_map(|(tokens, calls)| tokens.into_iter().chain(calls).collect())
}

/// How estimates relate to the truth.
#[derive(Clone, Copy, Debug)]
enum Estimates {
    UpperBounds,
    Anything,
}

/// Calls of 0 up to `TOKENS_MAX` tokens whose bodies may take longer than a window.
fn journeys(random: &Random, calls: usize, delay: Duration, estimates: Estimates) -> Vec<Journey> {
    let tokens = |most: u32| (random.next_u64() % (u64::from(most) + 1)) as u32;
    let journey = |_| {
        let estimate = match random.next_u64() % 4 {
            0 => tokens(TOKENS_MAX),
            1 => TOKENS_MAX,
            _ => tokens(TOKENS_MAX / 8),
        };
        let journey = Journey::any(random, delay * 4, delay);
        let tokens = match estimates {
            // What has no answer is never settled, and a refused call took nothing that counts.
            _ if journey.fate != Fate::Answered => estimate,
            Estimates::UpperBounds => tokens(estimate),
            Estimates::Anything => tokens(TOKENS_MAX),
        };
        let fate = if journey.fate == Fate::Throttled { Fate::Answered } else { journey.fate };
        Journey { fate, estimate, tokens, body: draw(random, delay * 8), ..journey }
    };
    (0..calls).map(journey).collect()
}

/// The rides in the order of joining, and what arrived at the vendor with its true weight.
fn run(config: BudgetConfig, journeys: Vec<Journey>) -> (Vec<Ride>, Vec<(Tick, u32)>) {
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
        rides.sort_by_key(|ride| ride.joined);
        let arrivals = vendor.lock().unwrap().clone();
        (rides, arrivals)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_settled_never_exceeds_the_limit_when_estimates_are_upper_bounds(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..60,
        delay_ms in 0_u64..500,
        shape in prop::sample::select(Shape::ALL.to_vec()),
        strict in any::<bool>(),
    ) {
        let (random, delay) = (Random::seeded(seed), Duration::from_millis(delay_ms));
        let guard = if strict { Guard::Strict } else { Guard::Fixed(delay) };
        let journeys = journeys(&random, calls, delay, Estimates::UpperBounds);
        let (_, arrivals) = run(config(limits.clone(), shape, guard), journeys);
        for limit in limits.iter().filter(|limit| limit.count() >= TOKENS_MAX) {
            assert_weights_fit(&arrivals, limit)?;
        }
    }

    #[test]
    fn every_call_goes_when_its_tokens_fit_whatever_was_estimated_and_a_heavy_head_is_not_overtaken(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..40,
        delay_ms in 0_u64..500,
    ) {
        // Some latency, for of a grant and a settling at one moment nobody can tell which came first.
        let (random, delay) = (Random::seeded(seed), Duration::from_millis(delay_ms.max(1)));
        let mut journeys = journeys(&random, calls, delay, Estimates::Anything);
        // A heavy one that went away would have kept the others waiting, and the reference does not see it.
        journeys.iter_mut().for_each(|journey| journey.patience = None);
        let (rides, _) = run(config(limits.clone(), Shape::Burst, Guard::Strict), journeys);
        // The reference takes refunds and additions into account from the moment they are told: a refund frees room at
        // once, and after too low an estimate the later calls wait.
        let reference = Reference { limits, concurrent_max: None };
        for (number, wanted) in reference.grants(&rides).enumerate() {
            prop_assert_eq!(rides[number].granted, wanted, "call {} of {:#?}", number, rides);
        }
    }

    #[test]
    fn too_low_estimates_overshoot_by_no_more_than_what_was_under_way(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..60,
        delay_ms in 0_u64..500,
    ) {
        // Some latency, for of a grant and a settling at one moment nobody can tell which came first.
        let (random, delay) = (Random::seeded(seed), Duration::from_millis(delay_ms.max(1)));
        let journeys = journeys(&random, calls, delay, Estimates::Anything);
        let (rides, _) = run(config(limits.clone(), Shape::Burst, Guard::Strict), journeys);
        for limit in limits.iter().filter(|limit| limit.count() >= TOKENS_MAX) {
            for (number, last) in rides.iter().enumerate() {
                // What may share a window with this call when it goes, by the moments that a call counts for sure.
                let shares = |ride: &&Ride| ride.hi.is_some_and(|hi| hi >= last.granted || inside(hi, last.granted, limit.window()));
                let truth = |ride: &Ride| u64::from(ride.settled.map_or(ride.estimate, |(_, tokens)| tokens));
                let unsettled = |ride: &&Ride| ride.settled.is_some_and(|(at, _)| at > last.granted);
                let too_low = |ride: &Ride| truth(ride).saturating_sub(u64::from(ride.estimate));
                let inside: Vec<&Ride> = rides[..=number].iter().filter(shares).collect();
                let used: u64 = inside.iter().map(|ride| truth(ride)).sum();
                let under_way: u64 =
                    inside.iter().copied().filter(unsettled).map(too_low).sum();
                prop_assert!(used <= u64::from(limit.count()) + under_way, "{}: {} with {} under way", limit, used, under_way);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_log_in_slices_is_never_early_and_a_slice_late_at_the_most(
        seed in any::<u64>(),
        count in 65_537_u32..2_000_000,
        window_ms in 1_000_u64..100_000,
        calls in 1_usize..150,
    ) {
        let limit = Limit::tokens(count, Duration::from_millis(window_ms)).unwrap();
        let slice = with_drift(limit.window()) / 65_536 + Duration::from_nanos(1);
        let random = Random::seeded(seed);
        let mut core = Core::new(config([limit], Shape::Burst, Guard::Strict)).unwrap();
        let reference = Reference { limits: vec![limit], concurrent_max: None };
        let mut rides: Vec<Ride> = Vec::new();
        let mut now = Tick::ZERO;
        for _ in 0..calls {
            let estimate = 1 + (random.next_u64() % u64::from(count / 20)) as u32;
            let wanted = reference.earliest(&rides, now, estimate);
            let slot = loop {
                match core.admit_tokens(now, estimate) {
                    Ok(slot) => break slot,
                    Err(refusal) => now = refusal.until.unwrap(),
                }
            };
            prop_assert!(now >= wanted, "{:?} is earlier than {:?}", now, wanted);
            prop_assert!(now - wanted <= slice, "{:?} late", now - wanted);
            core.sent(slot, now);
            core.seen(slot, now);
            let tokens = estimate - (random.next_u64() % u64::from(estimate)) as u32;
            core.settle(slot, tokens);
            core.finish(slot, &Outcome::of(OutcomeClass::Success), now);
            let settled = Some((now, tokens));
            rides.push(Ride { joined: now, granted: now, hi: Some(now), over: now, estimate, settled });
            now = now + draw(&random, slice * 2);
        }
    }
}

#[test]
fn a_refund_frees_room_at_once_and_what_can_never_fit_is_refused_at_once() {
    SimClock::new().run(|clock| async move {
        let limit = Limit::tokens(100, Duration::from_secs(60)).unwrap();
        let config = config([limit], Shape::Burst, Guard::Strict);
        let budget = Budget::new(config, clock.clone()).unwrap();
        let refused = budget.acquire_with(Ask::new().tokens(101)).await.unwrap_err();
        assert_eq!(refused, Refused::NeverFits { tokens: 101, limit });
        let too_many = budget.acquire_with(Ask::new().tokens(u64::MAX)).await.unwrap_err();
        assert_eq!(too_many, Refused::NeverFits { tokens: u64::MAX, limit });

        let mut first = budget.acquire_with(Ask::new().tokens(90)).await.unwrap();
        first.sent();
        let waiter = {
            let (budget, clock) = (budget.clone(), clock.clone());
            tokio::spawn(async move {
                budget.acquire_with(Ask::new().tokens(60)).await.unwrap().not_sent(None);
                clock.now().as_millis()
            })
        };
        clock.sleep(Duration::from_millis(10)).await;
        first.seen();
        clock.sleep(Duration::from_millis(10)).await;
        first.settle(40);
        assert_eq!(waiter.await.unwrap(), 20);
        first.finish(&Outcome::of(OutcomeClass::Success));
    });
}

#[test]
fn a_refund_that_comes_after_its_window_takes_nothing_off_a_later_call() {
    // Found by the properties: the later call's entry was settled instead.
    let at = Tick::from_millis;
    let limit = Limit::tokens(100, Duration::from_secs(1)).unwrap();
    let mut core = Core::new(config([limit], Shape::Burst, Guard::Strict)).unwrap();
    let slow = core.admit_tokens(at(0), 100).unwrap();
    core.seen(slow, at(1));
    let later = core.admit_tokens(at(1_500), 100).unwrap();
    core.seen(later, at(1_501));
    core.settle(slow, 0);
    assert!(core.admit_tokens(at(1_502), 1).is_err(), "the later call took the whole second");
}

#[test]
fn of_two_calls_that_were_counted_at_one_moment_each_gets_its_own_refund() {
    let at = Tick::from_millis;
    let limit = Limit::tokens(100, Duration::from_secs(1)).unwrap();
    let mut core = Core::new(config([limit], Shape::Burst, Guard::Strict)).unwrap();
    let [light, heavy] = [5, 95].map(|tokens| core.admit_tokens(at(0), tokens).unwrap());
    core.seen(light, at(1));
    core.seen(heavy, at(1));
    core.settle(heavy, 10);
    assert!(core.admit_tokens(at(2), 85).is_ok(), "85 are free again");
}

#[test]
fn a_usage_beyond_all_sense_holds_its_window_and_no_longer() {
    // A log of slices once forgot to take off what a slice could not count.
    let at = Tick::from_millis;
    let limit = Limit::tokens(100_000, Duration::from_secs(1)).unwrap();
    let mut core = Core::new(config([limit], Shape::Burst, Guard::Strict)).unwrap();
    let [first, second] = [50_000, 50_000].map(|tokens| core.admit_tokens(at(0), tokens).unwrap());
    core.seen(first, at(1));
    core.settle(first, u32::MAX);
    core.seen(second, at(1));
    assert!(core.admit_tokens(at(1_000), 1).is_err());
    assert!(core.admit_tokens(at(1_002), 100_000).is_ok());
}
