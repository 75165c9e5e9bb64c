//! What goes to the script and what comes back: one question, one answer.

use redis::Value;
use serde_json::{Map, json};

use super::config::SharedConfig;
use crate::Limit;
use crate::core::Call;
use crate::window::hold;

/// What a question says apart from the settings. Times are in microseconds; ages count back from the moment at which the
/// script runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Question {
    /// The epoch that the process believes in; empty until it has joined one.
    pub(crate) epoch: String,
    /// The epoch that it joins; empty otherwise.
    pub(crate) join: String,
    /// The join is complete with this.
    pub(crate) done: bool,
    /// It leaves for good.
    pub(crate) leave: bool,
    /// The identity of the server process it is connected to.
    pub(crate) run: String,
    /// The last sequence number that it saw in this epoch.
    pub(crate) seq: u64,
    /// The server's time in the last grant that it has in hand; 0 for none in this epoch.
    pub(crate) ack: u64,
    /// The server's time cannot be later than this; 0 if it knows nothing.
    pub(crate) at_most: u64,
    /// Permits for those who wait.
    pub(crate) want: usize,
    /// Permits for those who may come.
    pub(crate) extra: usize,
    /// The first number for them.
    pub(crate) first: u64,
    /// Stamps: call, limits, age (below 0 for a moment to come).
    pub(crate) stamped: Vec<(Call, u32, i64)>,
    /// Calls under way: their lease begins anew for these limits.
    pub(crate) held: Vec<(Call, u32)>,
    /// Calls that never were.
    pub(crate) returned: Vec<(Call, u32)>,
    /// How long the vendor asked everyone to wait.
    pub(crate) gate_us: u64,
    /// What a process that comes back remembers of the whole.
    pub(crate) memory: Option<Memory>,
}

/// The whole as the last grant told it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) age_us: u64,
    pub(crate) used: Vec<u64>,
    pub(crate) active: u64,
    pub(crate) shares: u64,
}

/// How the script answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In order; granted as it says.
    Ok,
    /// The epoch is another one: join it.
    Join,
    /// The upload came in; go on.
    More,
    /// Nobody is granted anything yet.
    Learning,
    /// Gone for good.
    Left,
}

/// The answer, times in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) standing: Standing,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    pub(crate) now: u64,
    pub(crate) granted: u64,
    pub(crate) wait_us: u64,
    pub(crate) gate_us: u64,
    /// Members heard from lately.
    pub(crate) active: u64,
    /// The fallback shares of all members, in millionths.
    pub(crate) shares: u64,
    /// Per limit.
    pub(crate) used: Vec<u64>,
}

/// The part of a question that never changes.
#[derive(Clone, Debug)]
pub(crate) struct Preamble {
    fields: Map<String, serde_json::Value>,
    keys: Vec<String>,
}

impl Preamble {
    /// `call` names this instance's calls; `member` its place among the members.
    pub(crate) fn new(config: &SharedConfig, limits: &[Limit], member: &str, call: &str) -> Self {
        let micros = |time: std::time::Duration| time.as_micros() as u64;
        let rows: Vec<_> =
            limits.iter().map(|limit| json!([limit.count(), micros(hold(limit))])).collect();
        let longest = limits.iter().map(hold).max().unwrap_or_default();
        let keep = 2 * (config.fallback_max + longest) + 10 * config.lease + config.learning;
        let fields = json!({
            "member": member,
            "call": call,
            "settings": config.settings(limits),
            "limits": rows,
            "share": config.share_ppm(limits),
            "lease_us": micros(config.lease),
            "grace_us": micros(config.grace),
            "learn_us": micros(config.learning),
            "absent_us": micros(config.absent_after()),
            "fallback_us": micros(config.fallback_max),
            "skew_us": micros(4 * config.deadline),
            "report_us": micros(config.report_after(limits)),
            "waiter_us": micros(config.waiter_expiry()),
            "hand_us": micros(config.hand_over()),
            "keep_ms": keep.as_millis() as u64,
        });
        let fields = match fields {
            serde_json::Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { fields, keys: keys(&config.name, limits.len()) }
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The script's argument.
    pub(crate) fn write(&self, question: &Question) -> String {
        let mut fields = self.fields.clone();
        let q = question;
        let stamped: Vec<_> = q
            .stamped
            .iter()
            .flat_map(|(call, bits, age)| [json!(name(*call)), json!(bits), json!(age)])
            .collect();
        let changing = json!({
            "epoch": q.epoch, "join": q.join, "done": q.done, "leave": q.leave, "run": q.run, "seq": q.seq,
            "ack": q.ack, "at_most": q.at_most, "want": q.want, "extra": q.extra, "first": q.first,
            "stamped": stamped, "held": pairs(&q.held), "returned": pairs(&q.returned), "gate_us": q.gate_us,
        });
        if let serde_json::Value::Object(changing) = changing {
            fields.extend(changing);
        }
        if let Some(m) = &q.memory {
            let memory = json!({
                "age_us": m.age_us, "used": m.used, "active": m.active, "shares": m.shares,
            });
            fields.insert("memory".to_owned(), memory);
        }
        serde_json::Value::Object(fields).to_string()
    }
}

/// The keys of a budget, all with its name as their hash tag.
fn keys(name: &str, limits: usize) -> Vec<String> {
    let fixed = ["meta", "members"].map(str::to_owned);
    let logs = (1..=limits).map(|limit| format!("log{limit}"));
    fixed.into_iter().chain(logs).map(|part| format!("paceline:{{{name}}}:{part}")).collect()
}

fn name(call: Call) -> String {
    if call.own { format!("~{}", call.number) } else { call.number.to_string() }
}

fn pairs(calls: &[(Call, u32)]) -> Vec<serde_json::Value> {
    calls.iter().flat_map(|(call, bits)| [json!(name(*call)), json!(bits)]).collect()
}

impl Answer {
    /// Reads the script's reply; `None` if it is none.
    pub(crate) fn read(reply: &[Value]) -> Option<Self> {
        let (Value::BulkString(standing), Value::BulkString(epoch)) =
            (reply.first()?, reply.get(1)?)
        else {
            return None;
        };
        let numbers = reply.get(2..)?.iter().map(|value| match value {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        });
        let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
        let (fixed, used) = numbers.split_at_checked(7)?;
        let &[seq, now, granted, wait_us, gate_us, active, shares] = fixed else { return None };
        let standing = match standing.as_slice() {
            b"ok" => Standing::Ok,
            b"join" => Standing::Join,
            b"more" => Standing::More,
            b"learning" => Standing::Learning,
            b"left" => Standing::Left,
            _ => return None,
        };
        let epoch = String::from_utf8(epoch.clone()).ok()?;
        let used = used.to_vec();
        Some(Self { standing, epoch, seq, now, granted, wait_us, gate_us, active, shares, used })
    }
}
