//! A job against a vendor with a mood: its enforcer, and a storm that refuses whatever comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use paceline_clock::{Random, Tick};
use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass, Shape, Slot};
use paceline_lab::{Enforcer, Law, Policy, Verdict};

use crate::support::chance;

/// Nobody waits as long as that for one job.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// One job. Times count from its start.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What the budget is made from.
    pub(crate) limit: &'static str,
    pub(crate) shape: Shape,
    /// What the vendor enforces, and how.
    pub(crate) truth: &'static str,
    pub(crate) policy: Policy,
    /// The vendor's clock at the start.
    pub(crate) phase: Duration,
    pub(crate) concurrent_max: u32,
    /// Calls that are wanted, all at once; the job ends with the last of them, or at its deadline.
    pub(crate) calls: u64,
    pub(crate) deadline: Duration,
    /// From when until when the vendor refuses calls whatever their rate, and which share of them.
    pub(crate) storm: (Duration, Duration, f64),
    /// What a refusal in the storm says about when to come back.
    pub(crate) asks: Option<Duration>,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// When the last call was accepted.
    pub(crate) took: Duration,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            limit: "500/min",
            shape: Shape::Auto,
            truth: "500/min",
            policy: Policy::LOG,
            phase: Duration::ZERO,
            concurrent_max: 16,
            calls: u64::MAX,
            deadline: DAY,
            storm: (Duration::ZERO, Duration::ZERO, 0.0),
            asks: None,
            seed: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrives,
    /// A refusal may name a wait.
    Answered {
        refused: bool,
        wait: Option<Duration>,
    },
}

/// When, in which order, whose, what.
type Event = Reverse<(Tick, u64, usize, What)>;

struct Driver<'a> {
    job: &'a Job,
    start: Tick,
    now: Tick,
    core: Core,
    enforcer: Enforcer,
    random: Random,
    way: Law,
    service: Law,
    events: BinaryHeap<Event>,
    slots: Vec<Slot>,
    waiting: u64,
    done: Done,
}

impl Job {
    pub(crate) fn run(&self) -> Done {
        let limit = self.limit.parse().unwrap();
        let config = BudgetConfig {
            shape: self.shape,
            concurrent_max: Some(self.concurrent_max),
            ..BudgetConfig::new([limit])
        };
        let start = Tick::SYSTEM_START + self.phase;
        let mut driver = Driver {
            job: self,
            start,
            now: start,
            core: Core::new(config).unwrap(),
            enforcer: Enforcer::new(&[self.truth.parse().unwrap()], &self.policy).unwrap(),
            random: Random::seeded(self.seed),
            way: "1..30".parse().unwrap(),
            service: "200..900".parse().unwrap(),
            events: BinaryHeap::new(),
            slots: Vec::new(),
            waiting: self.calls,
            done: Done::default(),
        };
        driver.run();
        driver.done
    }
}

impl Driver<'_> {
    fn run(&mut self) {
        let mut ask_at = self.admit();
        while self.done.accepted < self.job.calls && self.now - self.start < self.job.deadline {
            let event_at = self.events.peek().map_or(Tick::NEVER, |Reverse((at, ..))| *at);
            assert!(ask_at.min(event_at) < Tick::NEVER, "the job waits for ever");
            if ask_at < event_at {
                self.now = ask_at;
                ask_at = self.admit();
                continue;
            }
            let Some(Reverse((at, _, call, what))) = self.events.pop() else { return };
            self.now = at;
            match what {
                What::Arrives => {
                    self.arrives(call);
                    continue;
                }
                What::Answered { refused, wait } => self.answered(self.slots[call], refused, wait),
            }
            ask_at = self.admit();
        }
    }

    fn cause(&mut self, after: Duration, call: usize, what: What) {
        let number = self.events.len() as u64 + self.slots.len() as u64 * 1_000;
        self.events.push(Reverse((self.now + after, number, call, what)));
    }

    /// Sends whatever may go; answers when to ask again.
    fn admit(&mut self) -> Tick {
        while self.waiting > 0 {
            match self.core.admit(self.now) {
                Ok(slot) => {
                    self.waiting -= 1;
                    self.core.sent(slot, self.now);
                    self.slots.push(slot);
                    let way = self.way.draw(&self.random);
                    self.cause(way, self.slots.len() - 1, What::Arrives);
                }
                Err(refusal) => {
                    let until = refusal.until.unwrap_or(Tick::NEVER);
                    return until.max(self.now + Duration::from_nanos(1));
                }
            }
        }
        Tick::NEVER
    }

    fn arrives(&mut self, call: usize) {
        let (from, until, share) = self.job.storm;
        let since = self.now - self.start;
        let storms = (from..until).contains(&since) && chance(&self.random, share);
        let back = self.way.draw(&self.random);
        let refusal = match storms {
            true => Some(self.job.asks),
            false => match self.enforcer.decide(self.now) {
                Verdict::Accepted => None,
                Verdict::Refused(_) => Some(None),
            },
        };
        match refusal {
            None => {
                self.done.accepted += 1;
                self.done.took = since;
                let after = self.service.draw(&self.random) + back;
                self.cause(after, call, What::Answered { refused: false, wait: None });
            }
            Some(wait) => {
                self.done.refused += 1;
                self.cause(back, call, What::Answered { refused: true, wait });
            }
        }
    }

    fn answered(&mut self, slot: Slot, refused: bool, wait: Option<Duration>) {
        self.core.seen(slot, self.now);
        let class = if refused { OutcomeClass::Throttled } else { OutcomeClass::Success };
        let outcome = Outcome { retry_after: wait, ..Outcome::of(class) };
        self.core.finish(slot, &outcome, self.now);
        self.waiting += u64::from(refused);
    }
}
