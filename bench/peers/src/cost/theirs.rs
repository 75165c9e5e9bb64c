//! The peers' decisions. Their quotas are far above what a loop can ask, so that everything is accepted.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter as Governor};
use leaky_bucket::RateLimiter as LeakyBucket;

use super::{KEYS, Operation, Walk, key, timed};
use crate::Failure;

/// Tokens that no run of this bench uses up.
const PLENTY: usize = 1 << 60;

pub(super) fn operations() -> Result<Vec<Operation>, Failure> {
    let mut operations =
        vec![direct(), refused(), two_windows(), two_windows_apart(), two_windows_time_given()];
    operations.push(leaky_bucket());
    operations.push(walk_alone());
    operations.push(keyed()?);
    Ok(operations)
}

/// One call per nanosecond, and a burst of four thousand million.
fn vast() -> Quota {
    Quota::with_period(Duration::from_nanos(1)).map_or_else(
        || Quota::per_second(NonZeroU32::MAX),
        |quota| quota.allow_burst(NonZeroU32::MAX),
    )
}

fn direct() -> Operation {
    let limiter = Governor::direct(vast());
    Operation::new("governor: direct check", move |_, ops| {
        timed(|| (0..ops).for_each(|_| as_expected(limiter.check().is_ok())))
    })
}

fn refused() -> Operation {
    let limiter = Governor::direct(Quota::per_hour(NonZeroU32::MIN));
    as_expected(limiter.check().is_ok());
    Operation::new("governor: direct check, refused", move |_, ops| {
        timed(|| (0..ops).for_each(|_| as_expected(limiter.check().is_err())))
    })
}

fn two_windows() -> Operation {
    let limiters = [Governor::direct(vast()), Governor::direct(vast())];
    Operation::new("governor: two limiters, both checked", move |_, ops| {
        check_both(ops, &limiters[0], &limiters[1])
    })
}

/// Each on cache lines of its own; side by side they disturb one another when two threads ask.
fn two_windows_apart() -> Operation {
    #[repr(align(128))]
    struct Apart(DefaultDirectRateLimiter);
    let limiters = [Apart(Governor::direct(vast())), Apart(Governor::direct(vast()))];
    Operation::new("governor: the same, on cache lines of their own", move |_, ops| {
        check_both(ops, &limiters[0].0, &limiters[1].0)
    })
}

fn check_both(
    ops: usize,
    short: &DefaultDirectRateLimiter,
    long: &DefaultDirectRateLimiter,
) -> Duration {
    timed(|| (0..ops).for_each(|_| as_expected(short.check().is_ok() && long.check().is_ok())))
}

/// What is left of the decision when nobody reads a clock: the fair neighbour of our core, which is given the time.
fn two_windows_time_given() -> Operation {
    let clock = FakeRelativeClock::default();
    let limiter = || Governor::direct_with_clock(vast(), clock.clone());
    let limiters = [limiter(), limiter()];
    let clock = clock.clone();
    let mut operation = Operation::new("governor: two limiters, the time given", move |_, ops| {
        let step = Duration::from_nanos(20);
        timed(|| {
            (0..ops).for_each(|_| {
                clock.advance(step);
                as_expected(limiters.iter().all(|limiter| limiter.check().is_ok()));
            });
        })
    });
    operation.shared = false;
    operation
}

fn leaky_bucket() -> Operation {
    let limiter = LeakyBucket::builder().max(PLENTY).initial(PLENTY).build();
    Operation::new("leaky-bucket: try_acquire", move |_, ops| {
        timed(|| (0..ops).for_each(|_| as_expected(limiter.try_acquire(1))))
    })
}

/// The floor of every keyed row: finding the next key in memory, and reading it.
fn walk_alone() -> Operation {
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let walk = Walk::default();
    Operation::new("floor: fetching each of 1M String keys", move |thread, ops| {
        let fetch = |at: usize| as_expected(keys[at].ends_with(|last: char| last.is_ascii_digit()));
        timed(|| walk.next(thread, ops).for_each(fetch))
    })
}

fn keyed() -> Result<Operation, Failure> {
    let limiter: DefaultKeyedRateLimiter<String> = Governor::keyed(vast());
    let keys: Arc<[String]> = (0..KEYS).map(key).collect();
    if !keys.iter().all(|key| limiter.check_key(key).is_ok()) {
        return Err("governor refused a key's first call".into());
    }
    let walk = Walk::default();
    Ok(Operation::new("governor: keyed check, 1M String keys, one window", move |thread, ops| {
        timed(|| {
            walk.next(thread, ops).for_each(|at| as_expected(limiter.check_key(&keys[at]).is_ok()));
        })
    }))
}

/// The other answer costs something else.
fn as_expected(is: bool) {
    assert!(black_box(is), "a limiter gave the answer that is not to be measured");
}
