//! Claimed tasks between the feeder and the workers: those that are ready, and those that wait to be tried again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_clock::{Clock, Tick};
use paceline_model::Task;
use tokio::sync::{Notify, Semaphore};

use super::delayed_until;

pub(super) struct TaskQueue {
    state: Mutex<State>,
    /// One token per ready task; workers wait for one in the order they came.
    tokens: Semaphore,
    feeder: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Task>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    next_number: u64,
    /// Tasks held in all, by the workers and on their way to disk too.
    open: usize,
}

struct Delayed {
    due: Tick,
    number: u64,
    task: Task,
}

impl Default for TaskQueue {
    fn default() -> Self {
        Self { state: Mutex::default(), tokens: Semaphore::new(0), feeder: Notify::new() }
    }
}

impl TaskQueue {
    /// Takes newly claimed tasks.
    pub(super) fn add(&self, tasks: Vec<Task>, clock: &Clock) {
        self.lock().open += tasks.len();
        self.again(tasks, clock);
    }

    /// So many tasks are open that the workers do not get.
    pub(super) fn hold(&self, count: usize) {
        self.lock().open += count;
    }

    /// Takes back tasks that are to be tried again.
    pub(super) fn again(&self, tasks: Vec<Task>, clock: &Clock) {
        if tasks.is_empty() {
            return;
        }
        let mut ready = 0;
        let mut state = self.lock();
        for task in tasks {
            match delayed_until(&task, clock) {
                Some(due) => {
                    state.next_number += 1;
                    let number = state.next_number;
                    state.delayed.push(Reverse(Delayed { due, number, task }));
                }
                None => {
                    // What was begun goes first: or no row would come to its second source before all had asked the first,
                    // and one source would idle while the other is asked.
                    match task.note {
                        Some(_) => state.ready.push_front(task),
                        None => state.ready.push_back(task),
                    }
                    ready += 1;
                }
            }
        }
        drop(state);
        self.tokens.add_permits(ready);
        self.wake_feeder();
    }

    /// Makes ready what is due; answers when the next one will be. They go first: they have waited longest.
    pub(super) fn release_due(&self, now: Tick) -> Tick {
        let mut state = self.lock();
        let mut released = 0;
        while let Some(Reverse(next)) = state.delayed.peek() {
            if next.due > now {
                break;
            }
            if let Some(Reverse(next)) = state.delayed.pop() {
                state.ready.push_front(next.task);
                released += 1;
            }
        }
        let due_at = state.delayed.peek().map_or(Tick::NEVER, |Reverse(next)| next.due);
        drop(state);
        self.tokens.add_permits(released);
        due_at
    }

    /// The next ready task; `None` once the queue is closed.
    pub(super) async fn next(&self) -> Option<Task> {
        self.tokens.acquire().await.ok()?.forget();
        let mut state = self.lock();
        let task = state.ready.pop_front();
        // The feeder only claims in halves: no need to wake it for every task.
        let low = state.ready.len().is_multiple_of(64);
        drop(state);
        if low {
            self.wake_feeder();
        }
        task
    }

    /// More tasks that are ready now, at most `max`.
    pub(super) fn more(&self, max: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        while tasks.len() < max
            && let Ok(token) = self.tokens.try_acquire()
        {
            token.forget();
            tasks.extend(self.lock().ready.pop_front());
        }
        if !tasks.is_empty() {
            self.wake_feeder();
        }
        tasks
    }

    /// Takes back a task that was not worked on.
    pub(super) fn put_back(&self, task: Task) {
        self.lock().ready.push_front(task);
    }

    /// So many tasks came to an end.
    pub(super) fn ended(&self, count: usize) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(count);
        let wake = state.open == 0 || state.ready.is_empty();
        drop(state);
        if wake {
            self.wake_feeder();
        }
    }

    /// (ready, open)
    pub(super) fn sizes(&self) -> (usize, usize) {
        let state = self.lock();
        (state.ready.len(), state.open)
    }

    pub(super) fn close(&self) {
        self.tokens.close();
    }

    /// Everything that nobody works on.
    pub(super) fn drain(&self) -> Vec<Task> {
        let mut state = self.lock();
        let delayed: Vec<Task> =
            state.delayed.drain().map(|Reverse(delayed)| delayed.task).collect();
        state.ready.drain(..).chain(delayed).collect()
    }

    pub(super) fn wake_feeder(&self) {
        self.feeder.notify_one();
    }

    pub(super) async fn feeder_woken(&self) {
        self.feeder.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}
