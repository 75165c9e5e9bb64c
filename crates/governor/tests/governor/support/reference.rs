//! The schedule of limiter-theory.md, by counting: slow, plain, and without a line of the governor's.
//!
//! A call holds its slot from its grant until one window after `hi`, an upper bound of the moment at which the vendor counted
//! it. The next call may go at the first moment at which every limit has a slot.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::{Limit, Unit};

use super::with_drift;

/// What became of one caller, on our clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ride {
    pub(crate) joined: Tick,
    pub(crate) granted: Tick,
    /// The upper bound of the moment of counting; `None` if nothing ever left.
    pub(crate) hi: Option<Tick>,
    /// When the call was over, or its place was given back.
    pub(crate) over: Tick,
    /// Tokens reserved.
    pub(crate) estimate: u32,
    /// When the response told the true usage, and that.
    pub(crate) settled: Option<(Tick, u32)>,
}

impl Ride {
    /// What it weighs at `at` under a limit of this unit.
    pub(crate) fn weight(&self, unit: Unit, at: Tick) -> u32 {
        match (unit, self.settled) {
            (Unit::Calls, _) => 1,
            (Unit::Tokens, Some((since, tokens))) if since <= at => tokens,
            (Unit::Tokens, _) => self.estimate,
        }
    }

    /// When it leaves a window of this length.
    fn leaves(&self, window: Duration) -> Tick {
        self.hi.map_or(self.over, |hi| hi + with_drift(window))
    }
}

/// The rules of a budget of shape `burst` under the strict guard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) limits: Vec<Limit>,
    pub(crate) concurrent_max: Option<u32>,
}

impl Reference {
    /// The first moment from `from` on at which a call with so many tokens may go after those.
    pub(crate) fn earliest(&self, before: &[Ride], from: Tick, tokens: u32) -> Tick {
        let changes = before.iter().flat_map(|ride| {
            let leaves = self.limits.iter().map(|limit| ride.leaves(limit.window()));
            leaves.chain([ride.over]).chain(ride.settled.map(|(at, _)| at))
        });
        let mut candidates: Vec<Tick> = changes.filter(|at| *at > from).collect();
        candidates.push(from);
        candidates.sort_unstable();
        let may = candidates.into_iter().find(|at| self.admits(before, *at, tokens));
        // In the end every slot is free.
        may.unwrap()
    }

    fn admits(&self, before: &[Ride], at: Tick, tokens: u32) -> bool {
        let under_way = before.iter().filter(|ride| ride.over > at).count();
        self.concurrent_max.is_none_or(|most| under_way < most as usize)
            && self.limits.iter().all(|limit| {
                let inside = before.iter().filter(|ride| ride.leaves(limit.window()) > at);
                let used: u64 = inside.map(|ride| u64::from(ride.weight(limit.unit(), at))).sum();
                let own = if limit.unit() == Unit::Calls { 1 } else { tokens };
                used + u64::from(own) <= u64::from(limit.count())
            })
    }

    /// When each of these should have been granted, were everyone before it granted as it was: first come, first served.
    pub(crate) fn grants<'r>(&'r self, rides: &'r [Ride]) -> impl Iterator<Item = Tick> + 'r {
        rides.iter().enumerate().map(|(number, ride)| {
            let before = &rides[..number];
            let last = before.last().map_or(Tick::ZERO, |last| last.granted);
            self.earliest(before, ride.joined.max(last), ride.estimate)
        })
    }
}

/// The recursion of limiter-theory.md, "The schedule", for calls that are counted when they start.
pub(crate) fn recursion(calls: usize, limits: &[Limit]) -> Vec<Tick> {
    let mut starts: Vec<Tick> = Vec::new();
    for number in 0..calls {
        let slots = limits.iter().filter_map(|limit| {
            let before = number.checked_sub(limit.count() as usize)?;
            Some(starts[before] + with_drift(limit.window()))
        });
        let last = starts.last().copied().unwrap_or_default();
        starts.push(slots.fold(last, Tick::max));
    }
    starts
}
