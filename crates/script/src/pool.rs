//! The threads that formulas run on.
//!
//! A formula is stopped by its own engine when a row takes too long. Some built-ins work for a while without asking for
//! the time; a thread that is kept by one is given up: its row ends, another thread takes its place, and it ends by itself
//! when the built-in returns. From then on that formula runs in a child that can be killed, and while [`LOST_MAX`] threads
//! are lost, all others run in children of their own: slower, but they run. Without children they are refused.

mod thread;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use paceline_clock::{Clock, Tick};
use paceline_model::{Value, limits};
use serde_json::Value as Json;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{ScriptCode, ScriptError};
use crate::formula::Formula;
use crate::host::FunctionCommand;
use crate::realm::Limits;
use crate::stuck::Children;
use thread::{Job, Workers};

/// Rows of one formula that are worth a second thread.
const SPLIT_ROWS_MIN: usize = 256;
/// How often it is looked whether a thread still answers.
const LOOK: Duration = Duration::from_millis(100);
/// How long a thread may stay beyond the time of its row before it is given up.
const GRACE: Duration = Duration::from_millis(500);
/// Threads given up that have not come back, at the most: each may keep a core to itself for long.
const LOST_MAX: usize = 4;
/// The same where there are children for what comes then.
const LOST_BESIDE_CHILDREN_MAX: usize = 2;
/// Jobs on their way: one for each thread, and those whose owner went before they began.
const JOBS_MAX: usize = 256;
/// What a formula may take for a row.
const LIMITS: Limits =
    Limits { timeout: limits::FORMULA_TIMEOUT, memory_bytes: limits::SCRIPT_MEMORY_BYTES_MAX };

/// Threads for formulas, started when the first one is evaluated. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    clock: Clock,
    threads: usize,
    free: Semaphore,
    lost: Arc<AtomicUsize>,
    children: Option<Children>,
    queue: Mutex<Option<(SyncSender<Arc<Job>>, Workers)>>,
}

/// How a row came out.
pub(crate) type Outcome = Result<Json, ScriptError>;

impl Pool {
    /// A pool of that many threads. The clock must go on while code runs: the system's, also under a simulated engine.
    #[must_use]
    pub fn new(clock: Clock, threads: usize) -> Self {
        Self::made(clock, threads, None)
    }

    /// The same with children of that program for formulas that its threads cannot stop.
    #[must_use]
    pub fn with_children(clock: Clock, threads: usize, command: FunctionCommand) -> Self {
        let children = Children::new(command, &clock);
        Self::made(clock, threads, Some(children))
    }

    fn made(clock: Clock, threads: usize, children: Option<Children>) -> Self {
        let threads = threads.max(1);
        Self(Arc::new(Inner {
            clock,
            threads,
            free: Semaphore::new(threads),
            lost: Arc::default(),
            children,
            queue: Mutex::default(),
        }))
    }

    /// Evaluates a formula for rows; each has the values of [`Formula::inputs`] in that order. A row ends within
    /// `limits::FORMULA_TIMEOUT`, `limits::SCRIPT_MEMORY_BYTES_MAX` and some air; what one row does, no other sees.
    ///
    /// ```
    /// # use paceline_clock::Clock;
    /// # use paceline_model::Value;
    /// # use paceline_script::{Formula, Pool};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let pool = Pool::new(Clock::system(), 1);
    /// let formula = Formula::compile("Math.round(revenue * 0.15)", &["name", "revenue"]).unwrap();
    /// let rows = vec![vec![Value::Int(100)], vec![Value::Text("?".into())]];
    /// let values = pool.eval(&formula, rows).await;
    /// assert_eq!(values[0], Ok(serde_json::json!(15)));
    /// assert!(values[1].as_ref().unwrap_err().to_string().starts_with("the result is NaN"));
    /// # });
    /// ```
    pub async fn eval(&self, formula: &Formula, rows: Vec<Vec<Value>>) -> Vec<Outcome> {
        let rows = Arc::new(rows);
        let parts = if rows.len() < SPLIT_ROWS_MIN { 1 } else { self.0.threads };
        let size = rows.len().div_ceil(parts).max(1);
        let parts = (0..rows.len()).step_by(size).map(|start| {
            let range = start..(start + size).min(rows.len());
            self.0.part(formula, Arc::clone(&rows), range)
        });
        join_all(parts).await.into_iter().flatten().collect()
    }
}

impl Inner {
    /// Some of the rows, one after the other.
    async fn part(
        &self,
        formula: &Formula,
        rows: Arc<Vec<Vec<Value>>>,
        range: Range<usize>,
    ) -> Vec<Outcome> {
        let mut all = Vec::with_capacity(range.len());
        while all.len() < range.len() {
            let rest = range.start + all.len()..range.end;
            let Ok(free) = self.free.acquire().await else { break };
            if let Some(children) = self.children_for(formula) {
                drop(free);
                let row = &rows[rest.start];
                all.push(children.eval(formula, row).await);
                continue;
            }
            let (done, ended) = oneshot::channel();
            let job = Arc::new(Job::new(formula.clone(), Arc::clone(&rows), rest.clone(), done));
            if let Err(error) = self.send(Arc::clone(&job)) {
                all.extend(rest.map(|_| Err(error.clone())));
                break;
            }
            let lost = self.watch(&job, ended).await;
            all.extend(job.take());
            if let Some(error) = lost {
                if let Some(children) = &self.children {
                    children.suspect(formula);
                }
                all.push(Err(error));
            }
        }
        all
    }

    /// Where a formula runs if not on a thread.
    fn children_for(&self, formula: &Formula) -> Option<&Children> {
        let lost = self.lost.load(Ordering::Relaxed);
        let children = self.children.as_ref()?;
        (lost >= LOST_BESIDE_CHILDREN_MAX || children.knows(formula)).then_some(children)
    }

    /// Waits for the end of a job; answers the error of the row that its thread did not come back from.
    async fn watch(&self, job: &Job, mut ended: oneshot::Receiver<()>) -> Option<ScriptError> {
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => return None,
                () = self.clock.sleep(LOOK) => {}
            }
            let late = |began: Tick| self.clock.now() > began + LIMITS.timeout + GRACE;
            if job.began().is_some_and(late) && job.give_up() {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return Some(ScriptError::timeout(LIMITS.timeout));
            }
        }
    }

    /// Hands a job to the threads; as many as there are places are at work or on their way.
    fn send(&self, job: Arc<Job>) -> Result<(), ScriptError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, workers) = queue.get_or_insert_with(|| {
            let (sender, receiver) = sync_channel(JOBS_MAX);
            (sender, Workers::new(receiver, self.clock.clone(), Arc::clone(&self.lost)))
        });
        let lost = self.lost.load(Ordering::Relaxed);
        if lost >= LOST_MAX {
            let problem = "earlier formulas could not be stopped and still keep the threads for formulas; try again \
                           when they have ended";
            return Err(ScriptError::new(ScriptCode::Timeout, problem));
        }
        workers.grow(self.threads + lost)?;
        sender.try_send(job).map_err(|_| {
            ScriptError::new(
                ScriptCode::Error,
                "the threads for formulas do not keep up; try again",
            )
        })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.0.threads).finish_non_exhaustive()
    }
}
