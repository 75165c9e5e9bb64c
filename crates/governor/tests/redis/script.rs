//! The script by itself: leases, stamps, waits and keys.

use serde_json::json;

use crate::party::{GRACE_MS, KEYS, LEARN_MS, LEASE_MS, Party};
use crate::server::{Server, pause_ms};

#[test]
fn nothing_is_granted_before_the_server_has_learnt_and_never_more_than_the_limit() {
    let server = Server::start();
    let mut party = Party::new(&server, "a", &[(10, 400)]);
    assert_eq!(party.join(json!({})), "learning");
    assert_eq!(party.want(3).standing, "learning");
    pause_ms(LEARN_MS);
    assert_eq!(party.want(7).granted(), 7);
    let reply = party.want(7);
    assert_eq!((reply.granted(), reply.used()), (3, [10].as_slice()));
    assert_eq!(party.want(7).granted(), 0);
}

#[test]
fn what_was_lent_and_never_accounted_for_counts_as_used_at_the_end_of_its_lease_and_grace() {
    let server = Server::start();
    let mut party = Party::at_work(&server, "a", &[(2, 100)]);
    let lent = party.want(2).now();
    // As long as a stamp may still come from a moment ago, the next question is due one window from now.
    assert!(party.want(1).wait_us() <= 100_000);
    let free = loop {
        let reply = party.want(1);
        if reply.granted() > 0 {
            break reply.now();
        }
        pause_ms(2);
    };
    assert!(free - lent >= (LEASE_MS + GRACE_MS + 100) * 1000, "{}", free - lent);
    assert!(free - lent < (LEASE_MS + GRACE_MS + 100 + 400) * 1000, "{}", free - lent);
}

#[test]
fn a_return_frees_its_slot_at_once_and_a_stamp_one_window_after_it() {
    let server = Server::start();
    let mut party = Party::at_work(&server, "a", &[(4, 200)]);
    party.want(4);
    let reply =
        party.ask(json!({ "returned": ["0", 65535], "stamped": ["1", 65535, 50_000], "want": 2 }));
    assert_eq!(reply.granted(), 1);
    assert!((145_000..=150_000).contains(&reply.wait_us()), "{}", reply.wait_us());
    pause_ms(160);
    assert_eq!(party.want(2).granted(), 1, "the others have no stamp");
}

#[test]
fn each_limit_has_its_own_stamp_and_a_call_under_way_is_held_beyond_its_lease() {
    let server = Server::start();
    let mut party = Party::at_work(&server, "a", &[(5, 50), (5, 50)]);
    party.want(3);
    // The first limit's guard has its bound; only the response tells the second.
    party.ask(json!({ "stamped": ["0", 1, 0, "1", 1, 0, "2", 1, 0] }));
    for _ in 0..6 {
        pause_ms(60);
        let reply = party.ask(json!({ "held": ["0", 2, "1", 2] }));
        assert!(reply.used()[0] <= 3);
    }
    assert_eq!(party.ask(json!({})).used(), [0, 2], "nobody held the third");
}

#[test]
fn a_wait_that_the_vendor_asked_of_one_holds_all() {
    let server = Server::start();
    let mut a = Party::at_work(&server, "a", &[(5, 50)]);
    let mut b = Party::at_work(&server, "b", &[(5, 50)]);
    a.ask(json!({ "gate_us": 120_000 }));
    a.ask(json!({ "gate_us": 10_000 })); // never shortened
    let reply = b.want(1);
    assert_eq!(reply.granted(), 0);
    assert!((20_000..=120_000).contains(&reply.wait_us()), "{reply:?}");
    pause_ms(125);
    assert_eq!(b.want(1).granted(), 1);
}

#[test]
fn every_key_carries_the_tag_has_an_end_and_a_cluster_takes_the_script() {
    let server = Server::with(&["--save", "", "--cluster-enabled", "yes"]);
    let mut connection = server.connection();
    let slots = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16383).exec(&mut connection);
    slots.unwrap();
    while !redis::cmd("CLUSTER")
        .arg("INFO")
        .query::<String>(&mut connection)
        .unwrap()
        .contains("state:ok")
    {
        pause_ms(20);
    }
    let mut party = Party::at_work(&server, "a", &[(5, 50), (9, 90)]);
    assert_eq!(party.want(2).granted(), 2);
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    keys.sort();
    let mut wanted = KEYS.map(str::to_owned);
    wanted.sort();
    assert_eq!(keys, wanted);
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((1..=60_000).contains(&left), "{key}: {left}");
    }
}

#[test]
fn a_clock_set_forward_opens_no_window_early() {
    let server = Server::start();
    let mut party = Party::at_work(&server, "a", &[(1, 100)]);
    let lent = party.want(1);
    party.ask(json!({ "stamped": ["0", 65535, 0] }));
    pause_ms(150); // to the member, whose clock says 10 ms, the server's clock has jumped
    let reply = party.ask(json!({ "at_most": lent.now() + 10_000, "want": 1 }));
    assert_eq!((reply.granted(), reply.now()), (0, lent.now() + 10_000));
    pause_ms(200);
    assert_eq!(party.want(1).granted(), 1, "time goes on from there");
}
