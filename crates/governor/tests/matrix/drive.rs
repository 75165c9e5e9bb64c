//! One run: a job of calls that are all wanted at once, through the core and past an enforcer, event by event.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass, Slot};
use paceline_lab::{Enforcer, Verdict};

use crate::scenario::{Case, Delays, Guarding, RetryAfter};

/// A job that sends this many times its calls does not end.
const ATTEMPTS_PER_CALL_MAX: u64 = 20;

/// What came of one run. Times count from its start.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Refused calls.
    pub(crate) refused: u64,
    /// Refused calls after a third of all had been accepted.
    pub(crate) refused_settled: u64,
    /// When each attempt was sent.
    pub(crate) sent: Vec<Duration>,
    /// How long after that its response's head was seen; `None` for those still under way at the end.
    seen_after: Vec<Option<Duration>>,
    /// Whether every call was accepted in the end.
    pub(crate) ended: bool,
}

impl Run {
    pub(crate) fn last_start(&self) -> Duration {
        self.sent.last().copied().unwrap_or_default()
    }

    /// Mean time from sending to seeing, of these attempts: what strictness costs each window.
    pub(crate) fn seen_after(&self, attempts: Range<usize>) -> Duration {
        let seen = self.seen_after.get(attempts).unwrap_or_default().iter().flatten();
        let count = seen.clone().count() as u32;
        seen.sum::<Duration>().checked_div(count).unwrap_or_default()
    }
}

/// What happens next, and when.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: Tick,
    /// Events of one moment keep the order in which they were caused.
    number: u64,
    slot: Slot,
    attempt: u32,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Connected { took: Duration },
    Arrives,
    Answered,
    Refused { wait: Duration },
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Event {}

impl Ord for Event {
    /// The earliest is the greatest, for the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Driver {
    case: Case,
    start: Tick,
    now: Tick,
    core: Core,
    enforcer: Enforcer,
    delays: Delays,
    events: BinaryHeap<Event>,
    caused: u64,
    /// Calls that wait. They are all alike, so it does not matter to anybody that a refused one goes to the front.
    waiting: u32,
    /// Connections that wait for a call.
    idle: u32,
    accepted: u32,
    run: Run,
}

/// Runs `case` to its end.
pub(crate) fn run(case: &Case) -> Run {
    let config = BudgetConfig {
        shape: case.shape,
        guard: case.guarding.guard(),
        ..BudgetConfig::new(case.vendor.parsed())
    };
    let policy = case.enforcement.policy(case.vendor);
    let driver = Driver {
        case: *case,
        start: case.start(),
        now: case.start(),
        core: Core::new(config).unwrap(),
        enforcer: Enforcer::new(&case.vendor.enforced(), &policy).unwrap(),
        delays: Delays::new(case.latency, case.run),
        events: BinaryHeap::new(),
        caused: 0,
        waiting: case.calls,
        idle: 0,
        accepted: 0,
        run: Run {
            refused: 0,
            refused_settled: 0,
            sent: Vec::with_capacity(case.calls as usize),
            seen_after: Vec::with_capacity(case.calls as usize),
            ended: false,
        },
    };
    driver.run()
}

impl Driver {
    fn run(mut self) -> Run {
        let attempts_max = u64::from(self.case.calls) * ATTEMPTS_PER_CALL_MAX;
        let mut asks = 0;
        let mut ask_at = self.admit();
        while self.accepted < self.case.calls && (self.run.sent.len() as u64) < attempts_max {
            let event_at = self.events.peek().map_or(Tick::NEVER, |event| event.at);
            if ask_at < event_at {
                // Asking in vain may not go on for ever either.
                asks += 1;
                if asks > attempts_max {
                    break;
                }
                self.now = ask_at.max(self.now);
                ask_at = self.admit();
                continue;
            }
            let Some(event) = self.events.pop() else { break };
            self.now = event.at;
            if self.happens(event) {
                ask_at = self.admit();
            }
        }
        self.run.ended = self.accepted == self.case.calls;
        self.run
    }

    /// Sends whatever may go now; answers when to ask again, which is never if only an answer changes anything.
    fn admit(&mut self) -> Tick {
        while self.waiting > 0 {
            let slot = match self.core.admit(self.now) {
                Ok(slot) => slot,
                Err(refusal) => {
                    let until = refusal.until.unwrap_or(Tick::NEVER);
                    return until.max(self.now + Duration::from_nanos(1));
                }
            };
            self.waiting -= 1;
            self.send(slot);
        }
        Tick::NEVER
    }

    /// The call leaves, over a connection that is there or one that it makes first.
    fn send(&mut self, slot: Slot) {
        let attempt = self.run.sent.len() as u32;
        self.run.sent.push(self.now - self.start);
        self.run.seen_after.push(None);
        self.core.sent(slot, self.now);
        let makes_connection = self.case.guarding == Guarding::AutoTold && self.idle == 0;
        let (what, after) = if makes_connection {
            self.core.connecting(slot);
            let took = self.delays.way() + self.delays.way();
            (What::Connected { took }, took)
        } else {
            self.idle = self.idle.saturating_sub(1);
            (What::Arrives, self.delays.way())
        };
        self.cause(Event { at: self.now + after, number: 0, slot, attempt, what });
    }

    fn cause(&mut self, event: Event) {
        self.caused += 1;
        self.events.push(Event { number: self.caused, ..event });
    }

    /// Lets it happen; answers whether the core learnt something.
    fn happens(&mut self, event: Event) -> bool {
        match event.what {
            What::Connected { took } => {
                self.core.saw_network(took);
                self.core.connected(event.slot, self.now);
                let at = self.now + self.delays.way();
                self.cause(Event { at, what: What::Arrives, ..event });
            }
            What::Arrives => {
                self.arrives(event);
                return false;
            }
            What::Answered => self.answered(event, &Outcome::of(OutcomeClass::Success)),
            What::Refused { wait } => {
                let retry_after = match self.case.retry_after {
                    RetryAfter::None => None,
                    RetryAfter::WholeSeconds => {
                        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                        Some(Duration::from_secs(seconds))
                    }
                    RetryAfter::Exact => Some(wait),
                };
                let throttled = Outcome::of(OutcomeClass::Throttled);
                self.answered(event, &Outcome { retry_after, ..throttled });
                self.waiting += 1;
            }
        }
        true
    }

    /// The vendor counts it.
    fn arrives(&mut self, event: Event) {
        let (what, after) = match self.enforcer.decide(self.now) {
            Verdict::Accepted => {
                self.accepted += 1;
                (What::Answered, self.delays.service())
            }
            Verdict::Refused(refusal) => {
                self.run.refused += 1;
                if self.accepted * 3 >= self.case.calls {
                    self.run.refused_settled += 1;
                }
                (What::Refused { wait: refusal.until - self.now }, Duration::ZERO)
            }
        };
        let at = self.now + after + self.delays.way();
        self.cause(Event { at, what, ..event });
    }

    /// The response's head is here, and with it the end.
    fn answered(&mut self, event: Event, outcome: &Outcome) {
        self.core.seen(event.slot, self.now);
        self.core.finish(event.slot, outcome, self.now);
        self.idle += 1;
        let attempt = event.attempt as usize;
        let seen_at = self.now - self.start;
        self.run.seen_after[attempt] = Some(seen_at.saturating_sub(self.run.sent[attempt]));
    }
}
