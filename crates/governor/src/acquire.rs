//! Waiting for a permit of one budget.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use paceline_clock::{Sleep, Tick};

use crate::budget::{Shared, State};
use crate::queue::{Found, Place};
use crate::{Ask, Permit, Reason, Refusal, Refused, Slot};

/// A caller that waits for a permit; see [`Budget::acquire`](crate::Budget::acquire).
#[must_use = "a future does nothing unless it is awaited"]
pub struct Acquire {
    shared: Arc<Shared>,
    ask: Ask,
    place: Option<Place>,
    timer: Timer,
}

/// The timer of whoever waits first.
#[derive(Default)]
pub(crate) struct Timer(Option<(Tick, Sleep)>);

impl Timer {
    pub(crate) fn set(&mut self, until: Option<Tick>, shared: &Shared) {
        match until {
            None => self.0 = None,
            Some(until) if self.0.as_ref().is_some_and(|(set, _)| *set == until) => {}
            Some(until) => self.0 = Some((until, shared.clock().sleep_until(until))),
        }
    }

    /// Ready once, when the time has come; pending for ever if none is set.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, sleep)) = &mut self.0 else { return Poll::Pending };
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.0 = None;
        Poll::Ready(())
    }
}

impl Acquire {
    pub(crate) fn new(shared: Arc<Shared>, ask: Ask) -> Self {
        Self { shared, ask, place: None, timer: Timer::default() }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Poll::Ready(result) = this.step(cx.waker()) {
                this.place = None;
                let shared = Arc::clone(&this.shared);
                return Poll::Ready(result.map(|slot| Permit::new(shared, slot)));
            }
            if this.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Acquire {
    /// One look at the state: joins the queue, collects the answer, or sets the timer if it is the first.
    fn step(&mut self, waker: &Waker) -> Poll<Result<Slot, Refused>> {
        let shared = Arc::clone(&self.shared);
        let (mut state, now) = shared.lock_now();
        let mut wake = Vec::new();
        let place = match self.place {
            Some(place) => place,
            None => match join(&mut state, &self.shared, self.ask, now, &mut wake) {
                Ok(place) => *self.place.insert(place),
                Err(answer) => return Poll::Ready(answer),
            },
        };
        let mut found = state.queue.look(place, waker);
        if matches!(found, Found::First) {
            wake.extend(state.pump(now, true));
            found = state.queue.look(place, waker);
        }
        let first = matches!(found, Found::First);
        let until = if first { state.core.next_slot_tokens(now, tokens(self.ask)) } else { None };
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        match found {
            Found::Granted(slot) => Poll::Ready(Ok(slot)),
            Found::Refused(refused) => Poll::Ready(Err(refused)),
            Found::First | Found::Behind => {
                self.timer.set(until, &shared);
                Poll::Pending
            }
        }
    }
}

/// A place at the end of the queue; or, if nobody waits, a permit at once; or why there is neither.
fn join(
    state: &mut State,
    shared: &Shared,
    ask: Ask,
    now: Tick,
    wake: &mut Vec<Waker>,
) -> Result<Place, Result<Slot, Refused>> {
    state.fits(ask).map_err(Err)?;
    if state.queue.is_empty() {
        match state.core.admit_tokens(now, tokens(ask)) {
            Ok(slot) => return Err(Ok(slot)),
            Err(Refusal { reason: Reason::Breaker(trip), .. })
                if state.core.tripped().is_some() =>
            {
                return Err(Err(Refused::Breaker(trip)));
            }
            Err(_) => {}
        }
    }
    shared.join(state, ask, wake).map_err(Err)
}

/// The tokens of an ask, as limits count them.
pub(crate) fn tokens(ask: Ask) -> u32 {
    u32::try_from(ask.get_tokens()).unwrap_or(u32::MAX)
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.leave(place);
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("place", &self.place).finish_non_exhaustive()
    }
}
