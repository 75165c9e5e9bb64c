//! One process's place in a shared budget: what it asks next, what an answer changes, and what it may do without one.
//!
//! Pure: time is an argument, and the server is somebody else's business. `decide.lua` is the other half.

use std::time::Duration;

use paceline_clock::Tick;

use super::config::{BLOCK_MAX, SharedConfig, share_of};
use super::wire::{Answer, Memory, Question, Standing};
use crate::core::{Core, News, Own, Supply};
use crate::window::hold;
use crate::Limit;

/// News in one question.
const NEWS_MAX: usize = 2_000;
/// The least time between two questions.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The first pause after a failure; it doubles with each.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The shorter of two clocks' times: what is told as an age must not be too old by the server's clock.
const AGE_DRIFT_DIVISOR: u64 = 1_000;

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
struct Contact {
    sent: Tick,
    received: Tick,
    memory: Memory,
}

/// What a question covered, to be ticked off when it is answered.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    sent: Tick,
    news: usize,
    upload: usize,
    gate: Option<Tick>,
}

#[derive(Debug)]
pub(super) struct Member {
    config: SharedConfig,
    limits: Vec<Limit>,
    longest: Duration,
    share_ppm: u64,
    phase: Phase,
    epoch: String,
    seq: u64,
    ack: u64,
    /// The server's time, and when we asked for it.
    server_time: Option<(u64, Tick)>,
    contact: Option<Contact>,
    last_sent: Option<Tick>,
    next_ask: Tick,
    held_at: Tick,
    trimmed_at: Tick,
    pace: Pace,
}

/// How many permits were taken in this lease's time and in the one before.
#[derive(Debug, Default)]
struct Pace {
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
    fn appetite(&self, core: &mut Core, waiting: usize, now: Tick) -> usize {
        let startable = core.startable(self.config.lease).saturating_add(self.pace.recent());
        let Some(supply) = core.supply_mut() else { return 0 };
        let wanted = waiting.max(usize::from(supply.is_missed()));
        wanted.min(startable).saturating_sub(supply.stock(now)).min(BLOCK_MAX)
    }

    /// The next question.
    pub(super) fn question(&mut self, core: &mut Core, waiting: usize, now: Tick) -> Asked {
        self.last_sent = Some(now);
        let connected = self.phase == Phase::Connected;
        let want = if connected { self.appetite(core, waiting, now) } else { 0 };
        let mut asked = Asked {
            question: Question { want, ..self.header(now) },
            sent: now,
            news: 0,
            upload: 0,
            gate: None,
        };
        let Some(supply) = core.supply_mut() else { return asked };
        self.trim(supply, now);
        self.pace.add(supply.asked_for(), now, self.config.lease);
        let question = &mut asked.question;
        if connected {
            let stock = supply.stock(now);
            question.extra = (self.pace.recent() / 4).min(BLOCK_MAX - want).saturating_sub(stock);
            question.first = supply.reserve((want + question.extra) as u64);
        }
        asked.gate = supply.gate();
        question.gate_us = asked.gate.map_or(0, |gate| micros(gate - now));
        if let Phase::Joining { upload, told, .. } = &self.phase {
            let chunk = &upload[*told..upload.len().min(told + NEWS_MAX)];
            asked.upload = chunk.len();
            question.done = told + chunk.len() == upload.len();
            tell(question, chunk, now);
        } else {
            asked.news = supply.news().len().min(NEWS_MAX);
            tell(question, &supply.news()[..asked.news], now);
        }
        if question.done || now - self.held_at >= self.config.beat() / 2 {
            self.held_at = now;
            question.held = supply.open().collect();
        }
        asked
    }

    /// Who asks, and what it believes.
    fn header(&self, now: Tick) -> Question {
        let slack = 2 * self.config.deadline + Duration::from_millis(100);
        let at_most = self.server_time.map_or(0, |(time, sent)| {
            let passed = micros(now - sent);
            time + passed + passed / AGE_DRIFT_DIVISOR + micros(slack)
        });
        let mut question = Question {
            epoch: self.epoch.clone(),
            seq: self.seq,
            ack: self.ack,
            at_most,
            ..Question::default()
        };
        if let Phase::Joining { epoch, .. } = &self.phase {
            question.join.clone_from(epoch);
            question.memory = self.contact.as_ref().map(|contact| Memory {
                age_us: micros(now - contact.received),
                ..contact.memory.clone()
            });
        }
        question
    }

    /// An answer came at `now`.
    pub(super) fn answered(&mut self, core: &mut Core, asked: &Asked, answer: &Answer, now: Tick) {
        core.hold_until(if answer.gate_us > 0 {
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
        let slots: Option<Vec<usize>> = own
            .map(|_| self.limits.iter().map(|limit| share_of(limit, self.share_ppm)).collect());
        core.cap(slots.as_deref());
        if let Some(supply) = core.supply_mut() {
            supply.set_own(own);
        }
    }

    /// The last question: what is left goes back, and so does the place.
    pub(super) fn farewell(&self, supply: &mut Supply, now: Tick) -> Option<Question> {
        if self.phase != Phase::Connected {
            return None;
        }
        supply.close();
        let mut question = Question { leave: true, ..self.header(now) };
        tell(&mut question, supply.news(), now);
        Some(question)
    }

    fn trim(&mut self, supply: &mut Supply, now: Tick) {
        if now - self.trimmed_at < Duration::from_secs(1) {
            return;
        }
        self.trimmed_at = now;
        let keep = self.longest + self.longest / 100 + self.config.lease + self.config.grace;
        let known = self.contact.as_ref().map_or(now, |contact| contact.received.min(now));
        supply.trim(known.before(keep), now.before(keep));
    }
}

impl Pace {
    fn add(&mut self, taken: u64, now: Tick, lease: Duration) {
        if now - self.began >= lease {
            self.before = if now - self.began >= 2 * lease { 0 } else { self.now };
            (self.began, self.now) = (now, 0);
        }
        self.now += taken;
    }

    fn recent(&self) -> usize {
        self.now.max(self.before) as usize
    }
}

/// Writes news into a question, with ages by our clock.
fn tell(question: &mut Question, news: &[News], now: Tick) {
    for News { call, bits, stamp } in news {
        match stamp {
            Some(stamp) => question.stamped.push((*call, *bits, age_us(*stamp, now))),
            None => question.returned.push((*call, *bits)),
        }
    }
}

/// How long ago, at the least, by any clock; below 0 for a moment to come.
fn age_us(stamp: Tick, now: Tick) -> i64 {
    let ago = micros(now - stamp);
    let ahead = micros(stamp - now);
    let ago = ago - ago / AGE_DRIFT_DIVISOR;
    if ahead > 0 {
        -i64::try_from(ahead + ahead / AGE_DRIFT_DIVISOR + 1).unwrap_or(i64::MAX)
    } else {
        i64::try_from(ago).unwrap_or(i64::MAX)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
