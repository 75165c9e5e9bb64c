//! What shape `auto` learns about the enforcer behind one limit (limiter-theory.md, "The shape").
//!
//! It believes that the vendor accepts whatever keeps the limit, and goes to prove it: a call on ground where a vendor of
//! another kind might refuse (a token bucket smaller than the limit, a sliding counter of some phase, a clock of whole
//! seconds) goes out with few others there, see [`Probe`]. An accepted call rules out the vendors that must have refused it. A
//! refused one that the limit itself did not deserve is explained by those that are left, and the plan that follows is the
//! fastest one that is safe under them. A belief that was given up is tried again after many good answers, each time after
//! five times as many, so that finding out costs less than one call in two hundred.

mod doubt;
mod explain;
mod phases;
mod probe;
mod seconds;
#[cfg(test)]
mod tests;

use std::time::Duration;

use paceline_clock::Tick;

use super::flights::Slot;
use super::pacer::Pacer;
use crate::window::with_drift;
use doubt::Doubt;
pub use explain::Cause;
pub(super) use explain::{Facts, Refused};
use phases::{Mask, Phases};
use probe::{Probe, Steps};
use seconds::{Seconds, Starts};

/// Good answers before a lost belief is tried again, at first and at the most.
const PATIENCE: (u32, u32) = (200, 100_000);
/// So many times as many after each trial that was refused.
const PATIENCE_GROWTH: u32 = 5;
/// So many times as long where the trial may cost more than one call.
const DEAR: u32 = 5;
/// A window this long costs little when it is held a second longer, so that is believed before anything slower.
const SECONDS_ARE_CHEAP: Duration = Duration::from_secs(10);
/// From such a pace on the moments of sending tell how many calls a bucket held; below, the ways differ by as much.
const SLOW_PACE: Duration = Duration::from_millis(100);
/// Good answers after which a changed plan is taken to have helped.
const MENDED_AFTER: u32 = 50;
/// Late arrivals explain so many refusals in a row; then something else must.
const LATE_MAX: u32 = 2;

/// The ground that a call went out on.
#[derive(Clone, Copy, Debug, Default)]
struct Ground {
    at: Tick,
    /// Calls in the vendor's bucket with it, at most.
    level: f32,
    /// Counters that might, and that must, refuse it.
    may_refuse: Mask,
    must_refuse: Mask,
    /// Whether it is unproved that the vendor takes so many at once, is no counter, keeps fine time; and in which epoch.
    unproved: [bool; 3],
    epochs: [u16; 3],
    /// A slot was used again within a second; vendors of whole seconds that must refuse that.
    at_edge: bool,
    must_refuse_edge: Starts,
}

const BUCKET: usize = 0;
const COUNTER: usize = 1;
const SECONDS: usize = 2;

/// How fast each ground is proved under a limit of `count`. A first burst is what a short job waits for; on the other two
/// grounds an even pace goes on meanwhile.
fn steps(count: u32, window: Duration) -> [Steps; 3] {
    // A window of so many is a burst that costs too much if it is refused: there nothing is ever taken for proved.
    let large = count > 500;
    let enough = |accepted: u32| if large { u32::MAX } else { accepted };
    let never = u32::MAX;
    let bucket = Steps { at_first: 3, quick: 1, quick_max: count / 6, careful: 2, enough: never };
    let counter =
        Steps { at_first: 2, quick: 2, quick_max: count / 16, careful: 8, enough: enough(count) };
    // Each of eight parts of a second sees an eighth of the calls. In short windows the vendors are ruled out instead.
    let ruled_out = window <= seconds::WINDOW_MAX;
    let enough = if ruled_out { never } else { enough((count / 8).max(32)) };
    let seconds = if ruled_out && !large && count > 20 {
        Steps { at_first: count.div_ceil(16), quick: 1, quick_max: count / 4, careful: 8, enough }
    } else {
        Steps { quick_max: count / 10, enough, ..counter }
    };
    [bucket, counter, seconds]
}

/// Which part of its ground a call is on.
fn part_of(kind: usize, at: Tick) -> u8 {
    if kind == SECONDS { seconds::part(at) } else { 0 }
}

#[derive(Clone, Debug)]
pub(super) struct Learner {
    count: u64,
    window: Duration,
    probes: [Probe; 3],
    /// How long after its sending a call that nobody has refused is taken for accepted.
    silence: Duration,
    /// By the slot's index.
    grounds: Vec<Ground>,
    /// All calls, by the upper bounds of their arrival; and the accepted ones, by the lower bounds.
    bucket: Pacer,
    accepted: Pacer,
    accepted_last: Tick,
    /// The most that was accepted at once: for certain, and if the calls that were under way had arrived.
    certain: f64,
    proven: f64,
    /// The most that nobody has refused, and the most that is out.
    presumed: f64,
    reach: f64,
    /// Calls at once that the vendor takes, if fewer than its limit.
    depth: Option<u64>,
    /// When that was learnt.
    depth_since: Tick,
    phases: Phases,
    /// The vendor is taken for a counter.
    counter: bool,
    fine: Seconds,
    /// The vendor is taken to keep whole seconds.
    seconds: bool,
    /// How often in a row a late arrival was the explanation.
    late: u32,
    clean: u32,
    patience: u32,
    /// A lost belief is being tried again.
    trying: bool,
    /// Good answers since the plan was changed.
    since_mended: u32,
    doubt: Doubt,
}

impl Learner {
    pub(super) fn new(count: u32, window: Duration) -> Self {
        let hold = with_drift(window);
        Self {
            count: u64::from(count),
            window,
            probes: steps(count, window).map(Probe::new),
            silence: Duration::from_millis(500),
            grounds: Vec::new(),
            bucket: Pacer::new(hold / count),
            accepted: Pacer::new(window / count),
            accepted_last: Tick::ZERO,
            certain: 1.0,
            proven: 1.0,
            presumed: 1.0,
            reach: 0.0,
            depth: None,
            depth_since: Tick::ZERO,
            phases: Phases::new(u64::from(count), window),
            counter: false,
            fine: Seconds::new(u64::from(count), window, hold),
            seconds: false,
            late: 0,
            clean: 0,
            patience: PATIENCE.0,
            trying: false,
            since_mended: u32::MAX,
            doubt: Doubt::default(),
        }
    }

    /// Whether its plan was changed so short a time ago that the change has not proved itself.
    pub(super) fn mended(&self) -> bool {
        self.since_mended < MENDED_AFTER
    }

    /// Whether a belief that was given up is being tried again.
    pub(super) fn trying(&self) -> bool {
        self.trying
    }

    /// The network was seen: a refusal comes back within so long.
    pub(super) fn refusals_take(&mut self, at_most: Duration) {
        self.silence = at_most;
    }

    pub(super) fn counter(&self) -> bool {
        self.counter
    }

    /// How long the window is held beyond its length.
    pub(super) fn extra_hold(&self) -> Duration {
        if self.seconds { Duration::from_secs(1) } else { Duration::ZERO }
    }

    /// Calls at once that the vendor takes, if fewer than its limit.
    pub(super) fn depth(&self) -> Option<u64> {
        self.depth
    }

    /// What is worth keeping over a restart; `None` if that is nothing.
    pub(super) fn facts(&self) -> Option<Facts> {
        let facts = Facts {
            proven: self.certain as u32,
            depth: self.depth.and_then(|depth| u32::try_from(depth).ok()),
            counter: self.counter,
            seconds: self.seconds,
            patience: self.patience,
        };
        (facts.proven > 1 || facts.depth.is_some() || facts.counter || facts.seconds)
            .then_some(facts)
    }

    /// How much of a burst is proved, if that is all there is to keep.
    pub(super) fn plain_facts(&self) -> Option<u32> {
        let nothing_lost = self.depth.is_none() && !self.counter && !self.seconds;
        (nothing_lost && self.late == 0 && self.patience == PATIENCE.0)
            .then_some(self.certain as u32)
    }

    /// Takes over what an earlier process learnt.
    pub(super) fn relearn(&mut self, facts: Facts) {
        self.depth = facts.depth.map(|depth| u64::from(depth.max(1))).filter(|d| *d < self.count);
        self.certain = f64::from(facts.proven).clamp(1.0, self.depth.unwrap_or(self.count) as f64);
        self.proven = self.certain;
        self.presumed = self.certain;
        self.counter = facts.counter;
        self.seconds = facts.seconds;
        self.patience = facts.patience.clamp(PATIENCE.0, PATIENCE.1);
    }

    /// Whether the vendor is known to take the whole limit at once.
    fn takes_all_at_once(&self) -> bool {
        self.depth.is_none() && self.proven >= self.count as f64
    }

    /// Until when it holds a call back; the outer `None` if it does not, the inner if that hangs on a stamp or an answer.
    pub(super) fn refuses(&self, unstamped: u64, now: Tick) -> Option<Option<Tick>> {
        let mut held = None;
        if !self.takes_all_at_once() {
            let depth = self.depth.unwrap_or(self.count).min(self.count);
            let opens = match self.bucket.opens_at(depth, unstamped) {
                Some(at) if at <= now => None,
                opens => Some(opens),
            };
            held = opens.or_else(|| self.probing(BUCKET, unstamped, now));
        }
        held.or_else(|| self.probing(COUNTER, unstamped, now))
            .or_else(|| self.probing(SECONDS, unstamped, now))
    }

    /// Whether a call is held back because too many are out on ground that is as unproved as its own.
    fn probing(&self, kind: usize, unstamped: u64, now: Tick) -> Option<Option<Tick>> {
        if self.probes[kind].open(part_of(kind, now)) {
            return None;
        }
        let drains = match kind {
            // It is on proved ground again once so much has drained.
            BUCKET => {
                let unproved = self.bucket.level(unstamped + 1, now) > self.presumed + 1e-6;
                unproved.then(|| self.bucket.opens_at(self.presumed as u64, unstamped))
            }
            COUNTER => {
                let unproved = !self.counter && self.phases.verdicts(now).may_refuse != 0;
                unproved.then(|| Some(now + self.phases.slice()))
            }
            _ => {
                let unproved = !self.seconds && self.fine.at_edge(unstamped);
                unproved.then(|| self.fine.fine_at().filter(|at| *at > now))
            }
        }?;
        let presumed = self.probes[kind].presumes_at(self.silence).filter(|at| *at > now);
        Some(match (drains, presumed) {
            (Some(drains), Some(presumed)) => Some(drains.min(presumed)),
            (drains, presumed) => drains.or(presumed),
        })
    }

    pub(super) fn advance(&mut self, now: Tick) {
        self.fine.advance(now);
        if self.probes[BUCKET].presume(self.silence, now) > 0 {
            self.presumed = self.presumed.max(self.reach);
            self.reach = 0.0;
        }
        self.probes[COUNTER].presume(self.silence, now);
        self.probes[SECONDS].presume(self.silence, now);
    }

    /// A call goes; `unstamped` are those under way with it.
    pub(super) fn take(&mut self, slot: Slot, unstamped: u64, now: Tick) {
        let mut ground = Ground { at: now, ..Ground::default() };
        if !self.takes_all_at_once() {
            let level = self.bucket.level(unstamped, now);
            ground.level = level as f32;
            ground.unproved[BUCKET] = level > self.presumed + 1e-6;
            self.reach = self.reach.max(level);
        }
        let verdicts = self.phases.look(now);
        ground.may_refuse = verdicts.may_refuse;
        ground.must_refuse = verdicts.must_refuse;
        ground.unproved[COUNTER] = !self.counter && verdicts.may_refuse != 0;
        ground.at_edge = self.fine.at_edge(unstamped.saturating_sub(1));
        ground.unproved[SECONDS] = !self.seconds && ground.at_edge;
        if ground.unproved[SECONDS] {
            ground.must_refuse_edge = self.fine.must_refuse(now);
        }
        self.phases.count(now);
        for kind in [BUCKET, COUNTER, SECONDS] {
            if ground.unproved[kind] {
                ground.epochs[kind] = self.probes[kind].take(part_of(kind, now), now);
            }
        }
        let index = slot.index();
        if index >= self.grounds.len() {
            self.grounds.resize(index + 1, Ground::default());
        }
        self.grounds[index] = ground;
    }

    pub(super) fn stamp(&mut self, at: Tick) {
        self.fine.stamp(at);
        if !self.takes_all_at_once() {
            self.bucket.stamp(at);
        }
    }

    fn ground(&self, slot: Slot) -> Ground {
        self.grounds.get(slot.index()).copied().unwrap_or_default()
    }

    /// A call was accepted. Answers whether a belief is tried again from now on.
    pub(super) fn accepted(&mut self, slot: Slot, now: Tick) -> bool {
        let ground = self.ground(slot);
        if !self.takes_all_at_once() {
            self.accepted.stamp(ground.at);
            self.accepted_last = self.accepted_last.max(ground.at);
            let certain = self.accepted.level(0, now).min(self.count as f64);
            self.certain = self.certain.max(certain);
            // A refusal overtakes the answers to what was sent with it, if the vendor thinks for a while.
            let slow = self.window >= SLOW_PACE * self.count as u32;
            if slow && ground.at <= self.depth_since && self.depth.is_some() {
                let taken = (self.accepted.level(0, self.accepted_last) + 0.5) as u64;
                self.depth = self.depth.map(|depth| depth.max(taken)).filter(|d| *d < self.count);
            }
            self.proven = self.proven.max(f64::from(ground.level)).max(self.certain);
            self.presumed = self.presumed.max(self.proven);
        }
        self.phases.rule_out(ground.must_refuse);
        let arrived_by = now.min(ground.at + self.silence);
        self.fine.accepted(ground.at, arrived_by, ground.must_refuse_edge);
        for kind in [BUCKET, COUNTER, SECONDS] {
            if ground.unproved[kind] {
                self.probes[kind].accepted(ground.epochs[kind], part_of(kind, ground.at));
            }
        }
        self.doubt.good();
        self.clean = self.clean.saturating_add(1);
        self.since_mended = self.since_mended.saturating_add(1);
        let dear = self.depth.is_none() && (self.counter || self.seconds);
        if self.clean < self.patience.saturating_mul(if dear { DEAR } else { 1 }) {
            return false;
        }
        self.clean = 0;
        self.late = 0;
        self.trying = self.try_again();
        self.trying
    }

    /// A call ended and says nothing about the vendor.
    pub(super) fn dropped(&mut self, slot: Slot) {
        let ground = self.ground(slot);
        for kind in [BUCKET, COUNTER, SECONDS] {
            if ground.unproved[kind] {
                self.probes[kind].dropped(ground.epochs[kind]);
            }
        }
    }

    /// Takes back the latest loss, a step of it at least.
    fn try_again(&mut self) -> bool {
        if let Some(depth) = self.depth {
            if self.proven + 0.5 < depth as f64 {
                // Nobody went as deep as that since the last step.
                return false;
            }
            let deeper = depth + (depth / 8).max(1);
            self.depth = Some(deeper).filter(|depth| *depth < self.count);
        } else if self.counter {
            self.counter = false;
            self.phases.start_over();
        } else if self.seconds {
            self.seconds = false;
            self.fine.start_over();
        } else {
            return false;
        }
        true
    }

    /// A call was refused: what was proved in a row starts over.
    pub(super) fn refused(&mut self, slot: Slot) {
        self.dropped(slot);
        self.clean = 0;
        if std::mem::take(&mut self.trying) {
            self.patience = self.patience.saturating_mul(PATIENCE_GROWTH).min(PATIENCE.1);
        }
    }
}
