//! A member, answer by answer, in no time at all.

use std::task::Waker;

use proptest::prelude::*;

use super::*;
use crate::core::Heir;
use crate::{BudgetConfig, Guard, Outcome, OutcomeClass, Reason, Slot};

fn ms(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

/// A member of 10/s and 30/min that may use `share` of it, and its core.
fn member(share: f64) -> (Member, Core) {
    let limits: Vec<Limit> = ["10/s", "30/min"].map(|limit| limit.parse().unwrap()).into();
    let budget = BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits.clone()) };
    let config = SharedConfig::new("redis://localhost", "b", share);
    config.check(&budget).unwrap();
    let mut core = Core::new(budget).unwrap();
    core.set_supply(Supply::new(2, Waker::noop().clone(), Heir::default()));
    (Member::new(config, limits), core)
}

fn answer(standing: Standing, granted: u64) -> Answer {
    Answer {
        standing,
        epoch: "e".to_owned(),
        seq: 5,
        now: 1_000_000,
        granted,
        wait_us: 40_000,
        gate_us: 0,
        active: 2,
        shares: 500_000,
        used: vec![3, 4],
    }
}

/// Asks at `at` and is answered 2 ms later.
fn exchange(
    member: &mut Member,
    core: &mut Core,
    at: u64,
    waiting: usize,
    reply: &Answer,
) -> Asked {
    let asked = member.question(core, waiting, ms(at));
    member.answered(core, &asked, reply, ms(at + 2));
    asked
}

/// One that has joined and had its first word from a server in order, at 22 ms.
fn connected(share: f64) -> (Member, Core) {
    let (mut member, mut core) = member(share);
    exchange(&mut member, &mut core, 0, 0, &answer(Standing::Join, 0));
    let asked = exchange(&mut member, &mut core, 10, 0, &answer(Standing::Learning, 0));
    assert!(asked.question.done && asked.question.join == "e" && asked.question.memory.is_none());
    exchange(&mut member, &mut core, 20, 0, &answer(Standing::Ok, 0));
    assert_eq!(*member.phase(), Phase::Connected);
    (member, core)
}

fn call(core: &mut Core, at: u64) -> Option<Slot> {
    let slot = core.admit(ms(at)).ok()?;
    core.sent(slot, ms(at));
    core.seen(slot, ms(at));
    core.finish(slot, &Outcome::of(OutcomeClass::Success), ms(at));
    Some(slot)
}

#[test]
fn a_member_asks_for_those_who_wait_and_tells_what_became_of_the_last_block() {
    let (mut member, mut core) = connected(0.25);
    assert_eq!(member.due(&mut core, 0, ms(30)), ms(520), "half a lease after the last question");
    assert_eq!(member.due(&mut core, 4, ms(30)), ms(22), "at once");
    let asked = exchange(&mut member, &mut core, 30, 4, &answer(Standing::Ok, 3));
    assert_eq!((asked.question.want, asked.question.ack), (4, 1_000_000));
    assert_eq!(member.due(&mut core, 4, ms(32)), ms(72), "when the server said");
    for _ in 0..3 {
        call(&mut core, 33).unwrap();
    }
    assert!(call(&mut core, 33).is_none());
    assert_eq!(member.due(&mut core, 4, ms(33)), ms(50), "news wait for company, but not long");
    let asked = exchange(&mut member, &mut core, 50, 4, &answer(Standing::Ok, 0));
    assert_eq!(asked.question.stamped.len(), 3);
    assert!(asked.question.stamped.iter().all(|(_, bits, age)| (*bits, *age) == (0b11, 16_983)));
    assert_eq!(
        exchange(&mut member, &mut core, 60, 4, &answer(Standing::Ok, 0)).question.stamped,
        []
    );
}

#[test]
fn what_was_not_heard_is_told_again() {
    let (mut member, mut core) = connected(0.25);
    exchange(&mut member, &mut core, 30, 1, &answer(Standing::Ok, 1));
    call(&mut core, 33).unwrap();
    let lost = member.question(&mut core, 0, ms(40));
    member.failed(&mut core, 0.5, ms(290));
    let again = member.question(&mut core, 3, ms(300));
    assert_eq!(lost.question.stamped.len(), 1);
    assert_eq!(again.question.stamped.len(), 1);
    assert_eq!(again.question.want, 0, "nothing is granted to one that was away");
}

#[test]
fn without_its_server_a_member_is_silent_for_a_window_sends_its_share_and_then_nothing() {
    let (mut member, mut core) = connected(0.25);
    member.failed(&mut core, 0.5, ms(300));
    // 3.5 s until the others know, 2 s of lease and grace, the minute's hold, and drift on all.
    let from = member.own().unwrap().from;
    assert!((ms(22 + 65_530)..ms(22 + 65_700)).contains(&from), "{from:?}");
    assert_eq!(core.admit(ms(60_000)).unwrap_err().until, Some(from));
    let begin = from.as_millis() + 1;
    assert!(call(&mut core, begin).is_some() && call(&mut core, begin).is_some());
    assert_eq!(core.admit(ms(begin)).unwrap_err().reason, Reason::Limit(0), "a quarter of 10 is 2");
    let mut sent = 2;
    let mut at = begin;
    while at < begin + 700_000 {
        at += 100;
        sent += usize::from(call(&mut core, at).is_some());
    }
    // 7 a minute until 10 minutes after the contact: that is for 534 s, or the better part of 9 minutes.
    assert_eq!(sent, 7 * 9);
    assert_eq!(core.admit(ms(at)).unwrap_err().until, None);
    let asked = exchange(&mut member, &mut core, at, 5, &answer(Standing::Ok, 0));
    assert!(asked.question.stamped.iter().all(|(call, ..)| call.own), "and tells of it");
    assert_eq!(core.admit(ms(at + 3)).unwrap_err().reason, Reason::Shared);
}

#[test]
fn a_share_of_less_than_one_call_is_none_and_so_is_one_that_would_end_before_it_begins() {
    assert_eq!(connected(0.25).0.share_ppm(), 250_000);
    assert_eq!(connected(0.09).0.share_ppm(), 0, "0.9 calls a second");
    let hours: Vec<Limit> = vec!["1000/h".parse().unwrap()];
    let config = SharedConfig::new("redis://localhost", "b", 0.5);
    assert_eq!(config.share_ppm(&hours), 0, "an hour of silence is longer than 10 minutes");
}

#[test]
fn a_server_that_forgot_is_told_the_log_and_what_was_known_of_the_whole() {
    let (mut member, mut core) = connected(0.25);
    exchange(&mut member, &mut core, 30, 1, &answer(Standing::Ok, 2));
    call(&mut core, 33).unwrap();
    exchange(&mut member, &mut core, 50, 0, &answer(Standing::Ok, 0));
    exchange(&mut member, &mut core, 80, 0, &answer(Standing::Join, 0));
    assert!(call(&mut core, 81).is_none(), "what it lent is void");
    let join = exchange(&mut member, &mut core, 90, 3, &answer(Standing::Learning, 0)).question;
    assert_eq!((join.stamped.len(), join.done, join.want, join.ack), (1, true, 0, 0));
    let memory = Memory { age_us: 38_000, used: vec![3, 4], active: 2, shares: 500_000 };
    assert_eq!(join.memory, Some(memory));
}

proptest! {
    /// An age is never told longer than it was by a clock that is 500 ppm slower than ours, nor a moment to come as nearer.
    #[test]
    fn an_age_is_an_upper_bound_of_the_moment(stamp in 0_u64..4_000_000_000, now in 0_u64..4_000_000_000) {
        let (at, then) = (Tick::from_nanos(now * 1000), Tick::from_nanos(stamp * 1000));
        let age = super::super::question::age_us(then, at) as f64;
        let real = now as f64 - stamp as f64;
        prop_assert!(age <= real * if real > 0.0 { 0.9995 } else { 1.0005 } + 1.0, "{age} {real}");
        prop_assert!((age - real).abs() <= real.abs() / 900.0 + 2.0, "{age} {real}");
    }

    /// Whatever the answers, a member asks again within half a lease and never twice within a millisecond.
    #[test]
    fn the_next_question_is_always_due_soon_and_never_at_once(steps in proptest::collection::vec((0_u8..6, 0_u64..400, 0_usize..3), 1..60)) {
        let (mut member, mut core) = connected(0.25);
        let mut now = 100;
        for (what, pause, waiting) in steps {
            let asked = member.question(&mut core, waiting, ms(now));
            let standing = [Standing::Ok, Standing::Join, Standing::More, Standing::Learning, Standing::Ok];
            match standing.get(usize::from(what)) {
                Some(standing) => member.answered(&mut core, &asked, &answer(*standing, 0), ms(now)),
                None => member.failed(&mut core, 0.3, ms(now)),
            }
            let due = member.due(&mut core, waiting, ms(now));
            prop_assert!(due > ms(now) && due <= ms(now + 500), "{due:?}");
            now += pause.max(1);
        }
    }
}
