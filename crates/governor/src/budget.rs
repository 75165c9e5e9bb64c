//! The async shell around the core: waiting in a queue, woken by one timer.
//!
//! There is no background task. The first waiter keeps the timer; whoever changes the state (a timer, an answer, a
//! cancellation) hands out every permit that has become free, in order, and then wakes the new first waiter so that it
//! keeps the timer from there on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use paceline_clock::{Clock, Sleep, Tick};

use crate::core::Core;
use crate::queue::{Found, Place, Queue};
use crate::{BudgetConfig, ConfigError, Permit, Reason, Refusal, Refused, Status};

/// A budget that many callers share. Clones share it too.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

/// What a budget, its permits and its waiters share.
pub(crate) struct Shared {
    clock: Clock,
    queue_max: usize,
    state: Mutex<State>,
}

struct State {
    core: Core,
    queue: Queue,
}

impl Budget {
    /// A budget that nothing was spent of.
    ///
    /// # Errors
    /// If the configuration cannot be.
    pub fn new(config: BudgetConfig, clock: Clock) -> Result<Self, ConfigError> {
        let queue_max = config.queue_max;
        let state = State { core: Core::new(config)?, queue: Queue::default() };
        Ok(Self { shared: Arc::new(Shared { clock, queue_max, state: Mutex::new(state) }) })
    }

    /// Waits for leave to make one call. First come, first served.
    ///
    /// Dropping the future gives its place back at once and exactly.
    pub fn acquire(&self) -> Acquire {
        Acquire { shared: Arc::clone(&self.shared), place: None, timer: None }
    }

    /// Leave to make one call now, or why not and until when. Never overtakes those who wait.
    ///
    /// # Errors
    /// [`Refusal`]: not now.
    pub fn try_acquire(&self) -> Result<Permit, Refusal> {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        if !state.queue.is_empty() {
            let until = state.core.next_slot(now);
            return Err(Refusal { reason: Reason::Concurrency, until });
        }
        let slot = state.core.admit(now)?;
        drop(state);
        Ok(Permit::new(Arc::clone(&self.shared), slot))
    }

    /// Takes calls of an earlier process into account, each by how long ago the vendor counted it at the latest (spec
    /// G11). Do this before the first call.
    pub fn remember(&self, counted_ago: impl IntoIterator<Item = Duration>) {
        self.shared.with_core(|core, now| {
            for ago in counted_ago {
                core.remember(now.before(ago));
            }
        });
    }

    /// A connection took this long to make: what the guard learns from.
    pub fn saw_network(&self, took: Duration) {
        self.shared.with_core(|core, _| core.saw_network(took));
    }

    /// Admits again after the breaker tripped: the cause was mended.
    pub fn reset_breaker(&self) {
        self.shared.with_core_then_pump(|core, _| core.reset_breaker());
    }

    /// A snapshot for people and programs.
    #[must_use]
    pub fn status(&self) -> Status {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let waiting = state.queue.len();
        Status { waiting, ..state.core.status(now) }
    }
}

#[cfg(feature = "redis")]
impl Budget {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.status()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_core<T>(&self, act: impl FnOnce(&mut Core, Tick) -> T) -> T {
        let now = self.clock.now();
        act(&mut self.lock().core, now)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// As [`Shared::with_core`], with how many wait.
    #[cfg(feature = "redis")]
    pub(crate) fn with_core_and_waiting<T>(
        &self,
        act: impl FnOnce(&mut Core, usize, Tick) -> T,
    ) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let waiting = state.queue.len();
        act(&mut state.core, waiting, now)
    }

    /// Changes the state and hands out what has become free.
    pub(crate) fn with_core_then_pump<T>(&self, act: impl FnOnce(&mut Core, Tick) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let result = act(&mut state.core, now);
        let wake = state.pump(now, None);
        drop(state);
        // Outside the lock: a woken caller may come back at once.
        wake.into_iter().for_each(Waker::wake);
        result
    }
}

impl State {
    /// Grants every permit there is to those who wait, in order; answers whom to wake. The first who still waits is
    /// among them, unless it is `caller` itself.
    fn pump(&mut self, now: Tick, caller: Option<Place>) -> Vec<Waker> {
        let mut wake = Vec::new();
        while !self.queue.is_empty() {
            match self.core.admit(now) {
                Ok(slot) => wake.extend(self.queue.grant_first(slot)),
                Err(Refusal { reason: Reason::Breaker(trip), .. }) => {
                    if self.core.tripped().is_some() {
                        self.queue.refuse_all(trip, &mut wake);
                    }
                    break;
                }
                Err(_) => break,
            }
        }
        if caller.is_none() || !wake.is_empty() {
            wake.extend(self.queue.first_waker());
        }
        wake
    }
}

/// A caller that waits for a permit; see [`Budget::acquire`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Acquire {
    shared: Arc<Shared>,
    place: Option<Place>,
    timer: Option<(Tick, Sleep)>,
}

impl Future for Acquire {
    type Output = Result<Permit, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let now = this.shared.clock.now();
            let until = match this.step(now, cx.waker()) {
                Poll::Ready(result) => {
                    this.place = None;
                    return Poll::Ready(result);
                }
                Poll::Pending => this.timer.as_mut(),
            };
            let Some((_, timer)) = until else {
                return Poll::Pending;
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.timer = None;
        }
    }
}

impl Acquire {
    /// One look at the state: joins the queue, collects the answer, or sets the timer if it is the first.
    fn step(&mut self, now: Tick, waker: &Waker) -> Poll<Result<Permit, Refused>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let place = match self.place {
            Some(place) => place,
            None => match self.join(&mut state, now) {
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending => match self.place {
                    Some(place) => place,
                    None => return Poll::Pending,
                },
            },
        };
        let mut wake = Vec::new();
        let mut found = state.queue.look(place, waker);
        if matches!(found, Found::First) {
            wake = state.pump(now, Some(place));
            found = state.queue.look(place, waker);
        }
        let until = matches!(found, Found::First).then(|| state.core.next_slot(now)).flatten();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        match found {
            Found::Granted(slot) => Poll::Ready(Ok(Permit::new(shared, slot))),
            Found::Refused(trip) => Poll::Ready(Err(Refused::Breaker(trip))),
            Found::First | Found::Behind => {
                self.set_timer(until);
                Poll::Pending
            }
        }
    }

    /// Takes a permit at once if nobody waits, else a place at the end of the queue.
    fn join(&mut self, state: &mut State, now: Tick) -> Poll<Result<Permit, Refused>> {
        if state.queue.is_empty() {
            match state.core.admit(now) {
                Ok(slot) => return Poll::Ready(Ok(Permit::new(Arc::clone(&self.shared), slot))),
                Err(Refusal { reason: Reason::Breaker(trip), .. })
                    if state.core.tripped().is_some() =>
                {
                    return Poll::Ready(Err(Refused::Breaker(trip)));
                }
                Err(_) => {}
            }
        }
        if state.queue.len() >= self.shared.queue_max {
            return Poll::Ready(Err(Refused::QueueFull { waiting: state.queue.len() }));
        }
        self.place = Some(state.queue.join());
        Poll::Pending
    }

    fn set_timer(&mut self, until: Option<Tick>) {
        match until {
            None => self.timer = None,
            Some(until) if self.timer.as_ref().is_some_and(|(set, _)| *set == until) => {}
            Some(until) => self.timer = Some((until, self.shared.clock.sleep_until(until))),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        self.shared.with_queue_left(place);
    }
}

impl Shared {
    /// A waiter goes: what it was granted is given back, and the next one takes over.
    fn with_queue_left(&self, place: Place) {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some(slot) = state.queue.leave(place) {
            state.core.give_back(slot, None, now);
        }
        let wake = state.pump(now, None);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("place", &self.place).finish_non_exhaustive()
    }
}
