//! Two gates (spec G2): a call passes the budget of its column and the shared one of its credential and host, both at once
//! or neither.
//!
//! A caller waits in its column's line first. The first there, once its column has room, waits in the shared line,
//! where columns take turns; the first there takes both permits under both locks. So a column never holds a shared slot
//! that it cannot use, and never waits in front of others for its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use paceline_clock::Tick;

use crate::acquire::{Timer, tokens};
use crate::budget::{Shared, State};
use crate::queue::{Found, Place};
use crate::sync::MutexGuard;
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
}

impl Gates {
    /// Two budgets to be passed together; the same one twice is one.
    #[must_use]
    pub fn new(own: Budget, shared: Budget) -> Self {
        Self { own, shared }
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
        AcquireBoth(Wait::Both(Both {
            own: Arc::clone(&self.own.shared),
            shared: Arc::clone(&self.shared.shared),
            ask: ask.waits_at_two_gates(),
            own_place: None,
            shared_place: None,
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
    own: Arc<Shared>,
    shared: Arc<Shared>,
    ask: Ask,
    own_place: Option<Place>,
    shared_place: Option<Place>,
    timer: Timer,
}

/// What one look came to.
enum Step {
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
                Step::Permits(own, shared) => {
                    let own = (Arc::clone(&self.own), own);
                    return Poll::Ready(Ok(Permit::both((Arc::clone(&self.shared), shared), own)));
                }
                Step::Refused(refused) => {
                    self.leave();
                    return Poll::Ready(Err(refused));
                }
                Step::Wait(until) => self.timer.set(until, &self.own),
            }
            if self.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// One look at both lines, under both locks.
    fn step(&mut self, waker: &Waker, wake: &mut Vec<Waker>) -> Step {
        let (own_gate, shared_gate) = (Arc::clone(&self.own), Arc::clone(&self.shared));
        let (mut own, mut shared) = lock_both(&own_gate, &shared_gate);
        // Under both locks, so that neither core sees time run backwards.
        let now = own_gate.clock().now();
        let own_place = match self.own_place {
            Some(place) => place,
            None => match own.fits(self.ask).and_then(|()| shared.fits(self.ask)) {
                Ok(()) => match own_gate.join(&mut own, self.ask) {
                    Ok(place) => *self.own_place.insert(place),
                    Err(refused) => return Step::Refused(refused),
                },
                Err(refused) => return Step::Refused(refused),
            },
        };
        match own.queue.look(own_place, waker) {
            Found::Refused(refused) => {
                self.own_place = None;
                return Step::Refused(refused);
            }
            Found::First => {}
            // Nobody grants at one gate what is taken at two.
            Found::Behind | Found::Granted(_) => return Step::Wait(None),
        }
        if let Err(refusal) = own.core.would_admit(now, tokens(self.ask)) {
            // Its own column has no room: others must not wait for that.
            if let Some(place) = self.shared_place.take() {
                shared.queue.leave(place);
                wake.extend(shared.pump(now, false));
            }
            return waits(&own, refusal);
        }
        let shared_place = match self.shared_place {
            Some(place) => place,
            None => match shared_gate.join(&mut shared, self.ask) {
                Ok(place) => *self.shared_place.insert(place),
                Err(refused) => return Step::Refused(refused),
            },
        };
        match shared.queue.look(shared_place, waker) {
            Found::Refused(refused) => {
                self.shared_place = None;
                Step::Refused(refused)
            }
            Found::First => self.take_both(&mut own, &mut shared, now, wake),
            Found::Behind | Found::Granted(_) => Step::Wait(None),
        }
    }

    /// First in both lines: takes both permits, or neither.
    fn take_both(
        &mut self,
        own: &mut State,
        shared: &mut State,
        now: Tick,
        wake: &mut Vec<Waker>,
    ) -> Step {
        let shared_slot = match shared.core.admit_tokens(now, tokens(self.ask)) {
            Ok(slot) => slot,
            Err(refusal) => return waits(shared, refusal),
        };
        let own_slot = match own.core.admit_tokens(now, tokens(self.ask)) {
            Ok(slot) => slot,
            Err(refusal) => {
                shared.core.give_back(shared_slot, None, now);
                return waits(own, refusal);
            }
        };
        for (state, place, slot) in [
            (&mut *own, self.own_place.take(), own_slot),
            (&mut *shared, self.shared_place.take(), shared_slot),
        ] {
            // By way of a grant, so that the turns are counted.
            state.queue.grant_next(slot);
            if let Some(place) = place {
                state.queue.leave(place);
            }
            wake.extend(state.pump(now, false));
        }
        Step::Permits(own_slot, shared_slot)
    }

    fn leave(&mut self) {
        if let Some(place) = self.shared_place.take() {
            self.shared.leave(place);
        }
        if let Some(place) = self.own_place.take() {
            self.own.leave(place);
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
            .field("own_place", &self.own_place)
            .field("shared_place", &self.shared_place)
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

/// Both locks, always in the order of their addresses: two callers with the same budgets the other way round must not
/// wait for each other.
fn lock_both<'a>(
    own: &'a Arc<Shared>,
    shared: &'a Arc<Shared>,
) -> (MutexGuard<'a, State>, MutexGuard<'a, State>) {
    if Arc::as_ptr(own) < Arc::as_ptr(shared) {
        let own = own.lock();
        (own, shared.lock())
    } else {
        let shared = shared.lock();
        (own.lock(), shared)
    }
}
