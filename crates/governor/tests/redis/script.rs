//! The script by itself: leases, turns, shares kept free, and what happens when the server forgets.
//!
//! Times are short, for the server's clock is a real one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redis::{Connection, Script, Value};
use serde_json::{Map, json};

use crate::server::{Server, pause_ms};

const SCRIPT: &str = concat!(
    include_str!("../../src/shared/state.lua"),
    include_str!("../../src/shared/decide.lua")
);
const KEYS: [&str; 4] = ["p:{b}:meta", "p:{b}:members", "p:{b}:log1", "p:{b}:log2"];
const LEARN_MS: u64 = 250;
const LEASE_MS: u64 = 150;
const GRACE_MS: u64 = 50;
const ABSENT_MS: u64 = 250;
const FALLBACK_MS: u64 = 300;

/// One member, as the script sees it.
struct Party {
    connection: Connection,
    limits: Vec<(u64, u64)>,
    name: String,
    /// What its calls are named after; another one for each process of that name.
    call: String,
    epoch: String,
    seq: u64,
    ack: u64,
    next: u64,
}

#[derive(Clone, Debug)]
struct Reply {
    standing: String,
    epoch: String,
    /// Sequence number, time, granted, wait, gate, active, shares, then what is used of each limit.
    numbers: Vec<u64>,
}

impl Reply {
    fn now(&self) -> u64 {
        self.numbers[1]
    }
    fn granted(&self) -> u64 {
        self.numbers[2]
    }
    fn wait_us(&self) -> u64 {
        self.numbers[3]
    }
    fn used(&self) -> &[u64] {
        &self.numbers[7..]
    }
}

impl Party {
    /// Limits are (calls, hold in ms).
    fn new(server: &Server, name: &str, limits: &[(u64, u64)]) -> Self {
        Self {
            connection: server.connection(),
            limits: limits.to_vec(),
            name: name.to_owned(),
            call: name.to_owned(),
            epoch: String::new(),
            seq: 0,
            ack: 0,
            next: 0,
        }
    }

    /// One question; `change` replaces fields of an empty one.
    fn try_ask(&mut self, change: serde_json::Value) -> redis::RedisResult<Reply> {
        let limits: Vec<_> =
            self.limits.iter().map(|(calls, hold_ms)| json!([calls, hold_ms * 1000])).collect();
        let fields = json!({
            "member": self.name, "call": self.call, "settings": format!("{:?}", self.limits),
            "limits": limits, "share": 250_000, "lease_us": LEASE_MS * 1000, "grace_us": GRACE_MS * 1000,
            "learn_us": LEARN_MS * 1000, "absent_us": ABSENT_MS * 1000, "fallback_us": FALLBACK_MS * 1000,
            "report_us": 1000, "skew_us": 100_000, "waiter_us": 2_000_000, "hand_us": 500, "keep_ms": 60_000,
            "epoch": self.epoch, "join": "", "done": false, "leave": false, "run": "", "seq": self.seq,
            "ack": self.ack, "at_most": 0, "want": 0, "extra": 0, "first": self.next,
            "stamped": [], "held": [], "returned": [], "gate_us": 0,
        });
        let object = |value| match value {
            serde_json::Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let mut fields = object(fields);
        fields.extend(object(change));
        let script = Script::new(SCRIPT);
        let mut invocation = script.key(&KEYS[..2]);
        for key in &KEYS[2..2 + self.limits.len()] {
            invocation.key(key);
        }
        let reply: Vec<Value> = invocation
            .arg(serde_json::Value::Object(fields).to_string())
            .invoke(&mut self.connection)?;
        let text = |value: &Value| redis::from_redis_value_ref::<String>(value).unwrap();
        let numbers =
            reply[2..].iter().map(|value| redis::from_redis_value_ref(value).unwrap()).collect();
        let reply = Reply { standing: text(&reply[0]), epoch: text(&reply[1]), numbers };
        if reply.standing == "ok" {
            (self.seq, self.ack) = (reply.numbers[0], reply.now());
            self.next += reply.granted();
        }
        Ok(reply)
    }

    fn ask(&mut self, change: serde_json::Value) -> Reply {
        self.try_ask(change).unwrap()
    }

    fn want(&mut self, calls: u64) -> Reply {
        self.ask(json!({ "want": calls }))
    }

    /// Joins with the upload and the memory in `with`; answers how it stands then.
    fn join(&mut self, with: serde_json::Value) -> String {
        (self.seq, self.ack) = (0, 0);
        self.epoch.clear();
        let hello = self.ask(json!({}));
        assert_eq!(hello.standing, "join");
        let mut question = json!({ "join": hello.epoch, "done": true });
        question.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let reply = self.ask(question);
        self.epoch = hello.epoch;
        reply.standing
    }

    /// Joins a server that nothing was ever sent through, and lets it have learnt that.
    fn at_work(server: &Server, name: &str, limits: &[(u64, u64)]) -> Self {
        let mut party = Self::new(server, name, limits);
        if party.join(json!({})) == "learning" {
            pause_ms(LEARN_MS);
        }
        assert_eq!(party.ask(json!({})).standing, "ok");
        party
    }
}

fn ids(
    from: u64,
    to: u64,
    mut row: impl FnMut(String) -> Vec<serde_json::Value>,
) -> serde_json::Value {
    (from..to).flat_map(|number| row(number.to_string())).collect()
}

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
