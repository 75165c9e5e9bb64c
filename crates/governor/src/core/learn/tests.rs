//! What shape `auto` makes of what it sees, step by step through the core.

use std::time::Duration;

use paceline_clock::Tick;

use crate::core::{Cause, Core, Slot};
use crate::{BudgetConfig, Guard, Learnt, Outcome, OutcomeClass};

fn ms(millis: u64) -> Tick {
    Tick::from_millis(1_000_000 + millis)
}

fn core(limit: &str, guard: Guard) -> Core {
    let limits = [limit.parse().unwrap()];
    Core::new(BudgetConfig { guard, ..BudgetConfig::new(limits) }).unwrap()
}

fn send(core: &mut Core, at: Tick) -> Option<Slot> {
    let slot = core.admit(at).ok()?;
    core.sent(slot, at);
    Some(slot)
}

fn accept(core: &mut Core, slot: Slot, at: Tick) {
    core.seen(slot, at);
    core.finish(slot, &Outcome::of(OutcomeClass::Success), at);
}

/// A call that is answered at once; false if it may not go.
fn call(core: &mut Core, at: Tick) -> bool {
    let Some(slot) = send(core, at) else { return false };
    accept(core, slot, at);
    true
}

fn refuse(core: &mut Core, slot: Slot, asked_s: Option<u64>, at: Tick) -> Cause {
    core.seen(slot, at);
    let retry_after = asked_s.map(Duration::from_secs);
    let throttled = Outcome { retry_after, ..Outcome::of(OutcomeClass::Throttled) };
    core.finish(slot, &throttled, at);
    core.status(at).explanations.last().unwrap().cause
}

fn learnt(core: &mut Core) -> Learnt {
    core.status(ms(0)).limits[0].learnt
}

#[test]
fn a_first_burst_goes_out_in_growing_steps_and_silence_is_consent() {
    let mut core = core("20/min", Guard::Strict);
    let mut rounds = Vec::new();
    let mut now = 0;
    while rounds.iter().sum::<usize>() < 20 {
        let out: Vec<Slot> = std::iter::from_fn(|| send(&mut core, ms(now))).collect();
        assert!(rounds.len() < 20, "{rounds:?}");
        rounds.push(out.len());
        now += 10;
        out.into_iter().for_each(|slot| accept(&mut core, slot, ms(now)));
    }
    // The first call is no burst, so one more than may be out; from then on half as many as were accepted.
    assert_eq!(rounds, [4, 3, 3, 4, 6]);

    let mut silent = self::core("20/min", Guard::Strict);
    while send(&mut silent, ms(0)).is_some() {}
    assert_eq!(silent.admit(ms(100)).unwrap_err().until, Some(ms(500)));
    assert!(send(&mut silent, ms(500)).is_some());
}

#[test]
fn a_bucket_shows_by_refusing_more_at_once_than_ever_was_accepted() {
    let mut core = core("20/min", Guard::Strict);
    (0..5).for_each(|_| assert!(call(&mut core, ms(0))));
    let sixth = send(&mut core, ms(0)).unwrap();
    assert_eq!(refuse(&mut core, sixth, Some(3), ms(1)), Cause::SmallBucket { depth: 5 });
    assert_eq!(learnt(&mut core).burst_max, Some(5));
    // From now on one call per three seconds, for five are inside.
    assert!(!call(&mut core, ms(3_000)));
    assert!(call(&mut core, ms(6_100)));
    assert!(!call(&mut core, ms(6_200)));
}

/// A window that was filled once, at zero, and came free again.
fn second_window(guard: Guard) -> (Core, Slot) {
    let mut core = core("20/min", guard);
    (0..20).for_each(|_| assert!(call(&mut core, ms(0))));
    let slot = send(&mut core, ms(60_030)).unwrap();
    (core, slot)
}

#[test]
fn a_second_window_shows_counters_whole_seconds_and_late_arrivals() {
    let (mut core, slot) = second_window(Guard::Strict);
    assert_eq!(refuse(&mut core, slot, Some(3), ms(60_040)), Cause::SlidingCounter);
    assert!(learnt(&mut core).sliding_counter);

    let (mut core, slot) = second_window(Guard::Strict);
    assert_eq!(refuse(&mut core, slot, Some(1), ms(60_040)), Cause::WholeSeconds);
    assert!(learnt(&mut core).whole_seconds);

    let bound = Guard::Fixed(Duration::from_millis(50));
    let (mut core, slot) = second_window(bound);
    assert_eq!(refuse(&mut core, slot, Some(1), ms(60_040)), Cause::LateArrival);
    assert_eq!(learnt(&mut core), Learnt::default());
}

#[test]
fn what_nothing_sent_from_here_explains_is_somebody_elses() {
    let mut core = core("20/min", Guard::Strict);
    let first = send(&mut core, ms(0)).unwrap();
    assert_eq!(refuse(&mut core, first, Some(40), ms(5)), Cause::SomebodyElse);
    assert_eq!(learnt(&mut core), Learnt::default());
    assert_eq!(core.status(ms(6)).limits[0].allowed, 10, "the window is halved all the same");
}

#[test]
fn a_lost_belief_is_tried_again_after_two_hundred_good_answers_and_then_after_a_thousand() {
    let mut core = core("20/min", Guard::Strict);
    (0..5).for_each(|_| assert!(call(&mut core, ms(0))));
    let sixth = send(&mut core, ms(0)).unwrap();
    refuse(&mut core, sixth, Some(3), ms(1));
    let mut now = 10_000;
    let (answers, depth) = answers_until_tried(&mut core, 5, &mut now);
    assert!((195..=205).contains(&answers), "{answers}");
    assert_eq!(depth, Some(6));

    now += 60_000;
    let out: Vec<Slot> = std::iter::from_fn(|| send(&mut core, ms(now))).collect();
    assert_eq!(out.len(), 6);
    for slot in &out[..5] {
        accept(&mut core, *slot, ms(now + 1));
    }
    assert_eq!(refuse(&mut core, out[5], Some(3), ms(now + 2)), Cause::SmallBucket { depth: 5 });
    now += 60_000;
    let (answers, depth) = answers_until_tried(&mut core, 5, &mut now);
    assert!((995..=1_005).contains(&answers), "{answers}");
    assert_eq!(depth, Some(6));
}

/// Good answers until the depth is no longer this one, and which it is then.
fn answers_until_tried(core: &mut Core, depth: u64, now: &mut u64) -> (u32, Option<u64>) {
    let mut answers = 0;
    loop {
        let found = core.status(ms(*now)).limits[0].learnt.burst_max;
        if found != Some(depth) || answers > 5_000 {
            return (answers, found);
        }
        if call(core, ms(*now)) {
            answers += 1;
        } else {
            *now += 3_100;
        }
    }
}
