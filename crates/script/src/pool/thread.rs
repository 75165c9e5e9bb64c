//! What a thread of the pool does: one job after the other, each row in the realm of its formula.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::{Clock, Tick};
use paceline_model::Value;
use tokio::sync::oneshot;

use super::{LIMITS, Outcome};
use crate::convert;
use crate::error::{ScriptCode, ScriptError};
use crate::formula::Formula;
use crate::realm::{Face, Realm, STACK_BYTES};

/// Realms that a thread keeps: columns that run at the same time take turns.
const REALMS_MAX: usize = 4;
/// Stack of a thread: what scripts may use, and much air for the engine itself.
const THREAD_STACK_BYTES: usize = STACK_BYTES * 8;

/// Rows for a thread.
pub(super) struct Job {
    formula: Formula,
    rows: Arc<Vec<Vec<Value>>>,
    range: Range<usize>,
    /// When the row at work began, as the clock's time in nanoseconds; 0 before the first.
    began: AtomicU64,
    state: Mutex<State>,
}

struct State {
    outcomes: Vec<Outcome>,
    /// Taken when the job ends, or is given up.
    done: Option<oneshot::Sender<()>>,
}

/// What a thread does after a row.
enum Next {
    /// The job's next row.
    Row,
    /// Another job: whoever waited for this one has gone.
    Job,
    /// Nothing: the thread was given up.
    Leave,
}

impl Job {
    pub(super) fn new(
        formula: Formula,
        rows: Arc<Vec<Vec<Value>>>,
        range: Range<usize>,
        done: oneshot::Sender<()>,
    ) -> Self {
        let outcomes = Vec::with_capacity(range.len());
        let state = Mutex::new(State { outcomes, done: Some(done) });
        Self { formula, rows, range, began: AtomicU64::new(0), state }
    }

    /// When the row at work began.
    pub(super) fn began(&self) -> Option<Tick> {
        Some(self.began.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).map(Tick::from_nanos)
    }

    /// Nobody waits for it any more; false if it has ended.
    pub(super) fn give_up(&self) -> bool {
        self.lock().done.take().is_some()
    }

    /// What came out so far.
    pub(super) fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.lock().outcomes)
    }

    /// Keeps what a row gave.
    fn keep(&self, outcome: Outcome) -> Next {
        let mut state = self.lock();
        match &state.done {
            None => return Next::Leave,
            Some(done) if done.is_closed() => return Next::Job,
            Some(_) => {}
        }
        state.outcomes.push(outcome);
        Next::Row
    }

    fn end(&self) {
        if let Some(done) = self.lock().done.take() {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of a pool.
pub(super) struct Workers {
    shared: Arc<Shared>,
    /// How many were ever started, less those that were lost and ended.
    alive: Arc<AtomicUsize>,
}

struct Shared {
    jobs: Mutex<Receiver<Arc<Job>>>,
    clock: Clock,
    lost: Arc<AtomicUsize>,
}

impl Workers {
    pub(super) fn new(jobs: Receiver<Arc<Job>>, clock: Clock, lost: Arc<AtomicUsize>) -> Self {
        Self {
            shared: Arc::new(Shared { jobs: Mutex::new(jobs), clock, lost }),
            alive: Arc::default(),
        }
    }

    /// Starts threads until there are that many.
    pub(super) fn grow(&self, wanted: usize) -> Result<(), ScriptError> {
        while self.alive.load(Ordering::Relaxed) < wanted {
            let (shared, alive) = (Arc::clone(&self.shared), Arc::clone(&self.alive));
            let started = std::thread::Builder::new()
                .name("formulas".into())
                .stack_size(THREAD_STACK_BYTES)
                .spawn(move || {
                    shared.work();
                    alive.fetch_sub(1, Ordering::Relaxed);
                });
            match started {
                Ok(_) => self.alive.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    let problem =
                        format!("a thread for formulas cannot be started ({error}); try again");
                    return Err(ScriptError::new(ScriptCode::Error, problem));
                }
            };
        }
        Ok(())
    }
}

impl Shared {
    /// Works until the pool is gone, or this thread was given up.
    fn work(&self) {
        let mut realms: Vec<(u64, Realm)> = Vec::new();
        loop {
            let next = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            if !self.run(&job, &mut realms) {
                self.lost.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        }
    }

    /// False if the job was given up meanwhile.
    fn run(&self, job: &Job, realms: &mut Vec<(u64, Realm)>) -> bool {
        for row in &job.rows[job.range.clone()] {
            job.began.store(self.clock.now().as_nanos().max(1), Ordering::Relaxed);
            let outcome = self
                .realm(&job.formula, realms)
                .and_then(|realm| realm.call(row, convert::into_js));
            if realms.last().is_some_and(|(_, realm)| realm.is_spent()) {
                realms.pop();
            }
            match job.keep(outcome.map_err(|error| job.formula.explained(error))) {
                Next::Row => {}
                Next::Job => return true,
                Next::Leave => return false,
            }
        }
        job.end();
        true
    }

    /// The realm of a formula, which stands last then.
    fn realm<'r>(
        &self,
        formula: &Formula,
        realms: &'r mut Vec<(u64, Realm)>,
    ) -> Result<&'r mut Realm, ScriptError> {
        let number = formula.number();
        match realms.iter().position(|(known, _)| *known == number) {
            Some(at) if at + 1 == realms.len() => {}
            Some(at) => realms[at..].rotate_left(1),
            None => {
                let realm = Realm::new(formula.function(), Face::Formula, LIMITS, &self.clock)?;
                if realms.len() >= REALMS_MAX {
                    realms.remove(0);
                }
                realms.push((number, realm));
            }
        }
        let gone = || ScriptError::new(ScriptCode::Error, "the formula is gone; try again");
        realms.last_mut().map(|(_, realm)| realm).ok_or_else(gone)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("range", &self.range).finish_non_exhaustive()
    }
}
