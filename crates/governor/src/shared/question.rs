//! What a member asks: the other half of `member.rs`, which takes the answers.

use std::time::Duration;

use paceline_clock::Tick;

use super::config::BLOCK_MAX;
use super::member::{Member, Phase};
use super::wire::{Memory, Question};
use crate::core::{Core, News, Supply};

/// News in one question.
const NEWS_MAX: usize = 2_000;
/// What two clocks may differ by, as a divisor: what is told as an age must not be too old by the server's clock.
const AGE_DRIFT_DIVISOR: u64 = 1_000;

/// What a question covered, to be ticked off when it is answered.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) sent: Tick,
    /// News that it tells.
    pub(super) news: usize,
    /// Entries of the upload that it tells.
    pub(super) upload: usize,
    pub(super) gate: Option<Tick>,
}

impl Member {
    /// The next question.
    pub(super) fn question(&mut self, core: &mut Core, waiting: usize, now: Tick) -> Asked {
        self.last_sent = Some(now);
        let want = self.appetite(core, waiting, now);
        let mut asked =
            Asked { question: self.header(now), sent: now, news: 0, upload: 0, gate: None };
        let Some(supply) = core.supply_mut() else { return asked };
        self.trim(supply, now);
        self.pace.add(supply.asked_for(), now, self.config.lease);
        let question = &mut asked.question;
        if supply.news().len() > NEWS_MAX {
            // Calls from the own share may be among what is still to tell: the share stays ours, and nothing else.
            question.ack = 0;
        } else if self.phase == Phase::Connected {
            let stock = supply.stock(now);
            question.want = want;
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
pub(super) fn age_us(stamp: Tick, now: Tick) -> i64 {
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
