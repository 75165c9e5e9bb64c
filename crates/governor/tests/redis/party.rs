//! One member as the script sees it, and the times of the script's tests: short, for the server's clock is a real one.

use redis::{Connection, Script, Value};
use serde_json::{Map, json};

use crate::server::{Server, pause_ms};

const SCRIPT: &str = concat!(
    include_str!("../../src/shared/state.lua"),
    include_str!("../../src/shared/decide.lua")
);
pub(crate) const KEYS: [&str; 4] = ["p:{b}:meta", "p:{b}:members", "p:{b}:log1", "p:{b}:log2"];
pub(crate) const LEARN_MS: u64 = 250;
pub(crate) const LEASE_MS: u64 = 150;
pub(crate) const GRACE_MS: u64 = 50;
pub(crate) const ABSENT_MS: u64 = 250;
pub(crate) const FALLBACK_MS: u64 = 300;

/// One member, as the script sees it.
pub(crate) struct Party {
    connection: Connection,
    pub(crate) limits: Vec<(u64, u64)>,
    pub(crate) name: String,
    /// What its calls are named after; another one for each process of that name.
    pub(crate) call: String,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    pub(crate) ack: u64,
    pub(crate) next: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) standing: String,
    pub(crate) epoch: String,
    /// Sequence number, time, granted, wait, gate, active, shares, then what is used of each limit.
    numbers: Vec<u64>,
}

impl Reply {
    pub(crate) fn now(&self) -> u64 {
        self.numbers[1]
    }
    pub(crate) fn granted(&self) -> u64 {
        self.numbers[2]
    }
    pub(crate) fn wait_us(&self) -> u64 {
        self.numbers[3]
    }
    pub(crate) fn used(&self) -> &[u64] {
        &self.numbers[7..]
    }
}

impl Party {
    /// Limits are (calls, hold in ms).
    pub(crate) fn new(server: &Server, name: &str, limits: &[(u64, u64)]) -> Self {
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
    pub(crate) fn try_ask(&mut self, change: serde_json::Value) -> redis::RedisResult<Reply> {
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

    pub(crate) fn ask(&mut self, change: serde_json::Value) -> Reply {
        self.try_ask(change).unwrap()
    }

    pub(crate) fn want(&mut self, calls: u64) -> Reply {
        self.ask(json!({ "want": calls }))
    }

    /// Joins with the upload and the memory in `with`; answers how it stands then.
    pub(crate) fn join(&mut self, with: serde_json::Value) -> String {
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
    pub(crate) fn at_work(server: &Server, name: &str, limits: &[(u64, u64)]) -> Self {
        let mut party = Self::new(server, name, limits);
        if party.join(json!({})) == "learning" {
            pause_ms(LEARN_MS);
        }
        assert_eq!(party.ask(json!({})).standing, "ok");
        party
    }
}

pub(crate) fn ids(
    from: u64,
    to: u64,
    mut row: impl FnMut(String) -> Vec<serde_json::Value>,
) -> serde_json::Value {
    (from..to).flat_map(|number| row(number.to_string())).collect()
}
