//! The script by itself: what happens when the server forgets.

use serde_json::json;

use crate::party::{KEYS, LEARN_MS, Party, ids};
use crate::server::{Server, pause_ms};

#[test]
fn an_evicted_log_and_evicted_members_are_noticed() {
    for key in [KEYS[1], KEYS[2]] {
        let server = Server::start();
        let mut party = Party::at_work(&server, "a", &[(5, 5_000)]);
        party.want(3);
        redis::cmd("DEL").arg(key).exec(&mut server.connection()).unwrap();
        assert_eq!(party.want(5).standing, "join", "{key}");
    }
}

#[test]
fn a_member_without_a_share_is_not_forgotten_while_it_comes_back() {
    let server = Server::start();
    let (mut a, mut b) = ten_calls(&server);
    forget_everything(&server);
    for party in [&mut a, &mut b] {
        let upload = json!({ "share": 0, "stamped": five_calls(), "memory": memory(2) });
        assert_eq!(party.join(upload), "learning");
    }
    for _ in 0..2 * LEARN_MS / 100 {
        pause_ms(100);
        for party in [&mut a, &mut b] {
            assert_ne!(party.ask(json!({ "share": 0 })).standing, "join");
        }
    }
    assert_eq!(b.ask(json!({ "share": 0 })).standing, "ok");
}

/// Two members, each with 5 calls of now in the log.
fn ten_calls(server: &Server) -> (Party, Party) {
    let mut a = Party::at_work(server, "a", &[(12, 2_000)]);
    let mut b = Party::at_work(server, "b", &[(12, 2_000)]);
    for party in [&mut a, &mut b] {
        party.want(5);
        party.ask(json!({ "stamped": five_calls() }));
    }
    (a, b)
}

fn five_calls() -> serde_json::Value {
    ids(0, 5, |id| vec![json!(id), json!(65535), json!(1000)])
}

fn memory(active: u64) -> serde_json::Value {
    json!({ "age_us": 1000, "used": [10], "active": active, "shares": 500_000 })
}

fn forget_everything(server: &Server) {
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
}

#[test]
fn a_server_that_forgot_learns_from_all_and_adds_no_ghost() {
    let server = Server::start();
    let (mut a, mut b) = ten_calls(&server);
    forget_everything(&server);
    assert_eq!(a.want(1).standing, "join");
    for party in [&mut a, &mut b] {
        let joined = party.join(json!({ "stamped": five_calls(), "memory": memory(2) }));
        assert_eq!(joined, "learning");
    }
    pause_ms(LEARN_MS);
    assert_eq!(a.ask(json!({})).used(), [10]);
}

#[test]
fn calls_of_a_process_that_is_long_gone_stay_counted_as_ghosts() {
    let server = Server::start();
    let (mut a, _) = ten_calls(&server);
    forget_everything(&server);
    a.join(json!({ "stamped": five_calls(), "memory": memory(1) }));
    pause_ms(LEARN_MS);
    assert_eq!(a.ask(json!({})).used(), [10]);
    // 12 less the 10, less the quarter of 12 that the other one may be sending: nothing.
    assert_eq!(a.want(12).granted(), 0);
}

#[test]
fn uploaded_calls_at_the_windows_old_end_are_not_taken_for_known_ones() {
    let server = Server::start();
    let (mut a, _) = ten_calls(&server);
    forget_everything(&server);
    // The server may have forgotten these before: they left the window at about the time of the last contact.
    let edge = ids(20, 25, |id| vec![json!(id), json!(65535), json!(1_950_000)]);
    a.join(json!({ "stamped": edge, "memory": memory(1) }));
    pause_ms(LEARN_MS);
    assert_eq!(a.ask(json!({})).used(), [10], "all that were known are ghosts");
}

#[test]
fn if_a_process_that_was_alive_does_not_come_back_the_windows_count_as_full() {
    let server = Server::start();
    let (mut a, _) = ten_calls(&server);
    forget_everything(&server);
    a.join(json!({ "stamped": five_calls(), "memory": memory(2) }));
    pause_ms(LEARN_MS);
    assert_eq!(a.ask(json!({})).used(), [12]);
}

#[test]
fn calls_from_the_own_share_are_not_taken_for_ones_the_server_knew() {
    let server = Server::start();
    let (mut a, _) = ten_calls(&server);
    forget_everything(&server);
    let own = json!(["~9", 65535, 0]);
    a.join(json!({ "stamped": own, "memory": memory(1) }));
    pause_ms(LEARN_MS);
    assert_eq!(a.ask(json!({})).used(), [11], "10 that were known, and one more");
}

#[test]
fn another_server_process_and_an_older_state_are_noticed() {
    let server = Server::start();
    let mut party = Party::at_work(&server, "a", &[(5, 50)]);
    let seq = party.seq;
    assert_eq!(party.ask(json!({ "seq": seq + 9 })).standing, "join", "a state from before");
    let mut party = Party::new(&server, "b", &[(5, 50)]);
    party.join(json!({}));
    assert_eq!(party.ask(json!({ "run": "another" })).standing, "join", "a restart");
}
