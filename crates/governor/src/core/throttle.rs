//! What a 429 does to a budget: it is explained, the window that refused is narrowed, and the explanation is kept for people
//! (limiter-theory.md, "Adapting").

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use paceline_clock::Tick;

use super::flights::Ended;
use super::learn::Cause;
use super::rule::{Rule, likely_refuser};
use super::scout::Scout;
use super::{Core, Slot};
use crate::Limit;

/// Explanations that are kept; older ones are counted, not told.
const EXPLANATIONS_MAX: usize = 16;
/// Refusals in a row after which nothing that was learnt in that row is believed.
const DOUBTS_AFTER: u32 = 4;
/// Without any limit and without a word of the vendor's, this long after the first 429...
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// ...and twice as long after each further one, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Why the vendor refused, as far as that can be told from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// When the refusal came.
    pub at: Tick,
    /// The limit that refused, most likely; `None` if the budget has none.
    pub limit: Option<Limit>,
    /// Why.
    pub cause: Cause,
    /// The wait that the vendor asked for.
    pub asked: Option<Duration>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "{limit}: ")?,
            None => f.write_str("429: ")?,
        }
        match self.cause {
            Cause::LateArrival => f.write_str(
                "a call may have arrived later than believed; slots are held longer from now on",
            ),
            Cause::SmallBucket { depth } => write!(
                f,
                "the vendor takes about {depth} at once (a token bucket smaller than the limit); no more go at once"
            ),
            Cause::WholeSeconds => f.write_str(
                "the vendor seems to keep time in whole seconds; slots are held a second longer",
            ),
            Cause::SlidingCounter => f.write_str(
                "the vendor seems to weigh the last window too (a sliding counter); calls are spread evenly",
            ),
            Cause::SomebodyElse => f.write_str(
                "nothing sent from here explains it: another user of this key, or a lower limit than configured",
            ),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Throttles {
    total: u64,
    /// 429s in a row, round trips counted once.
    streak: u32,
    last_drop: Option<Tick>,
    pub(super) scout: Scout,
    explanations: VecDeque<Explanation>,
}

impl Throttles {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn explanations(&self) -> impl Iterator<Item = &Explanation> {
        self.explanations.iter()
    }

    pub(super) fn any(&self) -> bool {
        self.total > 0
    }

    /// A call was accepted. One that left before the last refusal came says nothing of what has been since.
    /// Answers whether this one does.
    pub(super) fn good(&mut self, ended: Ended) -> bool {
        let is_later = self.is_later(ended);
        if is_later {
            self.streak = 0;
            self.scout.good();
        }
        is_later
    }

    /// Whether a call left after the last refusal that counted had come.
    fn is_later(&self, ended: Ended) -> bool {
        self.last_drop.is_none_or(|last| ended.sent_at.is_some_and(|sent| sent > last))
    }

    fn keep(&mut self, explanation: Explanation) {
        if self.explanations.len() == EXPLANATIONS_MAX {
            self.explanations.pop_front();
        }
        self.explanations.push_back(explanation);
    }
}

impl Core {
    /// A 429: explained once per round trip, and the window that refused gets fewer slots.
    pub(super) fn throttle(
        &mut self,
        slot: Slot,
        ended: Ended,
        asked: Option<Duration>,
        now: Tick,
    ) {
        self.throttles.total += 1;
        let configured = self.config.limits.len();
        let refuser = likely_refuser(&self.rules[..configured], (slot, now), asked, &self.latency);
        if !self.throttles.is_later(ended) {
            self.throttles.scout.dropped(slot);
            self.rules.iter_mut().for_each(|rule| rule.dropped(slot));
            return;
        }
        self.rules.iter_mut().for_each(|rule| rule.refused(slot));
        self.throttles.last_drop = Some(now);
        self.throttles.streak = self.throttles.streak.saturating_add(1);
        let row = self.throttles.streak;
        let doubled = PAUSE_MIN.saturating_mul(1 << (row - 1).min(6));
        let mut pause = doubled.min(PAUSE_MAX);
        let mut explanation =
            Explanation { at: now, limit: None, cause: Cause::SomebodyElse, asked };
        if let Some((index, cause)) = refuser {
            // Of several windows nobody knows which one refused: there it takes more to doubt what was learnt.
            let learners = self.rules.iter().filter(|rule| rule.learner().is_some()).count();
            if cause == Cause::SomebodyElse && (learners == 1 || row >= DOUBTS_AFTER) {
                self.rules.iter_mut().for_each(Rule::unexplained);
            }
            let rule = &mut self.rules[index];
            pause = rule.pause(row);
            explanation = Explanation { limit: Some(*rule.limit()), cause, ..explanation };
            rule.believe(cause, now, &self.latency);
            if self.config.cool_down_on_429 {
                rule.cool_down(cause, now);
            }
        }
        if self.config.cool_down_on_429 {
            self.throttles.scout.refused(row);
        }
        if asked.is_none() && self.config.cool_down_on_429 {
            self.hold_until(now + pause);
        }
        tracing::info!(%explanation, ?asked, "the vendor refused a call for its rate");
        self.throttles.keep(explanation);
    }
}
