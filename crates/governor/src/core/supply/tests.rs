//! What a supply lends, and what it remembers of it.
#![cfg(feature = "redis")]

use std::task::Waker;
use std::time::Duration;

use super::super::{Core, Reason};
use super::*;
use crate::{BudgetConfig, Guard, Outcome, OutcomeClass};

fn ms(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

/// A budget of 5/s and 20/min with a supply that has nothing.
fn shared(guard: Guard) -> Core {
    let limits = ["5/s", "20/min"].map(|limit| limit.parse().unwrap());
    let mut core = Core::new(BudgetConfig { guard, ..BudgetConfig::new(limits) }).unwrap();
    core.supply = Some(Supply::new(2, Waker::noop().clone(), Heir::default()));
    core
}

fn supply(core: &mut Core) -> &mut Supply {
    core.supply.as_mut().unwrap()
}

fn lent(number: u64) -> Call {
    Call { number, own: false }
}

#[test]
fn without_a_permit_nothing_starts_and_with_one_that_call_does() {
    let mut core = shared(Guard::Strict);
    let refusal = core.admit(ms(0)).unwrap_err();
    assert_eq!((refusal.reason, refusal.until), (Reason::Shared, None));
    assert!(supply(&mut core).is_missed(), "somebody must ask for more");
    supply(&mut core).lend(7, 1, ms(900), ms(0));
    let slot = core.admit(ms(10)).unwrap();
    assert!(core.admit(ms(10)).is_err());
    core.sent(slot, ms(10));
    core.seen(slot, ms(30));
    core.finish(slot, &Outcome::of(OutcomeClass::Success), ms(40));
    let told = News { call: lent(7), bits: 0b11, stamp: Some(ms(30)) };
    assert_eq!(supply(&mut core).news(), [told]);
}

#[test]
fn a_permit_is_of_no_use_at_the_end_of_its_lease_and_goes_back() {
    let mut core = shared(Guard::Strict);
    supply(&mut core).lend(0, 2, ms(900), ms(0));
    assert_eq!(supply(&mut core).stock(ms(899)), 2);
    assert_eq!(core.admit(ms(900)).unwrap_err().reason, Reason::Shared);
    assert_eq!(supply(&mut core).stock(ms(900)), 0);
    let back = [0, 1].map(|number| News { call: lent(number), bits: 0b11, stamp: None });
    assert_eq!(supply(&mut core).news(), back);
}

#[test]
fn a_call_that_never_left_goes_back_whole_and_one_that_was_partly_stamped_in_part() {
    let mut core = shared(Guard::Fixed(Duration::from_millis(50)));
    supply(&mut core).lend(0, 2, ms(900), ms(0));
    let unsent = core.admit(ms(0)).unwrap();
    core.give_back(unsent, None, ms(1));
    let partly = core.admit(ms(1)).unwrap();
    core.sent(partly, ms(1));
    core.give_back(partly, None, ms(100)); // by then the guard had stamped it in both windows
    let news: Vec<_> = supply(&mut core).news().to_vec();
    assert_eq!(news[0], News { call: lent(0), bits: 0b11, stamp: None });
    assert_eq!(news[1..].iter().map(|news| news.bits).sum::<u32>(), 0b11);
    assert!(news[1..].iter().all(|news| news.stamp == Some(ms(51))));
}

#[test]
fn every_way_to_end_is_told_for_every_limit_exactly_once() {
    let ends: [fn(&mut Core, crate::Slot); 5] = [
        |core, slot| core.abandon(slot, ms(20)),
        |core, slot| core.failed(slot, ms(20)),
        |core, slot| {
            core.finish(slot, &Outcome::of(OutcomeClass::Success), ms(20));
        },
        |core, slot| {
            core.give_back(slot, None, ms(20));
        },
        |core, slot| core.seen(slot, ms(20)),
    ];
    for guard in [Guard::Strict, Guard::Fixed(Duration::from_millis(5)), Guard::Auto] {
        for end in ends {
            let mut core = shared(guard);
            supply(&mut core).lend(0, 1, ms(900), ms(0));
            let slot = core.admit(ms(0)).unwrap();
            core.sent(slot, ms(1));
            end(&mut core, slot);
            core.abandon(slot, ms(40));
            let bits: Vec<u32> = supply(&mut core).news().iter().map(|news| news.bits).collect();
            assert_eq!(bits.iter().fold(0, |all, bit| all ^ bit), 0b11, "{bits:?}");
            assert_eq!(bits.iter().sum::<u32>(), 0b11, "{bits:?}");
            assert_eq!(supply(&mut core).open().count(), 0);
        }
    }
}

#[test]
fn the_own_share_lends_from_its_time_to_its_end_and_its_calls_are_marked() {
    let mut core = shared(Guard::Strict);
    supply(&mut core).set_own(Some(Own { from: ms(100), until: ms(200) }));
    assert_eq!(core.admit(ms(99)).unwrap_err().until, Some(ms(100)), "a waiter's timer");
    let slot = core.admit(ms(100)).unwrap();
    core.seen(slot, ms(110));
    assert!(supply(&mut core).news()[0].call.own);
    assert_eq!(core.admit(ms(200)).unwrap_err().until, None);
}

#[test]
fn a_server_that_forgot_hears_all_stamps_again_and_what_it_lent_is_void() {
    let mut core = shared(Guard::Strict);
    supply(&mut core).lend(0, 3, ms(900), ms(0));
    let done = core.admit(ms(0)).unwrap();
    let _under_way = core.admit(ms(0)).unwrap();
    core.seen(done, ms(10));
    supply(&mut core).told(1);
    let upload = supply(&mut core).start_over();
    assert_eq!(upload, [News { call: lent(0), bits: 0b11, stamp: Some(ms(10)) }]);
    assert_eq!(supply(&mut core).open().collect::<Vec<_>>(), [(lent(1), 0b11)]);
    assert!(core.admit(ms(20)).is_err());
    supply(&mut core).trim(ms(11), ms(11));
    assert_eq!(supply(&mut core).start_over(), []);
}

#[test]
fn the_last_supply_goes_to_its_heir_with_what_is_left() {
    let heir = Heir::default();
    let mut supply = Supply::new(1, Waker::noop().clone(), Arc::clone(&heir));
    supply.lend(3, 1, ms(900), ms(0));
    drop(supply.clone());
    assert!(heir.lock().unwrap().is_none(), "a copy leaves nothing");
    drop(supply);
    let mut left = heir.lock().unwrap().take().unwrap();
    left.close();
    assert_eq!(left.news(), [News { call: lent(3), bits: 1, stamp: None }]);
}
