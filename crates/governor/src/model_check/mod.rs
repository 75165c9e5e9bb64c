//! The waiting under a model checker: whatever order the threads' steps come in, nobody waits for ever, no slot stays
//! free while somebody waits for it, and no window is overrun.
//!
//! The checker (shuttle) runs a small scene of callers thousands of times and chooses at every lock who goes on: at
//! random, and by few changes of priority (which finds what takes few but unlikely changes). What a caller does with
//! its permit, when it gives up and how far time moves are drawn from the same schedule, so a failure prints all of it:
//!
//! ```text
//! RUSTFLAGS="--cfg paceline_model" cargo test -p paceline-governor --lib model_check
//! shuttle::replay(scene, "the schedule that was printed")   // in the test, to see it again
//! ```
//!
//! No runtime is needed: a caller is a thread that blocks on its future, and [`World::run`] is the thread that moves
//! time. It knows who is awake. When nobody is, everything that could happen at this moment has: that is when it looks
//! for lost wake-ups, and then time has to move. Now and then it also moves while others are in the middle of something.
#![expect(clippy::unwrap_used, reason = "a scene that cannot go on ends here")]

mod budget;
mod calls;
mod gates;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};

use crate::Budget;
use crate::acquire::tokens;
use crate::budget::Side;

/// Schedules of each kind that a scene is run with.
const SCHEDULES: usize = 3_000;
/// Changes of priority in a schedule of the second kind; most bugs of this kind need two or three.
const DEPTH: usize = 3;
/// Steps after which a schedule is taken to be one in which somebody is busy for ever.
const STEPS_MAX: usize = 100_000;

/// Runs a scene with many schedules, the same ones every time.
fn explore(scene: impl Fn() + Clone + Send + Sync + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = shuttle::MaxSteps::FailAfter(STEPS_MAX);
    let random = RandomScheduler::new_from_seed(1, SCHEDULES);
    shuttle::Runner::new(random, config.clone()).run(scene.clone());
    let few_changes = PctScheduler::new_from_seed(1, DEPTH, SCHEDULES);
    shuttle::Runner::new(few_changes, config).run(scene);
}

/// What the threads of one scene share. The locks and counters here are the standard library's: the checker does not
/// see them, so looking at them is no step of its own.
#[derive(Clone)]
struct World(Arc<Shared>);

struct Shared {
    sim: SimClock,
    /// Actors that have not ended.
    alive: AtomicUsize,
    /// Those of them that do not wait for a waker.
    awake: AtomicUsize,
}

impl World {
    fn new() -> Self {
        let (alive, awake) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // The budget has a past, so that its first windows do not begin with time itself.
        let sim = SimClock::starting_at(Tick::from_millis(1_000_000));
        Self(Arc::new(Shared { sim, alive, awake }))
    }

    fn clock(&self) -> Clock {
        self.0.sim.clock()
    }

    /// A thread of the scene.
    fn spawn(&self, act: impl FnOnce(&World) + Send + 'static) {
        self.0.alive.fetch_add(1, SeqCst);
        self.0.awake.fetch_add(1, SeqCst);
        let world = self.clone();
        shuttle::thread::spawn(move || {
            act(&world);
            world.0.alive.fetch_sub(1, SeqCst);
            world.0.awake.fetch_sub(1, SeqCst);
        });
    }

    /// Waits as a thread of the scene.
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let alarm = Arc::new(Alarm { world: self.clone(), state: Mutex::new(Dozing::Woken) });
        shuttle::future::block_on(Watched { future: Box::pin(future), alarm })
    }

    fn sleep_ms(&self, ms: u64) {
        self.wait(self.clock().sleep(Duration::from_millis(ms)));
    }

    /// Moves time until every actor has ended.
    fn run(&self, budgets: &[&Budget]) {
        let sim = &self.0.sim;
        while self.0.alive.load(SeqCst) > 0 {
            if self.0.awake.load(SeqCst) > 0 {
                match thread_rng().gen_range(0..16) {
                    0 => drop(sim.advance_to_next()),
                    1 => sim.advance(Duration::from_millis(thread_rng().gen_range(1..700))),
                    _ => {}
                }
                shuttle::thread::yield_now();
                continue;
            }
            let free_at = budgets.iter().filter_map(|budget| free_at(budget)).min();
            assert!(sim.advance_to_next(), "nobody will ever wake those who wait: {budgets:?}");
            let now = self.clock().now();
            assert!(
                free_at.is_none_or(|free_at| now <= free_at),
                "a slot was free at {free_at:?}, and at {now:?} they still sleep: {budgets:?}"
            );
        }
        for status in budgets.iter().map(|budget| budget.status()) {
            assert_eq!((status.in_flight, status.waiting), (0, 0), "something stayed behind");
        }
    }
}

/// When the first who waits gets its slot by the passing of time alone. Nobody is awake: it must not be free now.
fn free_at(budget: &Budget) -> Option<Tick> {
    let (mut state, now) = budget.shared.lock_now();
    let ask = state.queue.next_ask()?;
    assert_eq!(state.core.tripped(), None, "the breaker refuses for good, and they were not told");
    let free = state.core.would_admit(now, tokens(ask)).is_ok();
    // At the first of two gates it may wait for the second; that one is looked at too.
    let waits_elsewhere = ask.at_two_gates() && budget.shared.rank(Side::Own).0 == Side::Own;
    assert!(!free || waits_elsewhere, "a slot is free and nobody was woken for it");
    state.core.next_slot_tokens(now, tokens(ask))
}

enum Dozing {
    /// It looks at its future, or is about to.
    Looking(Waker),
    /// It was woken since it began to look; or there is nothing more to look at.
    Woken,
    Asleep(Waker),
}

/// Counts who is awake, on the way to the checker's own waker. Wakes nobody whom it was not made for: a stray wake-up
/// would hide a lost one.
struct Alarm {
    world: World,
    state: Mutex<Dozing>,
}

impl Alarm {
    /// Changes the state, and the count with it.
    fn set(&self, next: Dozing) -> Dozing {
        let awake = &self.world.0.awake;
        if matches!(next, Dozing::Asleep(_)) {
            awake.fetch_sub(1, SeqCst);
        }
        let before = std::mem::replace(&mut *self.state.lock().unwrap(), next);
        if matches!(before, Dozing::Asleep(_)) {
            awake.fetch_add(1, SeqCst);
        }
        before
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if let Dozing::Looking(waker) | Dozing::Asleep(waker) = self.set(Dozing::Woken) {
            waker.wake();
        }
    }
}

struct Watched<F> {
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.alarm.set(Dozing::Looking(cx.waker().clone()));
        let waker = Waker::from(Arc::clone(&self.alarm));
        let answer = self.future.as_mut().poll(&mut Context::from_waker(&waker));
        let woken = matches!(&*self.alarm.state.lock().unwrap(), Dozing::Woken);
        if answer.is_ready() {
            self.alarm.set(Dozing::Woken);
        } else if !woken {
            self.alarm.set(Dozing::Asleep(cx.waker().clone()));
        }
        answer
    }
}
