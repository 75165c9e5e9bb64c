//! The storm of refusals that never ends (spec G8): a vendor that refuses every call of a run for its rate, for longer than
//! the run's deadline. No row is to blame, so none fails: the run pauses, says so, and goes on when somebody resumes it.
//!
//! One cell that is refused while others come through is tried again past its deadline, as long as it takes; only if it is
//! refused [`limits::THROTTLES_ALONE_MAX`] times while others succeed does it fail, visibly: then it is the call that is
//! refused, and not the rate.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::{Tick, Timestamp};
use paceline_governor::Reason;
use paceline_model::limits;

use super::{RunContext, Stop};

/// Where a budget holds calls back anyway, the storm is looked at again so long after it lets one through.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Storm(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when every call was refused.
    since: Option<Tick>,
    /// Not looked at before.
    look_at: Option<Tick>,
    /// When the first call came through since the run went on, by the wall.
    first_good: Option<Timestamp>,
}

/// What is to be done with a cell that has been refused past its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every call is refused: the run has been stopped, give the cell back.
    Storm,
    /// Others come through, and this one may yet.
    Calm,
    /// Others come through, and this one was refused too often.
    Alone,
}

impl Storm {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunContext {
    /// The vendor refused a call for its rate. Answers whether that was one too many, and the run has been stopped.
    pub(crate) fn refused(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.control.storm.lock();
        let since = *state.since.get_or_insert(now);
        drop(state);
        let over = now.since(since) >= self.throttle_deadline;
        if over {
            self.stop(Stop::Throttled { waited: now.since(since) });
        } else {
            // It has to set its timer.
            self.control.queue.wake_feeder();
        }
        over
    }

    /// The vendor took a call.
    pub(crate) fn came_through(&self) {
        let mut state = self.control.storm.lock();
        state.since = None;
        state.look_at = None;
        if state.first_good.is_none() {
            state.first_good = Some(self.clock.wall());
        }
    }

    /// What to do with a cell that was refused `throttles` times since `since`, which is past its deadline.
    pub(crate) fn weather(&self, throttles: u32, since: Timestamp) -> Weather {
        if self.refused() {
            return Weather::Storm;
        }
        let (now, first_good) = (self.clock.wall(), self.control.storm.lock().first_good);
        // What it was refused in an earlier storm does not count.
        let alone = first_good.map(|good| now.since(good.max(since)));
        if alone >= Some(self.throttle_deadline) && throttles >= limits::THROTTLES_ALONE_MAX {
            Weather::Alone
        } else {
            Weather::Calm
        }
    }

    /// When the storm has to be looked at, whether or not a call comes back by then.
    pub(super) fn storm_due_at(&self) -> Tick {
        let state = self.control.storm.lock();
        match state.since.map(|since| since + self.throttle_deadline) {
            None => Tick::NEVER,
            Some(due) => state.look_at.map_or(due, |look_at| look_at.max(due)),
        }
    }

    /// Stops the run if every call was refused for too long. While its budgets hold every call back by themselves, nobody
    /// asks the vendor: then what counts is what it says to the next call.
    pub(super) fn look_at_the_storm(&self) {
        let now = self.clock.now();
        if now < self.storm_due_at() {
            return;
        }
        let gate = self.gate.now();
        let statuses = [Some(gate.own().status()), gate.shared().map(|one| one.budget.status())];
        let held = statuses.into_iter().flatten().filter_map(|status| {
            let ours = match status.held_by? {
                Reason::Limit(_) | Reason::Spread(_) => true,
                Reason::RetryAfter | Reason::Quota => !self.deadline_is_set,
                _ => false,
            };
            status.next_slot.filter(|slot| ours && *slot > now)
        });
        if let Some(until) = held.max() {
            self.control.storm.lock().look_at = Some(until + GRACE);
            return;
        }
        let since = self.control.storm.lock().since;
        if let Some(since) = since {
            self.stop(Stop::Throttled { waited: now.since(since) });
        }
    }
}
