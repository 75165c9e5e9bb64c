//! What shape `auto` learns about the enforcer behind one limit (limiter-theory.md, "The shape").
//!
//! It starts from the belief that any burst inside the limit is accepted, and proves it step by step: at most half as many calls
//! again as were accepted at once before go out at once, so that a vendor with a small bucket refuses a few calls and
//! not a whole window's worth. Each 429 that the limit itself did not deserve is held against every belief that is left; the
//! plan that follows is the fastest one that is safe under all of them. Beliefs that were given up are tried again after many
//! good answers, each time after twice as many, so that finding out costs less than one call in two hundred.

use std::time::Duration;

use paceline_clock::Tick;
use serde::{Deserialize, Serialize};

use super::flights::Slot;
use super::pacer::Pacer;
use crate::window::with_drift;

/// A call that nobody has refused this long after its sending is taken for accepted while the first burst is proved: a
/// refusal comes back at once, an answer may take its time.
const PRESUMED_AFTER: Duration = Duration::from_millis(300);
/// Calls that may go at once before anything is known.
const FIRST_BURST: f64 = 2.0;
/// So many times what was accepted at once may go at once next.
const GROWTH: f64 = 1.5;
/// Good answers before a lost belief is tried again, at first and at the most.
const PATIENCE: (u32, u32) = (200, 100_000);
/// A window this long costs little when it is held a second longer, so that is believed before anything slower.
const SECONDS_ARE_CHEAP: Duration = Duration::from_secs(10);
/// Slices of a window that recent calls are counted in.
const SLICES: usize = 4;

/// Why the vendor refused a call that its limit, as configured, had room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A call may have arrived later than the guard believed.
    LateArrival,
    /// The vendor takes fewer calls at once than its limit: a token bucket of about this size.
    SmallBucket {
        /// Calls that it takes at once.
        depth: u64,
    },
    /// The vendor keeps time in whole seconds.
    WholeSeconds,
    /// The vendor weighs the window before with the present one.
    SlidingCounter,
    /// Nothing that was sent from here explains it: somebody else uses the same key, or the limit is lower than
    /// configured.
    SomebodyElse,
}

/// What is kept of a learner over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    proven: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
    counter: bool,
    seconds: bool,
    patience: u32,
}

/// What the vendor's refusal says beside itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub slot: Slot,
    /// The wait that it asked for.
    pub asked: Option<Duration>,
    /// Whether the guard's bound may have been too short; false if only answers stamp.
    pub bounded: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Learner {
    count: u64,
    window: Duration,
    bucket: Pacer,
    /// How full the vendor's bucket may have been with each call that is under way, by the slot's index.
    levels: Vec<f32>,
    /// The most that was accepted at once.
    proven: f64,
    /// The call that would prove the most, and when it left.
    newest: Option<(Tick, f64)>,
    /// Calls at once that the vendor takes, if fewer than its limit.
    depth: Option<u64>,
    counter: bool,
    seconds: bool,
    /// How often in a row a late arrival was the explanation.
    late: u32,
    /// Calls by slice of the window: two windows and the slice under way.
    recent: [u32; 2 * SLICES + 1],
    recent_slice: u64,
    clean: u32,
    patience: u32,
    /// A lost belief is being tried again.
    trying: bool,
}

impl Learner {
    pub(super) fn new(count: u32, window: Duration) -> Self {
        Self {
            count: u64::from(count),
            window,
            bucket: Pacer::new(with_drift(window) / count),
            levels: Vec::new(),
            proven: if count <= FIRST_BURST as u32 { f64::from(count) } else { 0.0 },
            newest: None,
            depth: None,
            counter: false,
            seconds: false,
            late: 0,
            recent: [0; 2 * SLICES + 1],
            recent_slice: 0,
            clean: 0,
            patience: PATIENCE.0,
            trying: false,
        }
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
            proven: self.proven as u32,
            depth: self.depth.and_then(|depth| u32::try_from(depth).ok()),
            counter: self.counter,
            seconds: self.seconds,
            patience: self.patience,
        };
        (self.proven > 0.0 || facts.depth.is_some() || facts.counter || facts.seconds)
            .then_some(facts)
    }

    /// Takes over what an earlier process learnt.
    pub(super) fn relearn(&mut self, facts: Facts) {
        self.depth = facts.depth.map(|depth| u64::from(depth.max(1))).filter(|d| *d < self.count);
        self.proven = f64::from(facts.proven).min(self.depth.unwrap_or(self.count) as f64);
        self.counter = facts.counter;
        self.seconds = facts.seconds;
        self.patience = facts.patience.clamp(PATIENCE.0, PATIENCE.1);
    }

    /// Whether the whole limit is known to be accepted at once.
    fn settled(&self) -> bool {
        self.depth.is_none() && self.proven >= self.count as f64
    }

    /// Until when it holds a call back; the outer `None` if it does not, the inner if that hangs on a stamp.
    pub(super) fn refuses(&self, unstamped: u64, now: Tick) -> Option<Option<Tick>> {
        if self.settled() {
            return None;
        }
        let proving = (self.proven * GROWTH).max(FIRST_BURST) as u64;
        let depth = self.depth.unwrap_or(u64::MAX).min(proving).min(self.count);
        let opens = self.bucket.opens_at(depth, unstamped);
        if opens.is_some_and(|at| at <= now) {
            return None;
        }
        let presumed = self
            .newest
            .filter(|_| self.depth.is_none_or(|depth| depth > proving))
            .map(|(at, _)| at + PRESUMED_AFTER)
            .filter(|at| *at > now);
        Some(match (opens, presumed) {
            (Some(opens), Some(presumed)) => Some(opens.min(presumed)),
            (opens, presumed) => opens.or(presumed),
        })
    }

    pub(super) fn advance(&mut self, now: Tick) {
        if let Some((at, level)) = self.newest
            && at + PRESUMED_AFTER <= now
        {
            self.newest = None;
            self.prove(level);
        }
    }

    /// A call goes; `unstamped` are those under way with it.
    pub(super) fn take(&mut self, slot: Slot, unstamped: u64, now: Tick) {
        self.count_recent(now);
        let level = if self.settled() { 0.0 } else { self.bucket.level(unstamped, now) };
        let index = slot.index();
        if index >= self.levels.len() {
            self.levels.resize(index + 1, 0.0);
        }
        self.levels[index] = level as f32;
        if level > self.proven && self.newest.is_none_or(|(_, newest)| level > newest) {
            self.newest = Some((now, level));
        }
    }

    pub(super) fn stamp(&mut self, at: Tick) {
        if !self.settled() {
            self.bucket.stamp(at);
        }
    }

    fn level_of(&self, slot: Slot) -> f64 {
        self.levels.get(slot.index()).copied().map_or(0.0, f64::from)
    }

    fn prove(&mut self, level: f64) {
        self.proven = self.proven.max(level.min(self.count as f64));
    }

    /// A call was accepted. Answers whether a belief is tried again from now on.
    pub(super) fn accepted(&mut self, slot: Slot) -> bool {
        let level = self.level_of(slot);
        self.prove(level);
        if self.newest.is_some_and(|(_, newest)| newest <= level) {
            self.newest = None;
        }
        self.clean = self.clean.saturating_add(1);
        if self.clean < self.patience {
            return false;
        }
        self.clean = 0;
        self.late = 0;
        self.trying = self.try_again();
        self.trying
    }

    /// Takes back the latest loss, a step of it at least.
    fn try_again(&mut self) -> bool {
        if let Some(depth) = self.depth {
            let deeper = depth + (depth / 8).max(1);
            self.depth = Some(deeper).filter(|depth| *depth < self.count);
            self.proven = self.proven.min(deeper as f64);
            if self.depth.is_none() {
                self.proven = self.count as f64;
            }
        } else if self.counter {
            self.counter = false;
        } else if self.seconds {
            self.seconds = false;
        } else {
            return false;
        }
        true
    }

    /// A call was refused together with one that was explained already: only what it says of a bucket is new.
    pub(super) fn refused_again(&mut self, slot: Slot) {
        if let Some(depth) = self.depth {
            let level = self.level_of(slot) as u64;
            if level > 1 && level <= depth && level as f64 > self.proven {
                self.depth = Some(level - 1);
            }
        }
        self.newest = None;
    }

    /// Whether the refusal tells of a bucket: more was under way at once than ever was accepted.
    pub(super) fn tells_of_a_bucket(&self, slot: Slot) -> bool {
        !self.settled() && self.level_of(slot) > self.proven + 0.5
    }

    /// Explains a refusal, and changes the plan to the fastest one that is safe under every belief that is left.
    pub(super) fn explain(&mut self, refused: Refused) -> Cause {
        self.clean = 0;
        if std::mem::take(&mut self.trying) {
            self.patience = self.patience.saturating_mul(2).min(PATIENCE.1);
        }
        self.newest = None;
        let level = self.level_of(refused.slot);
        if self.tells_of_a_bucket(refused.slot) {
            return self.bucket_of((level as u64).saturating_sub(1));
        }
        // Whoever keeps time in whole seconds, or counted a late call, has room again within a second.
        let soon = refused.asked.is_none_or(|asked| asked <= Duration::from_secs(1));
        let edge = self.recent_calls(SLICES + 1) > self.count;
        let edge_of_second = self.recent_calls(self.slices_of_a_second()) > self.count;
        if refused.bounded && soon && edge && self.late < 2 {
            self.late += 1;
            return Cause::LateArrival;
        }
        let seconds = soon && edge_of_second && !self.seconds;
        let counter = self.recent_calls(2 * SLICES) > self.count && !self.counter;
        if seconds && (self.window >= SECONDS_ARE_CHEAP || !counter) {
            self.seconds = true;
            return Cause::WholeSeconds;
        }
        if counter {
            self.counter = true;
            return Cause::SlidingCounter;
        }
        if let Some(depth) = self.depth.filter(|depth| *depth > 1) {
            return self.bucket_of((level as u64).min(depth).saturating_sub(1));
        }
        Cause::SomebodyElse
    }

    fn bucket_of(&mut self, depth: u64) -> Cause {
        let depth = depth.max(1);
        self.depth = Some(depth);
        self.proven = self.proven.min(depth as f64);
        Cause::SmallBucket { depth }
    }

    fn slice_of(&self, now: Tick) -> u64 {
        now.as_nanos() / (self.window.as_nanos() as u64 / SLICES as u64).max(1)
    }

    fn slices_of_a_second(&self) -> usize {
        let slice_s = self.window.as_secs_f64() / SLICES as f64;
        SLICES + ((1.0 / slice_s).ceil() as usize).clamp(1, SLICES)
    }

    fn count_recent(&mut self, now: Tick) {
        let slice = self.slice_of(now);
        let length = self.recent.len() as u64;
        for passed in (self.recent_slice + 1..=slice).take(self.recent.len()) {
            self.recent[(passed % length) as usize] = 0;
        }
        self.recent_slice = self.recent_slice.max(slice);
        let count = &mut self.recent[(slice % length) as usize];
        *count = count.saturating_add(1);
    }

    /// Calls in the slice under way and `slices` before it.
    fn recent_calls(&self, slices: usize) -> u64 {
        let length = self.recent.len() as u64;
        (0..=slices.min(2 * SLICES) as u64)
            .filter_map(|back| self.recent_slice.checked_sub(back))
            .map(|slice| u64::from(self.recent[(slice % length) as usize]))
            .sum()
    }
}
