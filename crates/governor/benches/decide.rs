//! What one decision costs: `cargo bench -p paceline-governor`.
//!
//! `decide` is the whole life of a call in the core (admit, sent, seen, finish) with the time given; `acquire` the same
//! through the async shell with the system's clock; the figures with waiters hand permits down a queue of 1,000.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use divan::{Bencher, black_box};
use paceline_clock::{Clock, Tick};
use paceline_governor::{Budget, BudgetConfig, Core, Guard, Limit, Outcome, OutcomeClass};

fn main() {
    divan::main();
}

fn config(limits: &[&str]) -> BudgetConfig {
    let limits = limits.iter().filter_map(|text| text.parse::<Limit>().ok());
    BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits) }
}

/// Between two calls: so long that the windows below never fill, however long it is measured.
const STEP_NANOS: u64 = 100_000;
const SETS: [&[&str]; 3] = [&[], &["1000000/s"], &["1000000/s", "1000000/min"]];

#[divan::bench(args = [0, 1, 2])]
fn decide_admit_only(bencher: Bencher<'_, '_>, limits: usize) {
    let Ok(mut core) = Core::new(config(SETS[limits])) else {
        return;
    };
    let mut now = 0;
    bencher.bench_local(|| {
        now += STEP_NANOS;
        let slot = core.admit(Tick::from_nanos(now));
        if let Ok(slot) = slot {
            core.give_back(slot, None, Tick::from_nanos(now));
        }
        black_box(slot)
    });
}

#[divan::bench(args = [0, 1, 2])]
fn decide_whole_call(bencher: Bencher<'_, '_>, limits: usize) {
    let Ok(mut core) = Core::new(config(SETS[limits])) else {
        return;
    };
    let good = Outcome::of(OutcomeClass::Success);
    let mut now = 0;
    bencher.bench_local(|| {
        now += STEP_NANOS;
        let at = Tick::from_nanos(now);
        if let Ok(slot) = core.admit(at) {
            core.sent(slot, at);
            core.seen(slot, at);
            core.finish(slot, &good, at);
        }
    });
}

#[divan::bench]
fn decide_refused(bencher: Bencher<'_, '_>) {
    let Ok(mut core) = Core::new(config(&["1/h", "1/d"])) else {
        return;
    };
    let _held = core.admit(Tick::from_nanos(1));
    bencher.bench_local(|| black_box(core.admit(Tick::from_nanos(2))));
}

#[divan::bench]
fn acquire_uncontended(bencher: Bencher<'_, '_>) {
    let Ok(budget) = Budget::new(config(SETS[2]), Clock::system()) else {
        return;
    };
    let good = Outcome::of(OutcomeClass::Success);
    bencher.bench_local(|| {
        if let Some(mut permit) = ready(&mut budget.acquire()) {
            permit.sent();
            permit.seen();
            permit.finish(&good);
        }
    });
}

/// One permit is finished, goes to the first of 1,000 waiters, who takes it and is replaced by a new last one.
#[divan::bench]
fn hand_over_with_1000_waiters(bencher: Bencher<'_, '_>) {
    let config = BudgetConfig { concurrent_max: Some(1), ..config(SETS[2]) };
    let Ok(budget) = Budget::new(config, Clock::system()) else {
        return;
    };
    let good = Outcome::of(OutcomeClass::Success);
    let mut held = ready(&mut budget.acquire());
    let mut waiters = std::collections::VecDeque::new();
    for _ in 0..1_000 {
        let mut waiter = budget.acquire();
        let _ = ready(&mut waiter);
        waiters.push_back(waiter);
    }
    bencher.bench_local(|| {
        if let Some(mut permit) = held.take() {
            permit.sent();
            permit.seen();
            permit.finish(&good);
        }
        if let Some(mut first) = waiters.pop_front() {
            held = ready(&mut first);
        }
        let mut last = budget.acquire();
        let _ = ready(&mut last);
        waiters.push_back(last);
    });
    assert!(held.is_some(), "the permit was handed down the queue");
}

fn ready<T, E>(future: &mut (impl Future<Output = Result<T, E>> + Unpin)) -> Option<T> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.ok(),
        Poll::Pending => None,
    }
}
