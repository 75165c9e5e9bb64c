//! What once left a caller waiting for ever, or longer than it had to; the model checks (`src/model_check`) found it.

use std::future::Future;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_governor::{
    Ask, BreakerConfig, Budget, BudgetConfig, Gates, Guard, Outcome, OutcomeClass, Permit,
    Priority, Refused,
};

const KEY_REFUSED: Outcome = Outcome {
    class: OutcomeClass::ConfigurationCaused,
    retry_after: None,
    credential_refused: true,
};

/// No limits and so many calls at once.
fn at_once(calls: u32, clock: &Clock) -> Budget {
    let config = BudgetConfig { concurrent_max: Some(calls), ..BudgetConfig::new([]) };
    Budget::new(config, clock.clone()).unwrap()
}

fn per_second(calls: u32, change: impl FnOnce(&mut BudgetConfig), clock: &Clock) -> Budget {
    let mut config = BudgetConfig::new([format!("{calls}/s").parse().unwrap()]);
    config.guard = Guard::Strict;
    change(&mut config);
    Budget::new(config, clock.clone()).unwrap()
}

fn succeed(mut permit: Permit) {
    permit.sent();
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
}

/// What comes of waiting, and after how many milliseconds; the test ends here if nothing does.
async fn within<T>(clock: &Clock, seconds: u64, future: impl Future<Output = T>) -> (T, u64) {
    let begin = clock.now();
    tokio::select! {
        answer = future => (answer, (clock.now() - begin).as_millis() as u64),
        () = clock.sleep(Duration::from_secs(seconds)) => panic!("nothing for {seconds} s"),
    }
}

/// Lets every other task go on until it waits.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn callers_with_the_same_two_budgets_the_other_way_round_both_get_through() {
    SimClock::new().run(|clock| async move {
        let (a, b) = (at_once(1, &clock), at_once(1, &clock));
        let (there, back) = (Gates::new(a.clone(), b.clone()), Gates::new(b.clone(), a));
        let held = b.try_acquire().unwrap();
        let [one, other] = [back, there]
            .map(|gates| tokio::spawn(async move { succeed(gates.acquire().await.unwrap()) }));
        settle().await;
        succeed(held);
        within(&clock, 60, one).await.0.unwrap();
        within(&clock, 60, other).await.0.unwrap();
    });
}

#[test]
fn who_comes_first_in_its_column_passes_one_of_its_own_that_is_due_in_the_shared_line() {
    SimClock::new().run(|clock| async move {
        let key = per_second(1, |_| {}, &clock);
        let column = || Gates::new(at_once(9, &clock), key.clone());
        let (slow, busy) = (column(), column());
        let high = Ask::new().priority(Priority::High);
        succeed(busy.acquire().await.unwrap());
        let passed_over = slow.clone();
        let passed_over =
            tokio::spawn(async move { succeed(passed_over.acquire().await.unwrap()) });
        settle().await;
        for _ in 0..8 {
            succeed(within(&clock, 2, busy.acquire_with(high)).await.0.unwrap());
        }
        // The other one is due among all columns, but not in its own.
        succeed(within(&clock, 60, slow.acquire_with(high)).await.0.unwrap());
        within(&clock, 60, passed_over).await.0.unwrap();
    });
}

#[test]
fn who_waits_when_the_breaker_refuses_gets_the_probe_when_it_is_due() {
    SimClock::new().run(|clock| async move {
        let probe_after = Some(Duration::from_secs(5));
        let breaker =
            BreakerConfig { credentials_refused_max: 1, probe_after, ..BreakerConfig::default() };
        let config = BudgetConfig { breaker, ..BudgetConfig::new([]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        budget.acquire().await.unwrap().finish(&KEY_REFUSED);
        let (permit, waited_ms) = within(&clock, 60, budget.acquire()).await;
        succeed(permit.unwrap());
        assert_eq!(waited_ms, 5_000);
    });
}

#[test]
fn a_full_window_does_not_hide_a_trip_from_those_who_wait() {
    SimClock::new().run(|clock| async move {
        let breaker = BreakerConfig { credentials_refused_max: 1, ..BreakerConfig::default() };
        let budget = per_second(1, |config| config.breaker = breaker, &clock);
        let permit = budget.acquire().await.unwrap();
        let waits = budget.clone();
        let waits = tokio::spawn(async move { waits.acquire().await });
        settle().await;
        permit.finish(&KEY_REFUSED);
        let (answer, waited_ms) = within(&clock, 60, waits).await;
        assert!(matches!(answer.unwrap(), Err(Refused::Breaker(_))));
        assert_eq!(waited_ms, 0);
    });
}

#[test]
fn who_came_before_the_sending_waits_no_longer_than_the_bound_of_a_call_without_an_answer() {
    SimClock::new().run(|clock| async move {
        let guard = Guard::Fixed(Duration::from_millis(50));
        let budget = per_second(1, |config| config.guard = guard, &clock);
        let mut silent = budget.acquire().await.unwrap();
        let waits = budget.clone();
        let waits = tokio::spawn(async move { succeed(waits.acquire().await.unwrap()) });
        settle().await;
        silent.sent();
        let (ended, waited_ms) = within(&clock, 60, waits).await;
        ended.unwrap();
        assert_eq!(waited_ms, 1_050);
    });
}
