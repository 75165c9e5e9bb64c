//! The script by itself: whose turn it is, whose share is kept free, and who may join.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use crate::party::{ABSENT_MS, FALLBACK_MS, GRACE_MS, LEARN_MS, LEASE_MS, Party, ids};
use crate::server::{Server, pause_ms};

#[test]
fn other_settings_under_the_same_name_are_refused() {
    let server = Server::start();
    Party::at_work(&server, "a", &[(5, 50)]);
    let error = Party::new(&server, "b", &[(6, 50)]).try_ask(json!({})).unwrap_err();
    assert_eq!((error.code(), error.detail()), (Some("SETTINGS"), Some("[(5, 50)]")));
}

#[test]
fn other_settings_may_follow_when_nothing_of_the_old_ones_weighs_any_more() {
    let server = Server::start();
    let mut old = Party::at_work(&server, "a", &[(5, 50)]);
    old.want(5);
    old.ask(json!({ "leave": true }));
    let mut new = Party::new(&server, "b", &[(6, 70)]);
    assert!(new.try_ask(json!({})).is_err());
    pause_ms(LEASE_MS + GRACE_MS + 70 + 10);
    assert_eq!(new.join(json!({})), "learning");
    pause_ms(LEARN_MS);
    assert_eq!(new.want(9).granted(), 6);
}

#[test]
fn the_share_of_a_member_that_vanished_is_kept_free_until_it_must_have_stopped() {
    let server = Server::start();
    let mut a = Party::at_work(&server, "a", &[(8, 100)]);
    let mut b = Party::at_work(&server, "b", &[(8, 100)]);
    b.ask(json!({})); // tells that it heard the last answer
    let mut room = || {
        let reply = a.want(8);
        let given: serde_json::Value =
            ids(a.next - reply.granted(), a.next, |id| vec![json!(id), json!(65535)]);
        a.ask(json!({ "returned": given }));
        reply.granted()
    };
    assert_eq!(room(), 8);
    pause_ms(ABSENT_MS + 20);
    assert_eq!(room(), 6, "a quarter of 8 may be sent by the other");
    pause_ms(FALLBACK_MS - ABSENT_MS + 20);
    assert_eq!(room(), 6, "its last calls are still inside the window");
    pause_ms(LEASE_MS + GRACE_MS + 100);
    assert_eq!(room(), 8);
}

#[test]
fn a_share_is_kept_free_from_the_last_answer_that_was_heard_to_the_last_that_was_given() {
    let server = Server::start();
    let mut a = Party::at_work(&server, "a", &[(8, 100)]);
    let mut b = Party::at_work(&server, "b", &[(8, 100)]);
    let heard = b.ask(json!({})).now();
    // From here on its questions arrive and the answers do not: it believes itself cut off.
    let stop = FALLBACK_MS + LEASE_MS + GRACE_MS + 100;
    for _ in 0..=stop / 100 {
        pause_ms(100);
        a.ask(json!({}));
        b.ask(json!({ "ack": heard }));
    }
    assert_eq!(a.want(8).granted(), 6, "nobody can say what it heard");
}

#[test]
fn a_process_that_comes_back_under_its_name_takes_the_place_of_the_one_that_was_killed() {
    let server = Server::start();
    let mut a = Party::at_work(&server, "a", &[(8, 100)]);
    let mut killed = Party::at_work(&server, "b", &[(8, 100)]);
    assert_eq!(killed.want(2).granted(), 2);
    pause_ms(ABSENT_MS + LEASE_MS + GRACE_MS + 100 + 20); // its permits count no more
    assert_eq!(a.want(0).used(), [0]);
    let mut again = Party::new(&server, "b", &[(8, 100)]);
    "b2".clone_into(&mut again.call);
    assert_eq!(again.join(json!({})), "ok");
    assert_eq!(a.want(8).granted(), 8);
}

#[test]
fn who_leaves_in_order_leaves_no_share_behind() {
    let server = Server::start();
    let mut a = Party::at_work(&server, "a", &[(8, 100)]);
    let mut b = Party::at_work(&server, "b", &[(8, 100)]);
    b.ask(json!({}));
    assert_eq!(b.ask(json!({ "leave": true })).standing, "left");
    pause_ms(ABSENT_MS + 20);
    assert_eq!(a.want(8).granted(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whoever asks how often and in whatever order: of a room for `calls`, those who wait get equal parts.
    #[test]
    fn those_who_wait_get_equal_parts_however_often_they_ask(
        order in proptest::collection::vec(0_usize..4, 40..80),
        calls in 8_u64..60,
        wants in proptest::collection::vec(1_u64..40, 4),
    ) {
        let server = Server::start();
        let names = ["a", "b", "c", "d"];
        let mut parties = names.map(|name| Party::at_work(&server, name, &[(calls, 60_000)]));
        // All wait before there is anything to be had.
        let hold = json!({ "gate_us": 150_000 });
        parties[0].ask(hold);
        for (party, want) in parties.iter_mut().zip(&wants) {
            party.want(*want);
        }
        pause_ms(151);
        let mut got: BTreeMap<usize, u64> = BTreeMap::new();
        for who in order.into_iter().chain([0, 1, 2, 3]) {
            let left = wants[who] - got.get(&who).copied().unwrap_or(0);
            let reply = parties[who].want(left);
            *got.entry(who).or_default() += reply.granted();
            prop_assert!(reply.used()[0] <= calls);
        }
        let all: u64 = got.values().sum();
        prop_assert_eq!(all, calls.min(wants.iter().sum()), "{:?} of {:?}", got, wants);
        let short = (0..4).filter(|who| got[who] < wants[*who]);
        let least = short.map(|who| got[&who]).min().unwrap_or(u64::MAX);
        for (who, count) in &got {
            prop_assert!(*count <= least.saturating_add(1), "{who} of {got:?}, wanted {wants:?}");
        }
    }
}
