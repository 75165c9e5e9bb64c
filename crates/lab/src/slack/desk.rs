//! The moments at which a call is counted and at which it is done. One lock, one order of all calls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use paceline_clock::Tick;

use super::request::Message;
use super::stats::{SlackMessage, SlackStats};
use super::words::{fault, posted};
use super::{SLACK_CHANNELS_MAX, SlackConfig, SlackRequest, SlackVendor, Way};
use crate::hints::{RetryAfter, fault_headers};
use crate::stats::{Busiest, KeyHash, Recent, Sighting};
use crate::vendor::{Answer, Reply};
use crate::wire::{Outcome, Told};
use crate::{Enforcer, FaultLaw, Limit, LimitStats, Verdict};

/// The most messages that are kept, and their bytes.
const MESSAGES_MAX: usize = 10_000;
const MESSAGES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Everything that changes.
#[derive(Debug)]
pub(super) struct World {
    faults: FaultLaw,
    channels: HashMap<KeyHash, Channel>,
    messages: Recent<SlackMessage>,
    first_call: Option<Tick>,
    last_call: Option<Tick>,
    in_flight: u64,
    stats: SlackStats,
}

/// What a channel's limits know.
#[derive(Debug)]
struct Channel {
    enforcer: Enforcer,
    busiest: Vec<Busiest>,
}

/// What becomes of a call on its arrival.
pub(super) enum Arrived {
    /// Slack says no.
    Told(Told),
    /// The limits have decided.
    Decided(Decided),
}

pub(super) struct Decided {
    pub(super) way: Way,
    pub(super) answer: Answer,
    message: Message,
    key: Option<String>,
}

impl World {
    pub(super) fn new(faults: FaultLaw) -> Self {
        Self {
            faults,
            channels: HashMap::new(),
            messages: Recent::new(MESSAGES_MAX, MESSAGES_BYTES_MAX),
            first_call: None,
            last_call: None,
            in_flight: 0,
            stats: SlackStats::default(),
        }
    }

    pub(super) fn faults(&self) -> FaultLaw {
        self.faults.clone()
    }

    pub(super) fn set_faults(&mut self, law: FaultLaw) {
        self.faults = law;
    }

    pub(super) fn messages(&self) -> Vec<SlackMessage> {
        self.messages.to_vec()
    }

    pub(super) fn enter(&mut self) {
        self.in_flight += 1;
        self.stats.in_flight_max = self.stats.in_flight_max.max(self.in_flight);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn stats(&self, limits: &[Limit]) -> SlackStats {
        let busiest = |(place, limit): (usize, &Limit)| {
            let all = self.channels.values().filter_map(|channel| channel.busiest.get(place));
            let most = all.map(Busiest::stats).max_by_key(|stats| stats.busiest);
            most.unwrap_or_else(|| LimitStats { busiest: 0, ..Busiest::new(*limit).stats() })
        };
        SlackStats {
            channels: self.channels.len() as u64,
            limits: limits.iter().enumerate().map(busiest).collect(),
            first_call_ms: self.first_call.map(Tick::as_millis),
            last_call_ms: self.last_call.map(Tick::as_millis),
            ..self.stats.clone()
        }
    }

    /// A channel's limits. Beyond [`SLACK_CHANNELS_MAX`] all further ones share those of one.
    fn channel(&mut self, config: &SlackConfig, id: &str) -> Option<&mut Channel> {
        let mut place = KeyHash::of(id.as_bytes());
        if !self.channels.contains_key(&place) && self.channels.len() >= SLACK_CHANNELS_MAX {
            place = KeyHash::of(b"");
        }
        match self.channels.entry(place) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => {
                // The same settings built one before, so they do again.
                let enforcer = Enforcer::new(&config.limits, &config.policy).ok()?;
                let busiest = config.limits.iter().copied().map(Busiest::new).collect();
                Some(new.insert(Channel { enforcer, busiest }))
            }
        }
    }
}

impl SlackVendor {
    /// A call arrives now.
    pub(super) fn arrive(&self, request: &SlackRequest) -> Arrived {
        let way = request.way();
        let mut world = self.world();
        // Read inside the lock, so that arrivals are in order.
        let now = self.now();
        let first_call = *world.first_call.get_or_insert(now);
        world.last_call = Some(now);
        let message = match request.message(&self.config) {
            Ok(message) => message,
            Err(no) => {
                *world.stats.noes.entry(no.word(way).1).or_default() += 1;
                return Arrived::Told(no.told(way));
            }
        };
        let verdict = match world.channel(&self.config, &message.channel) {
            Some(channel) => channel.decide(now),
            None => Verdict::Accepted,
        };
        let (reply, headers) = match verdict {
            Verdict::Refused(refusal) => {
                world.stats.refused += 1;
                let headers = RetryAfter::Seconds.headers(refusal.until - now, self.wall());
                (Reply::Refused(refusal), headers)
            }
            Verdict::Accepted => {
                world.stats.accepted += 1;
                match world.faults.draw(now - first_call, &self.chance.faults) {
                    None => (Reply::Accepted, Vec::new()),
                    Some(fault) => {
                        *world.stats.faults.entry(fault.kind.name()).or_default() += 1;
                        (Reply::Fault(fault.kind), fault_headers(fault, self.wall()))
                    }
                }
            }
        };
        let key = request.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        let answer = Answer { reply, counted_at: now, headers };
        Arrived::Decided(Decided { way, answer, message, key: key.map(str::to_owned) })
    }

    /// A call is done now; if it has an effect, its message is posted.
    pub(super) fn finish(&self, call: Decided) -> Outcome {
        let Decided { way, answer, message, key } = call;
        let Message { channel, text } = message;
        let mut ts = String::new();
        if answer.has_effect() {
            let mut world = self.world();
            world.stats.posted += 1;
            // As Slack's: seconds, and a number that makes it the only one.
            let seconds = self.wall().as_micros().div_euclid(1_000_000);
            ts = format!("{seconds}.{:06}", world.stats.posted);
            let sighting = key.as_ref().map(|key| self.keys.served(KeyHash::of(key.as_bytes())));
            world.stats.duplicates += u64::from(sighting == Some(Sighting::Again));
            let bytes = channel.len() + text.len() + key.as_ref().map_or(0, String::len);
            let at_ms = self.now().as_millis();
            let kept = SlackMessage { at_ms, channel: channel.clone(), text: text.clone(), key };
            world.messages.push(kept, bytes);
        }
        let done = posted(way, &channel, &text, &ts);
        Outcome::of(answer, done, |kind| fault(way, kind))
    }
}

impl Channel {
    fn decide(&mut self, now: Tick) -> Verdict {
        let verdict = self.enforcer.decide(now);
        if verdict == Verdict::Accepted {
            self.busiest.iter_mut().for_each(|busiest| busiest.accepted(now));
        }
        verdict
    }
}
