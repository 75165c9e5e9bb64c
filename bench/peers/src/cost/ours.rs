//! Our own decisions: two windows, a cap on concurrency and the queue, in one.
//!
//! The windows have counts above what a loop can ask, and are so short that calls leave them as fast as they enter: the
//! logs are in the state in which they live, neither empty nor growing.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Tick};
use paceline_governor::{Budget, BudgetConfig, Core, Guard, Limit, Outcome, OutcomeClass, Permit, Shape};

use super::{CHUNK, Operation, timed};
use crate::Failure;

pub(super) fn operations() -> Result<Vec<Operation>, Failure> {
    Ok(vec![
        core("ours: Core, admit, two windows + cap, the time given", false)?,
        core("ours: Core, whole call (admit, sent, seen, finish)", true)?,
        decision("ours: Budget::try_acquire, two windows + cap + queue", Guard::Auto)?,
        decision("ours: the same, guard strict", Guard::Strict)?,
        whole_call("ours: Budget, whole call (try_acquire, sent, seen, finish)", Guard::Auto)?,
        auto("ours: the same, shape auto")?,
        refused("ours: Budget::try_acquire, refused")?,
    ])
}

fn config(limits: [(u32, Duration); 2], guard: Guard) -> Result<BudgetConfig, Failure> {
    let [short, long] = limits.map(|(count, window)| Limit::new(count, window));
    let concurrent_max = Some(4 * CHUNK as u32);
    // Shape auto would hold back what is not answered until it knows the vendor; what it costs has a row of its own.
    let shape = Shape::Burst;
    Ok(BudgetConfig { guard, shape, concurrent_max, ..BudgetConfig::new([short?, long?]) })
}

/// Windows for the system's clock: some thousands of calls are inside at any time.
fn brief(guard: Guard) -> Result<BudgetConfig, Failure> {
    config([(500_000, Duration::from_millis(1)), (1_000_000, Duration::from_millis(2))], guard)
}

fn core(name: &'static str, whole: bool) -> Result<Operation, Failure> {
    // A call every 10 ms of the given time: 100 are inside the short window, 6,000 inside the long one.
    const STEP_NANOS: u64 = 10_000_000;
    let limits = [(1_000, Duration::from_secs(1)), (10_000, Duration::from_secs(60))];
    let state = Mutex::new((Core::new(config(limits, Guard::Auto)?)?, 0));
    let good = Outcome::of(OutcomeClass::Success);
    let mut operation = Operation::new(name, move |_, ops| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (core, nanos) = &mut *state;
        let mut slots = Vec::with_capacity(CHUNK);
        let mut took = Duration::ZERO;
        for _ in 0..ops / CHUNK {
            took += timed(|| {
                for _ in 0..CHUNK {
                    *nanos += STEP_NANOS;
                    let now = Tick::from_nanos(*nanos);
                    match black_box(core.admit(now)) {
                        Ok(slot) if whole => {
                            core.sent(slot, now);
                            core.seen(slot, now);
                            core.finish(slot, &good, now);
                        }
                        Ok(slot) => slots.push(slot),
                        Err(refusal) => panic!("the core refused: {refusal:?}"),
                    }
                }
            });
            let now = Tick::from_nanos(*nanos);
            for slot in slots.drain(..) {
                core.sent(slot, now);
                core.seen(slot, now);
                core.finish(slot, &good, now);
            }
        }
        took
    });
    operation.shared = false;
    Ok(operation)
}

/// The decision alone; the permits are finished untimed.
fn decision(name: &'static str, guard: Guard) -> Result<Operation, Failure> {
    let budget = Budget::new(brief(guard)?, Clock::system())?;
    Ok(Operation::new(name, move |_, ops| {
        let mut permits = Vec::with_capacity(CHUNK);
        let mut took = Duration::ZERO;
        for _ in 0..ops / CHUNK {
            took += timed(|| permits.extend((0..CHUNK).map(|_| acquired(&budget))));
            permits.drain(..).for_each(end);
        }
        took
    }))
}

fn whole_call(name: &'static str, guard: Guard) -> Result<Operation, Failure> {
    let budget = Budget::new(brief(guard)?, Clock::system())?;
    Ok(Operation::new(name, move |_, ops| timed(|| (0..ops).for_each(|_| end(acquired(&budget))))))
}

fn auto(name: &'static str) -> Result<Operation, Failure> {
    let config = BudgetConfig { shape: Shape::Auto, ..brief(Guard::Auto)? };
    let budget = Budget::new(config, Clock::system())?;
    Ok(Operation::new(name, move |_, ops| timed(|| (0..ops).for_each(|_| end(acquired(&budget))))))
}

fn refused(name: &'static str) -> Result<Operation, Failure> {
    let hour = Duration::from_secs(3600);
    let budget = Budget::new(config([(1, hour), (1, hour * 24)], Guard::Auto)?, Clock::system())?;
    let held = Mutex::new(budget.try_acquire().map_err(|refusal| format!("{refusal:?}"))?);
    Ok(Operation::new(name, move |_, ops| {
        // The budget's only call stays under way as long as this closure lives.
        black_box(&held);
        timed(|| (0..ops).for_each(|_| assert!(black_box(budget.try_acquire()).is_err())))
    }))
}

/// A permit. Two threads that read the clock before they get the lock may come in the wrong order, and the later one is
/// then refused until a moment that is over already: it asks again, which is part of its cost.
fn acquired(budget: &Budget) -> Permit {
    const TRIES: usize = 100;
    match (0..TRIES).find_map(|_| budget.try_acquire().ok()) {
        Some(permit) => permit,
        None => panic!("a budget refused although its limits are vast: {budget:?}"),
    }
}

fn end(mut permit: Permit) {
    permit.sent();
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
}
