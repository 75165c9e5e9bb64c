//! One process's place in a shared budget: what it asks next, what an answer changes, and what it may do without one.
//!
//! Pure: time is an argument, and the server is somebody else's business. `decide.lua` is the other half.

use std::time::Duration;

use paceline_clock::Tick;

use super::config::{BLOCK_MAX, SharedConfig, share_of};
use super::question::Asked;
use super::wire::{Answer, Memory, Standing};
use crate::Limit;
use crate::core::{Core, News, Own, Supply};
use crate::window::hold;

/// The least time between two questions.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The first pause after a failure; it doubles with each.
const BACKOFF_MIN: Duration = Duration::from_millis(20);

/// Where a member stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// It has yet to reach the server, or lost it.
    Away { retry_at: Tick, failures: u32 },
    /// It uploads its log.
    Joining { epoch: String, upload: Vec<News>, told: usize },
    /// Everybody does.
    Learning,
    /// All is well.
    Connected,
}

/// The last grant (or word that there is none) from a server in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contact {
    sent: Tick,
    pub(super) received: Tick,
    pub(super) memory: Memory,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) config: SharedConfig,
    limits: Vec<Limit>,
    /// The longest time for which a slot is held.
    pub(super) longest: Duration,
    share_ppm: u64,
    pub(super) phase: Phase,
    /// The epoch it is in; empty until it has joined one.
    pub(super) epoch: String,
    pub(super) seq: u64,
    /// The server's time at the last contact, if that was in this epoch; else 0.
    pub(super) ack: u64,
    /// The server's time, and when we asked for it.
    pub(super) server_time: Option<(u64, Tick)>,
    pub(super) contact: Option<Contact>,
    pub(super) last_sent: Option<Tick>,
    /// Not before this does it ask for permits again.
    next_ask: Tick,
    /// When it last said which calls are under way.
    pub(super) held_at: Tick,
    pub(super) trimmed_at: Tick,
    pub(super) pace: Pace,
}

/// How many permits were taken in this lease's time and in the one before.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Tick,
    now: u64,
    before: u64,
}

impl Member {
    pub(super) fn new(config: SharedConfig, limits: Vec<Limit>) -> Self {
        Self {
            longest: limits.iter().map(hold).max().unwrap_or_default(),
            share_ppm: config.share_ppm(&limits),
            config,
            limits,
            phase: Phase::Away { retry_at: Tick::ZERO, failures: 0 },
            epoch: String::new(),
            seq: 0,
            ack: 0,
            server_time: None,
            contact: None,
            last_sent: None,
            next_ask: Tick::ZERO,
            held_at: Tick::ZERO,
            trimmed_at: Tick::ZERO,
            pace: Pace::default(),
        }
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The share that this process can really use while the server is away, in millionths.
    pub(super) fn share_ppm(&self) -> u64 {
        self.share_ppm
    }

    /// From when until when the own share may be used, if there is one.
    pub(super) fn own(&self) -> Option<Own> {
        let contact = self.contact.as_ref().filter(|_| self.share_ppm > 0)?;
        Some(Own {
            from: contact.received + self.config.fallback_after(&self.limits),
            until: contact.sent + self.config.fallback_until(),
        })
    }

    /// When the next question is due.
    pub(super) fn due(&self, core: &mut Core, waiting: usize, now: Tick) -> Tick {
        let Some(last_sent) = self.last_sent else { return now };
        let soonest = last_sent + PAUSE_MIN;
        match self.phase {
            Phase::Away { retry_at, .. } => return retry_at.max(soonest),
            Phase::Joining { .. } => return soonest,
            Phase::Learning | Phase::Connected => {}
        }
        let wanting = self.phase == Phase::Connected && self.appetite(core, waiting, now) > 0;
        let Some(supply) = core.supply_mut() else { return Tick::NEVER };
        let mut due = last_sent + self.config.beat();
        if !supply.news().is_empty() || supply.gate().is_some() {
            due = due.min(last_sent + self.config.report_after(&self.limits));
        }
        if wanting {
            due = due.min(self.next_ask);
        }
        due.max(soonest)
    }

    /// Permits that callers wait for and could use before they expire.
    pub(super) fn appetite(&self, core: &mut Core, waiting: usize, now: Tick) -> usize {
        let startable = core.startable(self.config.lease).saturating_add(self.pace.recent());
        let Some(supply) = core.supply_mut() else { return 0 };
        let wanted = waiting.max(usize::from(supply.is_missed()));
        wanted.min(startable).saturating_sub(supply.stock(now)).min(BLOCK_MAX)
    }

    /// An answer came at `now`.
    pub(super) fn answered(&mut self, core: &mut Core, asked: &Asked, answer: &Answer, now: Tick) {
        core.hold_for_others(if answer.gate_us > 0 {
            now + Duration::from_micros(answer.gate_us)
        } else {
            Tick::ZERO
        });
        if let Some(supply) = core.supply_mut() {
            supply.gate_told(asked.gate);
            // What an epoch that is no more was told is told again to the new one.
            if answer.standing != Standing::Join {
                supply.told(asked.news);
            }
        }
        match answer.standing {
            Standing::Ok => self.in_order(core, asked, answer, now),
            Standing::Learning => {
                self.enter(answer, asked.sent);
                self.phase = Phase::Learning;
            }
            Standing::Join => self.start_over(core, answer),
            Standing::More => {
                if let Phase::Joining { told, .. } = &mut self.phase {
                    *told += asked.upload;
                }
            }
            Standing::Left => {}
        }
        self.apply(core);
    }

    fn enter(&mut self, answer: &Answer, sent: Tick) {
        self.epoch.clone_from(&answer.epoch);
        self.seq = answer.seq;
        self.server_time = Some((answer.now, sent));
    }

    fn in_order(&mut self, core: &mut Core, asked: &Asked, answer: &Answer, now: Tick) {
        self.enter(answer, asked.sent);
        self.ack = answer.now;
        let memory = Memory {
            age_us: 0,
            used: answer.used.clone(),
            active: answer.active,
            shares: answer.shares,
        };
        self.contact = Some(Contact { sent: asked.sent, received: now, memory });
        let wait = Duration::from_micros(answer.wait_us).min(self.config.poll_max());
        self.next_ask = if self.phase == Phase::Connected { now + wait } else { now };
        self.phase = Phase::Connected;
        if let Some(supply) = core.supply_mut() {
            let use_by = asked.sent + self.config.use_within();
            supply.lend(asked.question.first, answer.granted, use_by, now);
        }
    }

    /// The server is another one, or lost what it knew: everything is told again.
    fn start_over(&mut self, core: &mut Core, answer: &Answer) {
        core.tell_gate_again();
        let upload = core.supply_mut().map(Supply::start_over).unwrap_or_default();
        (self.seq, self.ack, self.server_time) = (0, 0, None);
        self.epoch.clear();
        self.phase = Phase::Joining { epoch: answer.epoch.clone(), upload, told: 0 };
    }

    /// No answer. `jitter` from 0 to 1 keeps processes from coming back all at once.
    pub(super) fn failed(&mut self, core: &mut Core, jitter: f64, now: Tick) {
        let failures = match self.phase {
            Phase::Away { failures, .. } => failures + 1,
            _ => 0,
        };
        let pause = (BACKOFF_MIN * 2_u32.pow(failures.min(10))).min(self.config.backoff_max());
        let retry_at = now + pause.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        self.phase = Phase::Away { retry_at, failures };
        self.apply(core);
    }

    /// Where permits come from now.
    fn apply(&self, core: &mut Core) {
        let own = if self.phase == Phase::Connected { None } else { self.own() };
        let slots: Option<Vec<usize>> =
            own.map(|_| self.limits.iter().map(|limit| share_of(limit, self.share_ppm)).collect());
        core.cap(slots.as_deref());
        if let Some(supply) = core.supply_mut() {
            supply.set_own(own);
        }
    }
}

impl Pace {
    pub(super) fn add(&mut self, taken: u64, now: Tick, lease: Duration) {
        if now - self.began >= lease {
            self.before = if now - self.began >= 2 * lease { 0 } else { self.now };
            (self.began, self.now) = (now, 0);
        }
        self.now += taken;
    }

    pub(super) fn recent(&self) -> usize {
        self.now.max(self.before) as usize
    }
}

#[cfg(test)]
mod tests;
