//! What the vendor says is left (the RateLimit families) is heeded where it is less than we believe, and only there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock, Tick, Timestamp};
use paceline_governor::{Budget, BudgetConfig, Guard, Hints, Limit, Outcome, OutcomeClass, Shape};
use proptest::prelude::*;

use crate::support::{all, any_limits, assert_property_s, chance, config, draw, inside};

/// How the vendor writes its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Named, with its window, in whole seconds.
    Draft,
    /// Without its window, in milliseconds.
    Requests,
}

/// A vendor with fixed windows that other users share, and that refuses nobody: only what it says counts here.
struct Vendor {
    limit: Limit,
    family: Family,
    phase: Duration,
    /// How many calls others make before one of ours, at the most.
    others_max: u64,
    random: Random,
    /// The present window, and what was used of it.
    used: (u64, u64),
    sayings: Vec<Saying>,
    /// When each call was granted, and when it arrived.
    arrivals: Vec<(Tick, Tick)>,
}

/// What one response said.
#[derive(Clone, Copy, Debug)]
struct Saying {
    counted: Tick,
    heard: Tick,
    left: u64,
    resets: Tick,
    /// Calls that the budget had room for when it heard.
    believed: Option<u64>,
}

impl Vendor {
    /// A call arrives: how many are left, and until when.
    fn count(&mut self, granted: Tick, now: Tick) -> (u64, Tick) {
        self.arrivals.push((granted, now));
        let window = self.limit.window();
        let number = ((now + self.phase).as_nanos()) / window.as_nanos() as u64;
        if number != self.used.0 {
            self.used = (number, 0);
        }
        self.used.1 += 1 + self.random.next_u64() % (self.others_max + 1);
        let resets = Tick::from_nanos((number + 1) * window.as_nanos() as u64).before(self.phase);
        (u64::from(self.limit.count()).saturating_sub(self.used.1), resets)
    }

    fn hints(&self, left: u64, reset: Duration) -> Hints {
        let (count, window_s) = (self.limit.count(), self.limit.window().as_secs());
        let reset_s = reset.as_nanos().div_ceil(1_000_000_000);
        let reset_ms = reset.as_nanos().div_ceil(1_000_000);
        let headers = match self.family {
            Family::Draft => vec![
                ("RateLimit-Policy", format!("\"key\";q={count};w={window_s}")),
                ("RateLimit", format!("\"key\";r={left};t={reset_s}")),
            ],
            Family::Requests => vec![
                ("x-ratelimit-limit-requests", count.to_string()),
                ("x-ratelimit-remaining-requests", left.to_string()),
                ("x-ratelimit-reset-requests", format!("{reset_ms}ms")),
            ],
        };
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        Hints::read(headers, Timestamp::default())
    }
}

async fn call(
    budget: &Budget,
    clock: &Clock,
    vendor: &Mutex<Vendor>,
    [there, back]: [Duration; 2],
) {
    let mut permit = budget.acquire().await.unwrap();
    let granted = clock.now();
    permit.sent();
    clock.sleep(there).await;
    let counted = clock.now();
    let (left, resets) = vendor.lock().unwrap().count(granted, counted);
    clock.sleep(back).await;
    permit.seen();
    let status = budget.status().limits[0];
    let mut vendor = vendor.lock().unwrap();
    let hints = vendor.hints(left, resets - counted);
    let matched = vendor.family == Family::Draft && status.limit.window() == vendor.limit.window()
        || status.limit.count() == vendor.limit.count();
    let full = status.limit.count().min(vendor.limit.count());
    let believed = matched.then(|| u64::from(full).saturating_sub(status.used as u64));
    vendor.sayings.push(Saying { counted, heard: clock.now(), left, resets, believed });
    drop(vendor);
    permit.heard(&hints);
    permit.finish(&Outcome::of(OutcomeClass::Success));
}

/// A job and the vendor after it.
fn run(config: BudgetConfig, vendor: Vendor, calls: usize, delay: Duration) -> Vendor {
    run_from(config, vendor, calls, (delay * 8, delay))
}

/// The same with calls that start within `starts`.
fn run_from(
    config: BudgetConfig,
    vendor: Vendor,
    calls: usize,
    (starts, delay): (Duration, Duration),
) -> Vendor {
    SimClock::new().run(|clock| async move {
        let budget = Budget::new(config, clock.clone()).unwrap();
        let random = vendor.random.clone();
        let vendor = Arc::new(Mutex::new(vendor));
        let callers: Vec<_> = (0..calls)
            .map(|_| {
                let (budget, clock, vendor) = (budget.clone(), clock.clone(), Arc::clone(&vendor));
                let [starts, there, back] = [starts, delay, delay].map(|most| draw(&random, most));
                tokio::spawn(async move {
                    clock.sleep(starts).await;
                    call(&budget, &clock, &vendor, [there, back]).await;
                })
            })
            .collect();
        all(&clock, callers).await;
        Arc::into_inner(vendor).unwrap().into_inner().unwrap()
    })
}

fn any_vendor() -> impl Strategy<Value = (u64, u32, u64, Family, u64)> {
    let family = prop::sample::select(vec![Family::Draft, Family::Requests]);
    (any::<u64>(), 1_u32..12, 1_u64..10, family, 0_u64..3)
}

fn vendor((seed, count, window_s, family, others_max): (u64, u32, u64, Family, u64)) -> Vendor {
    let limit = Limit::new(count, Duration::from_secs(window_s)).unwrap();
    let random = Random::seeded(seed);
    let phase = draw(&random, limit.window());
    Vendor {
        limit,
        family,
        phase,
        others_max,
        random,
        used: (0, 0),
        sayings: Vec::new(),
        arrivals: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_more_calls_go_than_the_vendor_said_are_left_until_its_reset(
        told in any_vendor(),
        count in 1_u32..12,
        calls in 1_usize..40,
        delay_ms in 0_u64..500,
    ) {
        let vendor = vendor(told);
        let own = Limit::new(count, vendor.limit.window()).unwrap();
        let config = config([own], Shape::Burst, Guard::Strict);
        let vendor = run(config, vendor, calls, Duration::from_millis(delay_ms));
        // What says as much as we believe, or more, is not about others, and our own limit keeps it.
        let less = |saying: &&Saying| saying.believed.is_none_or(|believed| saying.left < believed);
        for saying in vendor.sayings.iter().filter(less) {
            let inside = |at: Tick| at > saying.counted && at < saying.resets;
            let (later, before): (Vec<(Tick, Tick)>, _) = vendor.arrivals.iter().copied()
                .filter(|(_, at)| inside(*at))
                .partition(|(granted, _)| *granted > saying.heard);
            // Those that were on their way already nobody could stop.
            let left = saying.left.saturating_sub(before.len() as u64);
            prop_assert!(later.len() as u64 <= left, "{:?}: {} later, {} on their way", saying, later.len(), before.len());
        }
    }

    #[test]
    fn a_lower_limit_that_the_vendor_names_is_kept_from_then_on(
        told in any_vendor(),
        more in 0_u32..12,
        calls in 1_usize..40,
        delay_ms in 0_u64..500,
    ) {
        let vendor = Vendor { family: Family::Draft, ..vendor(told) };
        let own = Limit::new(vendor.limit.count() + more, vendor.limit.window()).unwrap();
        let config = config([own], Shape::Burst, Guard::Strict);
        let vendor = run(config, vendor, calls, Duration::from_millis(delay_ms));
        let first_heard = vendor.sayings.iter().map(|saying| saying.heard).min().unwrap();
        let mut arrivals: Vec<(Tick, bool)> =
            vendor.arrivals.iter().map(|(granted, at)| (*at, *granted > first_heard)).collect();
        arrivals.sort_unstable();
        for full in arrivals.windows(vendor.limit.count() as usize + 1) {
            let (first, last) = (full[0].0, full[full.len() - 1].0);
            let knew = full.iter().any(|(_, knew)| *knew);
            prop_assert!(!knew || !inside(first, last, vendor.limit.window()), "{:?}", full);
        }
    }

    #[test]
    fn hints_that_agree_cost_nothing(
        told in any_vendor(),
        calls in 1_usize..40,
        starts_ms in 0_u64..8_000,
    ) {
        // Without latency: on its way back an answer gets out of date, and then it need not agree.
        let starts = |heed_hints| {
            let vendor = Vendor { others_max: 0, ..vendor(told) };
            let config = config([vendor.limit], Shape::Burst, Guard::Strict);
            let config = BudgetConfig { heed_hints, ..config };
            let times = (Duration::from_millis(starts_ms), Duration::ZERO);
            run_from(config, vendor, calls, times).arrivals
        };
        prop_assert_eq!(starts(true), starts(false));
    }

    #[test]
    fn no_hint_makes_anything_faster_than_configured(
        seed in any::<u64>(),
        limits in any_limits(),
        calls in 1_usize..60,
        delay_ms in 0_u64..300,
    ) {
        let delay = Duration::from_millis(delay_ms);
        let config = config(limits.clone(), Shape::Burst, Guard::Strict);
        let arrivals = SimClock::new().run(|clock| async move {
            let budget = Budget::new(config, clock.clone()).unwrap();
            let random = Random::seeded(seed);
            let arrivals = Arc::new(Mutex::new(Vec::new()));
            let callers: Vec<_> = (0..calls)
                .map(|_| {
                    let some = |most: u64| random.next_u64() % most;
                    let told = (random.next_u64(), 1 + some(1_000) as u32, 1 + some(3), Family::Draft, 0);
                    let told = Vendor {
                        family: if chance(&random, 0.5) { Family::Draft } else { Family::Requests },
                        ..vendor(told)
                    };
                    let hints = told.hints(some(1_000), draw(&random, Duration::from_secs(3)));
                    let [there, back] = [(); 2].map(|()| draw(&random, delay));
                    let (budget, clock, arrivals) = (budget.clone(), clock.clone(), Arc::clone(&arrivals));
                    tokio::spawn(async move {
                        let mut permit = budget.acquire().await.unwrap();
                        permit.sent();
                        clock.sleep(there).await;
                        arrivals.lock().unwrap().push(clock.now());
                        clock.sleep(back).await;
                        permit.seen();
                        permit.heard(&hints);
                        permit.finish(&Outcome::of(OutcomeClass::Success));
                    })
                })
                .collect();
            all(&clock, callers).await;
            let arrivals = arrivals.lock().unwrap();
            arrivals.clone()
        });
        for limit in &limits {
            assert_property_s(&arrivals, limit)?;
        }
    }
}
