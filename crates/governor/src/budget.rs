//! The async shell around the core: waiting in a queue, woken by one timer.
//!
//! There is no background task. The first waiter keeps the timer; whoever changes the state (a timer, an answer, a
//! cancellation) hands out every permit that has become free, in order, and then wakes the new first waiter so that it
//! keeps the timer from there on.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use paceline_clock::{Clock, Tick};

use crate::acquire::tokens;
use crate::core::{Core, Eta};
use crate::queue::{Place, Queue};
use crate::sync::{Mutex, MutexGuard};
use crate::{
    Acquire, Ask, BudgetConfig, ConfigError, Permit, Reason, Refusal, Refused, Slot, Snapshot,
    Status,
};

/// A budget that many callers share. Clones share it too.
#[derive(Clone)]
pub struct Budget {
    pub(crate) shared: Arc<Shared>,
}

/// What a budget, its permits and its waiters share.
pub(crate) struct Shared {
    clock: Clock,
    queue_max: usize,
    side: OnceLock<Side>,
    state: Mutex<State>,
}

/// Which of two gates a budget is; of two, the lesser one is passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Own,
    Shared,
}

pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) queue: Queue<Slot, Refused>,
}

impl Budget {
    /// A budget that nothing was spent of.
    ///
    /// # Errors
    /// If the configuration cannot be.
    pub fn new(config: BudgetConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { shared: Arc::new(Shared::of_checked(&config, clock)) })
    }

    /// Waits for leave to make one call. First come, first served.
    ///
    /// Dropping the future gives its place back at once and exactly.
    pub fn acquire(&self) -> Acquire {
        self.acquire_with(Ask::default())
    }

    /// As [`Budget::acquire`], for a caller with a priority, a turn of its own or an estimate of tokens.
    ///
    /// ```
    /// # use paceline_clock::SimClock;
    /// use paceline_governor::{Ask, Budget, BudgetConfig, Outcome, OutcomeClass, Priority, Refused};
    ///
    /// # SimClock::new().run(|clock| async move {
    /// let limits = ["60/min".parse().unwrap(), "90000 tokens/min".parse().unwrap()];
    /// let budget = Budget::new(BudgetConfig::new(limits), clock).unwrap();
    /// let ask = Ask::new().priority(Priority::High).turn(7, 1).tokens(1_500);
    /// let mut permit = budget.acquire_with(ask).await.unwrap();
    /// permit.sent();
    /// permit.seen();
    /// permit.settle(900); // what the response says it took: 600 are free again
    /// permit.finish(&Outcome::of(OutcomeClass::Success));
    ///
    /// // What can never fit is refused at once.
    /// let refused = budget.acquire_with(Ask::new().tokens(100_000)).await.unwrap_err();
    /// assert!(matches!(refused, Refused::NeverFits { .. }));
    /// # });
    /// ```
    pub fn acquire_with(&self, ask: Ask) -> Acquire {
        Acquire::new(Arc::clone(&self.shared), ask)
    }

    /// Leave to make one call now, or why not and until when. Never overtakes those who wait.
    ///
    /// # Errors
    /// [`Refusal`]: not now.
    pub fn try_acquire(&self) -> Result<Permit, Refusal> {
        let (mut state, now) = self.shared.lock_now();
        if !state.queue.is_empty() {
            let until = state.core.next_slot(now);
            return Err(Refusal { reason: Reason::Concurrency, until });
        }
        let slot = state.core.admit(now)?;
        drop(state);
        Ok(Permit::new(Arc::clone(&self.shared), slot))
    }

    /// When the `calls`th call from now may be expected to go, those who wait included: 1 is the next one to go.
    ///
    /// ```
    /// # use paceline_clock::SimClock;
    /// # use paceline_governor::{Budget, BudgetConfig, Reason};
    /// # SimClock::new().run(|clock| async move {
    /// let limits = ["20/min".parse().unwrap(), "60/h".parse().unwrap()];
    /// let budget = Budget::new(BudgetConfig::new(limits), clock.clone()).unwrap();
    /// let eta = budget.eta(200);
    /// assert_eq!((eta.at - clock.now()).as_secs(), 10_805); // three hours, and 500 ppm of clock drift
    /// assert_eq!(eta.held_by, Some(Reason::Limit(1)));
    /// # });
    /// ```
    #[must_use]
    pub fn eta(&self, calls: u64) -> Eta {
        self.shared.with_core(|core, now| core.eta(calls, now))
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

    /// As [`Budget::remember`] for calls that may still be on their way: the vendor counts each so long from now at the
    /// latest. What a process sent just before it was killed arrives when the network pleases.
    pub fn remember_coming(&self, counted_in: impl IntoIterator<Item = Duration>) {
        self.shared.with_core(|core, now| {
            for time in counted_in {
                core.remember(now + time);
            }
        });
    }

    /// As [`Budget::remember`] and [`Budget::remember_coming`], for calls of which nobody knows how many tokens they took: each
    /// as many as the heaviest that is known of. Do this after [`Budget::restore`], for the calls since that snapshot.
    pub fn remember_unsettled(
        &self,
        counted_ago: impl IntoIterator<Item = Duration>,
        counted_in: impl IntoIterator<Item = Duration>,
    ) {
        self.shared.with_core(|core, now| {
            counted_ago.into_iter().for_each(|ago| core.remember_unsettled(now.before(ago)));
            counted_in.into_iter().for_each(|time| core.remember_unsettled(now + time));
        });
    }

    /// What this budget remembers: keep it, and [restore](Budget::restore) it in the next process (spec G11).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.with_core(Core::snapshot)
    }

    /// Takes over what another budget remembered `elapsed` ago. Do this before the first call.
    pub fn restore(&self, snapshot: &Snapshot, elapsed: Duration) {
        self.shared.with_core(|core, now| core.restore(snapshot, elapsed, now));
    }

    /// A connection took this long to make: what the guard learns from.
    pub fn saw_network(&self, took: Duration) {
        self.shared.with_core(|core, _| core.saw_network(took));
    }

    /// Admits again after the breaker tripped: the cause was mended.
    pub fn reset_breaker(&self) {
        self.shared.with_core_then_pump(|core, _| core.reset_breaker());
    }

    /// The clock that it goes by; whoever waits between two tries waits on this one.
    #[cfg(any(feature = "tower", feature = "reqwest"))]
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// A snapshot for people and programs.
    #[must_use]
    pub fn status(&self) -> Status {
        let (mut state, now) = self.shared.lock_now();
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
    /// From a configuration that was checked.
    pub(crate) fn of_checked(config: &BudgetConfig, clock: Clock) -> Self {
        let core = Core::of_checked(config.clone());
        let state = State { core, queue: Queue::default() };
        let side = OnceLock::new();
        Self { clock, queue_max: config.queue_max, side, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, and the time at which it is looked at. Read under the lock: whoever read it before could come in after
    /// somebody who came later, and the core would see time run backwards.
    pub(crate) fn lock_now(&self) -> (MutexGuard<'_, State>, Tick) {
        let state = self.lock();
        let now = self.clock.now();
        (state, now)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn with_core<T>(&self, act: impl FnOnce(&mut Core, Tick) -> T) -> T {
        let (mut state, now) = self.lock_now();
        act(&mut state.core, now)
    }

    /// As [`Shared::with_core`], with how many wait.
    #[cfg(feature = "redis")]
    pub(crate) fn with_core_and_waiting<T>(
        &self,
        act: impl FnOnce(&mut Core, usize, Tick) -> T,
    ) -> T {
        let (mut state, now) = self.lock_now();
        let waiting = state.queue.len();
        act(&mut state.core, waiting, now)
    }

    /// Changes the state and hands out what has become free.
    pub(crate) fn with_core_then_pump<T>(&self, act: impl FnOnce(&mut Core, Tick) -> T) -> T {
        let (mut state, now) = self.lock_now();
        let result = act(&mut state.core, now);
        let wake = state.pump(now, false);
        drop(state);
        // Outside the lock: a woken caller may come back at once.
        wake.into_iter().for_each(Waker::wake);
        result
    }

    /// Where it comes among two gates: in one order for everyone and for good, so that no two callers stand first where
    /// the other one wants to be. What it was first used as decides, then the address.
    pub(crate) fn rank(self: &Arc<Self>, side: Side) -> (Side, *const Self) {
        (*self.side.get_or_init(|| side), Arc::as_ptr(self))
    }

    /// A place at the end of the queue. Whoever was first and is not any more is woken if it holds a place at another
    /// gate, which it has to leave.
    pub(crate) fn join(
        &self,
        state: &mut State,
        ask: Ask,
        wake: &mut Vec<Waker>,
    ) -> Result<Place, Refused> {
        let waiting = state.queue.len();
        if waiting >= self.queue_max {
            return Err(Refused::QueueFull { waiting });
        }
        let before = state.queue.next_ask().filter(Ask::at_two_gates);
        let before = before.and_then(|_| state.queue.first_waker());
        let place = state.queue.join(ask);
        if state.queue.next() == Some(place) {
            wake.extend(before);
        }
        Ok(place)
    }

    /// A waiter goes: what it was granted is given back, and the next one takes over.
    pub(crate) fn leave(&self, place: Place) {
        let (mut state, now) = self.lock_now();
        if let Some(slot) = state.queue.leave(place) {
            state.core.give_back(slot, None, now);
        }
        let wake = state.pump(now, false);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Grants every permit there is to those who wait, in order; answers whom to wake. The first who still waits is
    /// among them, unless it is the caller itself.
    pub(crate) fn pump(&mut self, now: Tick, first_calls: bool) -> Vec<Waker> {
        let mut wake = Vec::new();
        while let Some(ask) = self.queue.next_ask() {
            if ask.at_two_gates() {
                // It takes both of its permits at once, and this is only one of them: it has to look for itself.
                break;
            }
            match self.core.admit_tokens(now, tokens(ask)) {
                Ok(slot) => wake.extend(self.queue.grant_next(slot)),
                Err(Refusal { reason: Reason::Breaker(trip), .. }) => {
                    if self.core.tripped().is_some() {
                        self.queue.refuse_all(Refused::Breaker(trip), &mut wake);
                    }
                    break;
                }
                Err(_) => break,
            }
        }
        if !first_calls || !wake.is_empty() {
            wake.extend(self.queue.first_waker());
        }
        wake
    }

    /// Whether what is asked for can ever be.
    pub(crate) fn fits(&self, ask: Ask) -> Result<(), Refused> {
        match self.core.never_fits(tokens(ask)) {
            Some(limit) => Err(Refused::NeverFits { tokens: ask.get_tokens(), limit }),
            None => Ok(()),
        }
    }
}
