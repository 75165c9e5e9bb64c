//! Two gates (spec G2): a call passes the budget of its column and the shared one of its credential and host, both at once
//! or neither.
//!
//! A caller waits in its column's line first. The first there, once its column has room, waits in the shared line,
//! where columns take turns; the first there takes both permits under both locks. So a column never holds a shared slot
//! that it cannot use, and never waits in front of others for its own. Who is not the first of its column any more
//! (somebody with a higher priority came) leaves the shared line.
//!
//! Lines and locks are taken in one order of all budgets ([`Shared::rank`]): the column before what it shares, and where
//! a budget is used as both, the same one first for everyone. Otherwise two callers with the same budgets the other way
//! round would each be first where the other one has to go next.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use paceline_clock::Tick;

use crate::acquire::{Timer, tokens};
use crate::budget::{Shared, Side, State};
use crate::queue::{Found, Place};
use crate::{Acquire, Ask, Budget, Permit, Reason, Refusal, Refused, Slot};

/// A column's own budget in front of one that it shares with others. Clones share both.
///
/// What a response teaches goes where it belongs: refusals for the rate and the vendor's hints to the shared budget, which
/// keeps the vendor's limits; failures to the column's breaker; a refused credential to both.
///
/// ```
/// # use paceline_clock::SimClock;
/// use paceline_governor::{Budget, BudgetConfig, Gates, Outcome, OutcomeClass};
///
/// # SimClock::new().run(|clock| async move {
/// let key = Budget::new(BudgetConfig::new(["10/s".parse().unwrap()]), clock.clone()).unwrap();
/// let column = BudgetConfig { concurrent_max: Some(6), ..BudgetConfig::new([]) };
/// let gates = Gates::new(Budget::new(column, clock).unwrap(), key.clone());
/// let mut permit = gates.acquire().await.unwrap();
/// permit.sent();
/// permit.seen();
/// permit.finish(&Outcome::of(OutcomeClass::Success));
/// assert_eq!(key.status().limits[0].used, 1);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Gates {
    own: Budget,
    shared: Budget,
    /// Whether the shared one is passed first.
    reversed: bool,
}

impl Gates {
    /// Two budgets to be passed together; the same one twice is one.
    #[must_use]
    pub fn new(own: Budget, shared: Budget) -> Self {
        let reversed = shared.shared.rank(Side::Shared) < own.shared.rank(Side::Own);
        Self { own, shared, reversed }
    }

    /// The column's own budget.
    #[must_use]
    pub fn own(&self) -> &Budget {
        &self.own
    }

    /// The budget that it shares.
    #[must_use]
    pub fn shared(&self) -> &Budget {
        &self.shared
    }

    /// Waits for leave of both.
    pub fn acquire(&self) -> AcquireBoth {
        self.acquire_with(Ask::default())
    }

    /// As [`Gates::acquire`], for a caller with a priority, a turn of its own or an estimate of tokens.
    pub fn acquire_with(&self, ask: Ask) -> AcquireBoth {
        if Arc::ptr_eq(&self.own.shared, &self.shared.shared) {
            return AcquireBoth(Wait::One(self.own.acquire_with(ask)));
        }
        let (own, shared) = (Arc::clone(&self.own.shared), Arc::clone(&self.shared.shared));
        let (first, second) = if self.reversed { (shared, own) } else { (own, shared) };
        AcquireBoth(Wait::Both(Both {
            first,
            second,
            reversed: self.reversed,
            ask: ask.waits_at_two_gates(),
            first_place: None,
            second_place: None,
            timer: Timer::default(),
        }))
    }
}

/// A caller that waits for both permits; see [`Gates::acquire`]. Dropping it gives its places back at once and exactly.
#[must_use = "a future does nothing unless it is awaited"]
#[derive(Debug)]
pub struct AcquireBoth(Wait);

#[derive(Debug)]
enum Wait {
    One(Acquire),
    Both(Both),
}

struct Both {
    first: Arc<Shared>,
    second: Arc<Shared>,
    /// Whether the first is the shared one.
    reversed: bool,
    ask: Ask,
    first_place: Option<Place>,
    second_place: Option<Place>,
    timer: Timer,
}

/// What one look came to.
enum Step {
    /// Of the first and of the second.
    Permits(Slot, Slot),
    Refused(Refused),
    Wait(Option<Tick>),
}

impl Future for AcquireBoth {
    type Output = Result<Permit, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Wait::One(one) => Pin::new(one).poll(cx),
            Wait::Both(both) => both.poll(cx),
        }
    }
}

impl Both {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Refused>> {
        loop {
            let mut wake = Vec::new();
            let step = self.step(cx.waker(), &mut wake);
            wake.into_iter().for_each(Waker::wake);
            match step {
                Step::Permits(first, second) => {
                    let first = (Arc::clone(&self.first), first);
                    let second = (Arc::clone(&self.second), second);
                    let (own, shared) =
                        if self.reversed { (second, first) } else { (first, second) };
                    return Poll::Ready(Ok(Permit::both(shared, own)));
                }
                Step::Refused(refused) => {
                    self.leave();
                    return Poll::Ready(Err(refused));
                }
                Step::Wait(until) => self.timer.set(until, &self.first),
            }
            if self.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// One look at both lines, under both locks.
    fn step(&mut self, waker: &Waker, wake: &mut Vec<Waker>) -> Step {
        let (first_gate, second_gate) = (Arc::clone(&self.first), Arc::clone(&self.second));
        let mut first = first_gate.lock();
        let mut second = second_gate.lock();
        // Under both locks, so that neither core sees time run backwards.
        let now = first_gate.clock().now();
        let place = match self.first_place {
            Some(place) => place,
            None => match self.join_first(&mut first, &second, wake) {
                Ok(place) => place,
                Err(refused) => return Step::Refused(refused),
            },
        };
        match first.queue.look(place, waker) {
            Found::Refused(refused) => {
                self.first_place = None;
                return Step::Refused(refused);
            }
            Found::First => {}
            // Nobody grants at one gate what is taken at two.
            Found::Behind | Found::Granted(_) => {
                self.leave_second(&mut second, now, wake);
                return Step::Wait(None);
            }
        }
        if let Err(refusal) = first.core.would_admit(now, tokens(self.ask)) {
            // Its own column has no room: others must not wait for that.
            self.leave_second(&mut second, now, wake);
            return waits(&first, refusal);
        }
        let place = match self.second_place {
            Some(place) => place,
            None => match second_gate.join(&mut second, self.ask, wake) {
                Ok(place) => *self.second_place.insert(place),
                Err(refused) => return Step::Refused(refused),
            },
        };
        match second.queue.look(place, waker) {
            Found::Refused(refused) => {
                self.second_place = None;
                Step::Refused(refused)
            }
            Found::First => self.take_both(&mut first, &mut second, now, wake),
            Found::Behind | Found::Granted(_) => Step::Wait(None),
        }
    }

    fn join_first(
        &mut self,
        first: &mut State,
        second: &State,
        wake: &mut Vec<Waker>,
    ) -> Result<Place, Refused> {
        first.fits(self.ask)?;
        second.fits(self.ask)?;
        let place = self.first.join(first, self.ask, wake)?;
        Ok(*self.first_place.insert(place))
    }

    fn leave_second(&mut self, second: &mut State, now: Tick, wake: &mut Vec<Waker>) {
        if let Some(place) = self.second_place.take() {
            second.queue.leave(place);
            wake.extend(second.pump(now, false));
        }
    }

    /// First in both lines: takes both permits, or neither.
    fn take_both(
        &mut self,
        first: &mut State,
        second: &mut State,
        now: Tick,
        wake: &mut Vec<Waker>,
    ) -> Step {
        let second_slot = match second.core.admit_tokens(now, tokens(self.ask)) {
            Ok(slot) => slot,
            Err(refusal) => return waits(second, refusal),
        };
        let first_slot = match first.core.admit_tokens(now, tokens(self.ask)) {
            Ok(slot) => slot,
            Err(refusal) => {
                second.core.give_back(second_slot, None, now);
                return waits(first, refusal);
            }
        };
        for (state, place, slot) in [
            (&mut *first, self.first_place.take(), first_slot),
            (&mut *second, self.second_place.take(), second_slot),
        ] {
            // By way of a grant, so that the turns are counted.
            state.queue.grant_next(slot);
            if let Some(place) = place {
                state.queue.leave(place);
            }
            wake.extend(state.pump(now, false));
        }
        Step::Permits(first_slot, second_slot)
    }

    fn leave(&mut self) {
        if let Some(place) = self.second_place.take() {
            self.second.leave(place);
        }
        if let Some(place) = self.first_place.take() {
            self.first.leave(place);
        }
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Both")
            .field("first_place", &self.first_place)
            .field("second_place", &self.second_place)
            .finish_non_exhaustive()
    }
}

fn waits(state: &State, refusal: Refusal) -> Step {
    match refusal.reason {
        Reason::Breaker(trip) if state.core.tripped().is_some() => {
            Step::Refused(Refused::Breaker(trip))
        }
        _ => Step::Wait(refusal.until),
    }
}
