//! From a refusal to what explains it, and what is believed from then on.

use std::time::Duration;

use paceline_clock::Tick;
use serde::{Deserialize, Serialize};

use super::{BUCKET, COUNTER, LATE_MAX, Learner, SECONDS, SECONDS_ARE_CHEAP};
use crate::core::Slot;

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

/// A refusal, with what it says beside itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Refused {
    pub slot: Slot,
    /// When it was seen, and the calls under way then.
    pub now: Tick,
    pub unstamped: u64,
    /// The wait that it asked for.
    pub asked: Option<Duration>,
    /// Whether the guard's bound may have been too short; false if only answers stamp.
    pub bounded: bool,
}

/// What is kept of a learner over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::core) struct Facts {
    pub(in crate::core) proven: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::core) depth: Option<u32>,
    pub(in crate::core) counter: bool,
    pub(in crate::core) seconds: bool,
    pub(in crate::core) patience: u32,
}

impl Facts {
    /// So much of a burst was accepted, and nothing else is known.
    pub(in crate::core) fn plain(proven: u32) -> Self {
        Self { proven, ..Self::default() }
    }
}

impl Learner {
    /// The explanations that are left for a refusal, the one that costs least first.
    pub(in crate::core) fn cause(&self, refused: Refused) -> Cause {
        if self.doubt.is_on() {
            return Cause::SomebodyElse;
        }
        let ground = self.ground(refused.slot);
        // All that may have arrived before it.
        let level = self.bucket.level(refused.unstamped, refused.now).max(f64::from(ground.level));
        let interval = self.window.div_f64(self.count as f64);
        // A bucket has room again after one interval; headers tell whole seconds.
        let next_drop =
            refused.asked.is_none_or(|asked| asked <= interval + Duration::from_secs(1));
        let most = (level.ceil() as u64).saturating_sub(1).max(1);
        if next_drop && !self.takes_all_at_once() && level > self.proven + 0.5 {
            return Cause::SmallBucket { depth: ((self.certain + 0.5) as u64).clamp(1, most) };
        }
        // It went deeper than before because that is being tried.
        let tried = |depth: &u64| self.trying && *depth > 1 && level > *depth as f64 - 0.9;
        if let Some(depth) = self.depth.filter(|depth| next_drop && tried(depth)) {
            return Cause::SmallBucket { depth: depth - 1 };
        }
        // Whoever keeps time in whole seconds, or counted a late call, has room again within a second.
        let soon = refused.asked.is_none_or(|asked| asked <= Duration::from_secs(1));
        if refused.bounded && soon && ground.at_edge && self.late < LATE_MAX {
            return Cause::LateArrival;
        }
        let seconds = soon && ground.at_edge && !self.seconds;
        let counter = ground.may_refuse != 0 && !self.counter;
        if seconds && (self.window >= SECONDS_ARE_CHEAP || !counter) {
            return Cause::WholeSeconds;
        }
        if counter {
            return Cause::SlidingCounter;
        }
        let went_as_deep = |depth: &u64| *depth > 1 && level + 0.5 >= *depth as f64;
        match self.depth {
            _ if !next_drop => Cause::SomebodyElse,
            Some(depth) if went_as_deep(&depth) => Cause::SmallBucket { depth: depth - 1 },
            // So many were accepted at once only if those under way had arrived together.
            None if level > self.certain + 0.5 => {
                Cause::SmallBucket { depth: ((self.certain + 0.5) as u64).clamp(1, most) }
            }
            _ => Cause::SomebodyElse,
        }
    }

    /// Believes it from now on.
    pub(in crate::core) fn believe(&mut self, cause: Cause, now: Tick) {
        if cause != Cause::SomebodyElse {
            self.keep_beliefs();
            self.since_mended = 0;
        }
        match cause {
            Cause::SmallBucket { depth } => {
                self.depth = Some(depth);
                self.depth_since = now;
                self.certain = self.certain.min(depth as f64);
                self.proven = self.certain;
                self.presumed = self.certain;
                self.probes[BUCKET].refused();
                self.reach = 0.0;
            }
            Cause::LateArrival => self.late += 1,
            Cause::WholeSeconds => {
                self.seconds = true;
                self.probes[SECONDS].refused();
            }
            Cause::SlidingCounter => {
                self.counter = true;
                self.probes[COUNTER].refused();
            }
            Cause::SomebodyElse => {}
        }
    }
}
