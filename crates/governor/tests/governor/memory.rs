//! Spec G11: a process that is killed at any moment and starts again never exceeds a limit, and forgets nothing it learnt.

mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock, Tick};
use paceline_governor::{
    Budget, BudgetConfig, Core, Guard, Limit, Outcome, OutcomeClass, Shape, Snapshot,
};
use paceline_lab::{Enforcer, Policy, Verdict};
use proptest::prelude::*;

use crate::support::{Journey, any_limits, assert_property_s, config, draw, inside, travel};

/// What one process sent: when it arrived at the vendor.
type Arrivals = Vec<Tick>;
/// The same with the tokens that it took.
type Weighed = Vec<(Tick, u32)>;

/// Through text, as a file keeps it.
fn saved_and_read(snapshot: &Snapshot) -> Snapshot {
    serde_json::from_str(&serde_json::to_string(snapshot).unwrap()).unwrap()
}

/// A process that starts from a snapshot, is killed after `lives`, and what it leaves behind.
async fn process(
    config: BudgetConfig,
    clock: &Clock,
    (snapshot, elapsed): (&Snapshot, Duration),
    journeys: Vec<Journey>,
    lives: Duration,
) -> (Snapshot, Weighed) {
    let budget = Budget::new(config, clock.clone()).unwrap();
    budget.restore(&saved_and_read(snapshot), elapsed);
    let vendor = Arc::new(Mutex::new(Vec::new()));
    let callers: Vec<_> = journeys
        .into_iter()
        .map(|journey| {
            let (budget, clock, vendor) = (budget.clone(), clock.clone(), Arc::clone(&vendor));
            tokio::spawn(async move { travel(&budget, &clock, journey, &vendor).await })
        })
        .collect();
    clock.sleep(lives).await;
    let snapshot = budget.snapshot();
    callers.iter().for_each(|caller| caller.abort());
    for caller in callers {
        // Gone before the next process starts; what it sent arrives all the same.
        let _ = caller.await;
    }
    let arrivals = vendor.lock().unwrap().clone();
    (snapshot, arrivals)
}

/// What the chain of processes has in common.
#[derive(Clone, Debug)]
struct Chain {
    seed: u64,
    calls: usize,
    delay: Duration,
    lives: Duration,
    pause: Duration,
    /// Whether a process knows how long it was away.
    knows_pause: bool,
}

fn any_chain() -> impl Strategy<Value = Chain> {
    // A restart at once is the hardest: what was under way is still on its way.
    let pause_ms = prop_oneof![Just(0), 0_u64..2_000];
    let times = (0_u64..500, 1_u64..1_000_000, pause_ms);
    (any::<u64>(), 1_usize..30, times, any::<bool>()).prop_map(
        |(seed, calls, (delay_ms, lives_us, pause_ms), knows_pause)| Chain {
            seed,
            calls,
            delay: Duration::from_millis(delay_ms),
            lives: Duration::from_micros(lives_us),
            pause: Duration::from_millis(pause_ms),
            knows_pause,
        },
    )
}

/// One process after the other; answers the arrivals of each.
fn run(chain: Chain, configs: Vec<BudgetConfig>) -> Vec<Arrivals> {
    SimClock::new().run(|clock| async move {
        let random = Random::seeded(chain.seed);
        let mut snapshot = Snapshot::default();
        let mut away = Duration::ZERO;
        let mut all = Vec::new();
        for config in configs {
            let any = |_| Journey::any(&random, chain.lives, chain.delay);
            let journeys = (0..chain.calls).map(any).collect();
            let from = (&snapshot, if chain.knows_pause { away } else { Duration::ZERO });
            let lives = draw(&random, chain.lives);
            let (left, arrivals) = process(config, &clock, from, journeys, lives).await;
            snapshot = left;
            all.push(arrivals.into_iter().map(|(at, _)| at).collect());
            away = draw(&random, chain.pause);
            clock.sleep(away).await;
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn restore_after_a_crash_never_exceeds(
        chain in any_chain(),
        limits in any_limits(),
        shape in prop::sample::select(Shape::ALL.to_vec()),
    ) {
        let config = config(limits.clone(), shape, Guard::Strict);
        let arrivals = run(chain, vec![config; 4]).concat();
        for limit in &limits {
            assert_property_s(&arrivals, limit)?;
        }
    }

    #[test]
    fn changed_limits_take_over_the_log_of_a_longer_window(
        chain in any_chain(),
        limits in any_limits(),
        next in any_limits(),
    ) {
        let longest = limits.iter().map(Limit::window).max().unwrap();
        let next: Vec<Limit> = next.into_iter().filter(|limit| limit.window() <= longest).collect();
        let configs = [&limits, &next].map(|limits| config(limits.clone(), Shape::Burst, Guard::Strict));
        let arrivals = run(chain, configs.to_vec());
        for limit in &next {
            // Of the earlier process the new limit demanded nothing: only what the later one sends must keep it.
            let mut all: Vec<(Tick, bool)> = Vec::new();
            all.extend(arrivals[0].iter().map(|at| (*at, false)));
            all.extend(arrivals[1].iter().map(|at| (*at, true)));
            all.sort_unstable();
            for full in all.windows(limit.count() as usize + 1) {
                let (first, last) = (full[0].0, full[full.len() - 1].0);
                let of_the_later = full.iter().any(|(_, later)| *later);
                prop_assert!(!of_the_later || !inside(first, last, limit.window()), "{}: {:?}", limit, full);
            }
        }
    }

    #[test]
    fn what_was_learnt_survives(
        policy in prop_oneof![
            Just(Policy::Counter),
            Just(Policy::Log { counting: false, seconds: true }),
            (1_u64..15).prop_map(|size| Policy::Bucket { sizes: vec![size] }),
        ],
        phase_ms in 0_u64..10_000,
        calls in 1_u64..150,
    ) {
        let limit: Limit = "20/10s".parse().unwrap();
        let config = BudgetConfig { shape: Shape::Auto, ..config([limit], Shape::Auto, Guard::Strict) };
        let mut core = Core::new(config.clone()).unwrap();
        let enforced = paceline_lab::Limit::new(20, limit.window()).unwrap();
        let mut enforcer = Enforcer::new(&[enforced], &policy).unwrap();
        let (mut now, mut accepted) = (Tick::from_millis(phase_ms), 0);
        while accepted < calls {
            match core.admit(now) {
                Err(refusal) => now = refusal.until.unwrap(),
                Ok(slot) => {
                    core.sent(slot, now);
                    core.seen(slot, now);
                    let class = match enforcer.decide(now) {
                        Verdict::Accepted => OutcomeClass::Success,
                        Verdict::Refused(_) => OutcomeClass::Throttled,
                    };
                    accepted += u64::from(class == OutcomeClass::Success);
                    core.finish(slot, &Outcome::of(class), now);
                }
            }
        }
        let mut restored = Core::new(config).unwrap();
        restored.restore(&saved_and_read(&core.snapshot(now)), Duration::ZERO, now);
        let [before, after] = [core, restored].map(|mut core| {
            let limit = core.status(now).limits[0];
            (limit.learnt, limit.used)
        });
        prop_assert_eq!(before, after);
    }
}

#[test]
fn a_call_under_way_or_just_failed_at_the_kill_may_be_counted_after_it() {
    // Found by the property: such calls were taken to be counted by the restart, even if that came at once.
    let at = Tick::from_millis;
    let config = config(["2/s".parse().unwrap()], Shape::Burst, Guard::Strict);
    let mut core = Core::new(config.clone()).unwrap();
    let [failed, under_way] = [(); 2].map(|()| core.admit(at(0)).unwrap());
    core.sent(failed, at(0));
    core.sent(under_way, at(0));
    core.failed(failed, at(1));
    let mut restored = Core::new(config).unwrap();
    restored.restore(&core.snapshot(at(2)), Duration::ZERO, at(3));
    assert!(restored.admit(at(2_000)).is_err(), "both may arrive up to a second after the kill");
    assert!(restored.admit(at(2_004)).is_ok());
}

#[test]
fn a_new_budget_has_nothing_to_remember() {
    let config = config(["2/s".parse().unwrap()], Shape::Auto, Guard::Auto);
    let mut core = Core::new(config).unwrap();
    assert!(core.snapshot(Tick::ZERO).is_empty());
    assert!(saved_and_read(&Snapshot::default()).is_empty());
    let slot = core.admit(Tick::ZERO).unwrap();
    assert!(!saved_and_read(&core.snapshot(Tick::ZERO)).is_empty());
    core.give_back(slot, None, Tick::ZERO);
    assert!(core.snapshot(Tick::ZERO).is_empty());
}
