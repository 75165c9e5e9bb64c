//! Kernels: how many runs of ours there may be, and how to go on after Hex had none left for us (503).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Tick};
use tokio::sync::Notify;

/// What is decided, without waiting. Time is an argument.
#[derive(Debug, Default)]
struct State {
    used: usize,
    closed: Option<Closed>,
}

/// Hex had no kernel: one more run per run of ours that ends, and one try every so often, for others' runs end too.
#[derive(Clone, Copy, Debug)]
struct Closed {
    until: Tick,
    credits: usize,
}

/// Leave to start one run. Dropped when the run is over, or was not started after all.
#[derive(Debug)]
pub(crate) struct Seat {
    kernels: Arc<Kernels>,
    started: bool,
    probe: bool,
}

/// The kernels of a session.
#[derive(Debug)]
pub(crate) struct Kernels {
    max: usize,
    wait: Duration,
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

impl State {
    /// Takes a seat (`true`: as a try), or says from when on to ask again if nothing happens before.
    fn admit(&mut self, now: Tick, max: usize, wait: Duration) -> Result<bool, Option<Tick>> {
        if self.used >= max {
            return Err(None);
        }
        let probe = match &mut self.closed {
            None => false,
            Some(closed) if closed.credits > 0 => {
                closed.credits -= 1;
                false
            }
            Some(closed) if now >= closed.until => {
                closed.until = now + wait;
                true
            }
            Some(closed) => return Err(Some(closed.until)),
        };
        self.used += 1;
        Ok(probe)
    }

    fn credit(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.credits += 1;
        }
    }
}

impl Kernels {
    pub(crate) fn new(max: usize, wait: Duration, clock: Clock) -> Arc<Self> {
        let (state, changed) = Default::default();
        Arc::new(Self { max, wait, clock, state, changed })
    }

    /// Waits until a run of ours may be started.
    pub(crate) async fn admit(self: &Arc<Self>) -> Seat {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before the look, so that nothing that happens after it is missed.
            changed.as_mut().enable();
            let admitted = self.lock().admit(self.clock.now(), self.max, self.wait);
            let until = match admitted {
                Ok(probe) => return Seat { kernels: Arc::clone(self), started: false, probe },
                Err(until) => until.unwrap_or(Tick::NEVER),
            };
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    /// The seat of a run that is there already, however many there are.
    pub(crate) fn occupied(self: &Arc<Self>) -> Seat {
        self.lock().used += 1;
        Seat { kernels: Arc::clone(self), started: true, probe: false }
    }

    /// Hex had no kernel.
    pub(crate) fn refused(&self) {
        let until = self.clock.now() + self.wait;
        self.lock().closed = Some(Closed { until, credits: 0 });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Its run was started. If that was a try, there may be room for more.
    pub(crate) fn started(&mut self) {
        self.started = true;
        if self.probe {
            self.kernels.lock().credit();
            self.kernels.changed.notify_waiters();
        }
    }

    /// Its run may have been started: its end may free a kernel.
    pub(crate) fn may_have_started(&mut self) {
        self.started = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.kernels.lock();
        state.used = state.used.saturating_sub(1);
        if self.started {
            state.credit();
        }
        drop(state);
        self.kernels.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_clock::SimClock;

    const WAIT: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    #[test]
    fn no_more_than_there_are() {
        let mut state = State::default();
        assert_eq!(
            [(); 3].map(|()| state.admit(at(0), 2, WAIT)),
            [Ok(false), Ok(false), Err(None)]
        );
    }

    #[test]
    fn after_a_refusal_one_per_end_and_one_try_every_so_often() {
        let closed = Some(Closed { until: at(30), credits: 0 });
        let mut state = State { used: 5, closed };
        assert_eq!(state.admit(at(1), 25, WAIT), Err(Some(at(30))));
        state.credit();
        assert_eq!(state.admit(at(2), 25, WAIT), Ok(false), "a run of ours ended");
        assert_eq!(state.admit(at(2), 25, WAIT), Err(Some(at(30))));
        assert_eq!(state.admit(at(30), 25, WAIT), Ok(true), "a try");
        assert_eq!(state.admit(at(30), 25, WAIT), Err(Some(at(60))));
    }

    #[test]
    fn who_waits_goes_on_when_a_run_ends() {
        let waited = SimClock::new().run(|clock| async move {
            let kernels = Kernels::new(1, WAIT, clock.clone());
            let first = kernels.occupied();
            let ends = {
                let clock = clock.clone();
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(7)).await;
                    drop(first);
                })
            };
            let _second = kernels.admit().await;
            ends.await.unwrap();
            clock.now()
        });
        assert_eq!(waited, at(7));
    }
}
