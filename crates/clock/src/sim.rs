//! Virtual time: a clock that stands still while there is work and jumps to the next deadline when there is none.
//!
//! The runtime's own paused time is not used because it also fires the time-outs of whatever else sleeps (connection
//! pools, say), and because it cannot know of work on other threads; see [`crate::Clock::busy`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::{Clock, Sleep, Source, Tick, Timestamp};

/// Virtual wall time begins at 2026-01-01T00:00:00Z.
const WALL_AT_ZERO: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// A clock that only moves when told to, or by itself inside [`SimClock::run`].
#[derive(Clone, Default)]
pub struct SimClock(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Tick,
    next_id: u64,
    sleepers: BTreeMap<(Tick, u64), Waker>,
    busy: isize,
}

impl SimClock {
    /// A clock at [`Tick::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock at `tick`: one that has a past.
    #[must_use]
    pub fn starting_at(tick: Tick) -> Self {
        let clock = Self::default();
        clock.lock().now = tick;
        clock
    }

    /// A handle for code that takes a [`Clock`].
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Arc::new(self.clone()))
    }

    /// Moves time forward, waking sleepers in the order of their deadlines.
    pub fn advance(&self, duration: Duration) {
        let target = self.lock().now + duration;
        while self.wake_next(target) {}
        let mut state = self.lock();
        state.now = state.now.max(target);
    }

    /// Jumps to the next deadline and wakes who sleeps until then; false if nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        self.wake_next(Tick::NEVER)
    }

    /// Runs `scenario` to its end on a single-threaded runtime in virtual time.
    ///
    /// Whenever no task can go on and nothing is [busy](Clock::busy), time jumps to the next deadline. A scenario in
    /// which everyone waits for something that nobody will do hangs, as it would in real time.
    ///
    /// # Panics
    /// If the runtime cannot be built, or if `scenario` panics.
    pub fn run<F, Fut>(&self, scenario: F) -> Fut::Output
    where
        F: FnOnce(Clock) -> Fut,
        Fut: Future,
    {
        let idle = self.clone();
        #[expect(
            clippy::expect_used,
            reason = "without a runtime no test can go on, and the message says why"
        )]
        let runtime = tokio::runtime::Builder::new_current_thread()
            // Nothing of ours waits on it; rmcp bounds the end of a connection with it, and panics without.
            .enable_time()
            .on_thread_park(move || {
                let quiet = idle.lock().busy == 0;
                if quiet {
                    idle.advance_to_next();
                }
            })
            .build()
            .expect("a runtime for virtual time");
        runtime.block_on(scenario(self.clock()))
    }

    /// Wakes everyone at the earliest deadline that is not after `limit`.
    fn wake_next(&self, limit: Tick) -> bool {
        let woken = {
            let mut state = self.lock();
            let Some(&(deadline, _)) = state.sleepers.keys().next() else {
                return false;
            };
            if deadline > limit {
                return false;
            }
            state.now = state.now.max(deadline);
            let later = state.sleepers.split_off(&(deadline, u64::MAX));
            std::mem::replace(&mut state.sleepers, later)
        };
        // Outside the lock: a waker may run code that asks this clock for the time.
        for waker in woken.into_values() {
            waker.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("SimClock")
            .field("now", &state.now)
            .field("sleepers", &state.sleepers.len())
            .field("busy", &state.busy)
            .finish()
    }
}

impl Source for SimClock {
    fn now(&self) -> Tick {
        self.lock().now
    }

    fn wall(&self) -> Timestamp {
        WALL_AT_ZERO + (self.lock().now - Tick::ZERO)
    }

    fn sleep_until(&self, deadline: Tick) -> Sleep {
        Box::pin(SimSleep { clock: self.clone(), deadline, id: None })
    }

    fn add_busy(&self, delta: isize) {
        self.lock().busy += delta;
    }
}

struct SimSleep {
    clock: SimClock,
    deadline: Tick,
    id: Option<u64>,
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let clock = self.clock.clone();
        let mut state = clock.lock();
        if state.now >= deadline && deadline != Tick::NEVER {
            return Poll::Ready(());
        }
        if deadline == Tick::NEVER {
            return Poll::Pending;
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        state.sleepers.insert((deadline, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.lock().sleepers.remove(&(self.deadline, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepers_wake_in_order_of_their_deadlines_to_the_nanosecond() {
        let woken = SimClock::new().run(|clock| async move {
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = Vec::new();
            for nanos in [3_u64, 1, 2, 1_000_000_000_000] {
                let (clock, order) = (clock.clone(), Arc::clone(&order));
                tasks.push(tokio::spawn(async move {
                    clock.sleep_until(Tick::from_nanos(nanos)).await;
                    order.lock().unwrap().push(clock.now().as_nanos());
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            let order = order.lock().unwrap();
            order.clone()
        });
        assert_eq!(woken, [1, 2, 3, 1_000_000_000_000]);
    }

    #[test]
    fn time_stands_still_while_another_thread_is_busy() {
        let sim = SimClock::new();
        let (slept_at, answered_at) = sim.run(|clock| async move {
            let sleeper = {
                let clock = clock.clone();
                tokio::spawn(async move {
                    clock.sleep(Duration::from_millis(1)).await;
                    clock.now()
                })
            };
            let (answer, reply) = tokio::sync::oneshot::channel();
            let busy = clock.busy();
            let worker = std::thread::spawn(move || {
                // Real work that takes real time; virtual time must not run meanwhile.
                std::thread::yield_now();
                let _ = answer.send(());
            });
            reply.await.unwrap();
            let answered_at = clock.now();
            drop(busy);
            worker.join().unwrap();
            (sleeper.await.unwrap(), answered_at)
        });
        assert_eq!(answered_at, Tick::ZERO);
        assert_eq!(slept_at, Tick::from_millis(1));
    }

    #[test]
    fn a_dropped_sleep_leaves_nothing_behind() {
        let sim = SimClock::new();
        sim.run(|clock| async move {
            let mut sleep = clock.sleep(Duration::from_secs(9));
            assert!(futures_poll(&mut sleep).await.is_pending());
        });
        assert!(sim.lock().sleepers.is_empty());
    }

    async fn futures_poll(sleep: &mut Sleep) -> Poll<()> {
        std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await
    }
}
