//! The work behind sources and webhooks: one task that knows what is due, and a bounded number that do it.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use paceline_clock::{Tick, Timestamp};
use paceline_model::Item;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};

use super::kept::{Source, SourceKind};
use super::{connected, pull};
use crate::App;
use crate::error::Result as ApiResult;
use crate::hooks::Hook;
use crate::hooks::{self, Turn};
use crate::kept::Standing;

/// Sources and webhooks at work at once.
const AT_ONCE_MAX: usize = 16;
/// Steps that one of them makes before others have their turn.
const STEPS_MAX: usize = 32;
/// After a change of a table, the time in which further changes count as the same news.
const PAUSE: Duration = Duration::from_millis(20);
/// After a fault of ours, the time until it is tried again.
const FAULT_PAUSE: Duration = Duration::from_secs(10);
/// How often the list of sources and webhooks is read though nobody said that it changed: a table that is deleted takes
/// its own out of it, and one that is restored brings them back.
const LIST_AGE_MAX: Duration = Duration::from_secs(60);

/// The work under way.
#[derive(Debug)]
pub(crate) struct Workers {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Workers {
    /// Ends the work: what is under way gets so long to end. What does not is taken up where it stood at the next start.
    pub(crate) async fn stop(self, app: &App, within: Duration) {
        self.stop.send_replace(true);
        let mut task = self.task;
        tokio::select! {
            _ = &mut task => {}
            () = app.clock.sleep(within) => task.abort(),
        }
    }
}

/// Does the work of sources and webhooks until `shutdown` ends: [`crate::serve`] does it by itself, whoever serves
/// [`crate::router`] in another way needs this beside it. What does not end within
/// [`crate::ServerConfig::drain_timeout`] then is taken up where it stood at the next start.
pub async fn background(app: App, shutdown: impl Future<Output = ()>) {
    let workers = start(&app);
    shutdown.await;
    workers.stop(&app, app.config.drain_timeout).await;
}

/// Sets the work going.
pub(crate) fn start(app: &App) -> Workers {
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(Supervisor::new(app.clone()).run(stopped));
    Workers { stop, task }
}

/// What there is to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Job {
    Hook(i64),
    Connected(i64),
    Pull(i64),
}

/// When a job is due.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// `Tick::NEVER`: when something changes.
    due: Tick,
    running: bool,
}

struct Supervisor {
    app: App,
    plans: HashMap<Job, Plan>,
    tasks: JoinSet<Option<Tick>>,
    /// Whose task is whose.
    running: HashMap<Id, Job>,
}

impl Supervisor {
    fn new(app: App) -> Self {
        Self { app, plans: HashMap::new(), tasks: JoinSet::new(), running: HashMap::new() }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let app = self.app.clone();
        let mut lists = app.sources.changes();
        let mut listed_until = Tick::ZERO;
        let mut seen = 0;
        // Everything is due at first: changes from before this start are in no news.
        loop {
            if app.clock.now() >= listed_until || lists.has_changed().unwrap_or(false) {
                lists.mark_unchanged();
                listed_until = app.clock.now() + self.list().await;
            }
            self.spawn_due();
            let next = self.next_due().min(listed_until);
            let mut pause = false;
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => break,
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended),
                _ = lists.changed() => listed_until = Tick::ZERO,
                change = app.engine.store().next_change(seen) => {
                    seen = change;
                    self.wake();
                    pause = true;
                }
                () = app.clock.sleep_until(next) => {}
            }
            if pause {
                app.clock.sleep(PAUSE).await;
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Reads the list; answers how long it is good for.
    async fn list(&mut self) -> Duration {
        let jobs = match jobs(&self.app).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(error = %error.0.message, "sources and webhooks cannot be listed");
                return FAULT_PAUSE;
            }
        };
        let now = self.app.clock.now();
        self.plans.retain(|job, plan| plan.running || jobs.contains(job));
        for job in jobs {
            // What was changed may be due sooner.
            self.plans
                .entry(job)
                .and_modify(|plan| plan.due = now)
                .or_insert(Plan { due: now, running: false });
        }
        LIST_AGE_MAX
    }

    fn spawn_due(&mut self) {
        let now = self.app.clock.now();
        for (job, plan) in &mut self.plans {
            if self.tasks.len() >= AT_ONCE_MAX {
                return;
            }
            if plan.running || plan.due > now {
                continue;
            }
            (plan.running, plan.due) = (true, Tick::NEVER);
            let (app, job) = (self.app.clone(), *job);
            let task = self.tasks.spawn(async move { work(&app, job).await });
            self.running.insert(task.id(), job);
        }
    }

    fn next_due(&self) -> Tick {
        if self.tasks.len() >= AT_ONCE_MAX {
            return Tick::NEVER;
        }
        let waiting = self.plans.values().filter(|plan| !plan.running);
        waiting.map(|plan| plan.due).min().unwrap_or(Tick::NEVER)
    }

    /// Something has changed in a table.
    fn wake(&mut self) {
        let now = self.app.clock.now();
        for (job, plan) in &mut self.plans {
            if !matches!(job, Job::Pull(_)) {
                plan.due = plan.due.min(now);
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Option<Tick>), JoinError>) {
        let (task, due) = match ended {
            Ok((task, due)) => (task, due),
            Err(error) => {
                tracing::error!(%error, "work on a source or webhook panicked");
                (error.id(), Some(self.app.clock.now() + FAULT_PAUSE))
            }
        };
        let job = self.running.remove(&task);
        if let Some(plan) = job.and_then(|job| self.plans.get_mut(&job)) {
            plan.running = false;
            plan.due = plan.due.min(due.unwrap_or(Tick::NEVER));
        }
    }
}

async fn jobs(app: &App) -> ApiResult<Vec<Job>> {
    let store = app.engine.store();
    let enabled = |item: &Item| item.body["enabled"] == true;
    let hooks = store.items(Hook::KIND, None).await?;
    let mut jobs: Vec<Job> =
        hooks.iter().filter(|item| enabled(item)).map(|item| Job::Hook(item.id)).collect();
    for item in store.items(Source::KIND, None).await?.into_iter().filter(enabled) {
        match serde_json::from_value::<Source>(item.body).map(|source| source.kind) {
            Ok(SourceKind::ConnectedTable { .. }) => jobs.push(Job::Connected(item.id)),
            Ok(SourceKind::ApiPull(pull)) if pull.schedule.is_some() => {
                jobs.push(Job::Pull(item.id));
            }
            _ => {}
        }
    }
    Ok(jobs)
}

/// Works on one; answers when it is due again. `None`: when something changes.
async fn work(app: &App, job: Job) -> Option<Tick> {
    match turns(app, job).await {
        Ok(due) => due,
        Err(error) => {
            let what = error.0.internal.as_deref().unwrap_or(&error.0.message);
            tracing::warn!(?job, what, "a source or webhook is held up");
            Some(app.clock.now() + FAULT_PAUSE)
        }
    }
}

async fn turns(app: &App, job: Job) -> ApiResult<Option<Tick>> {
    for _ in 0..STEPS_MAX {
        match job {
            Job::Pull(id) => {
                return Ok(pull::tick(app, id).await?.map(|due| tick_of(app, due)));
            }
            Job::Connected(id) => {
                if !connected::step(app, id).await? {
                    return Ok(None);
                }
            }
            Job::Hook(id) => match hooks::tick(app, id).await? {
                Turn::More => {}
                Turn::Idle => return Ok(None),
                Turn::Wait(due) => return Ok(Some(tick_of(app, due))),
            },
        }
    }
    Ok(Some(app.clock.now()))
}

/// When a moment of wall time will be, as far as the wall clock goes on as it does.
fn tick_of(app: &App, at: Timestamp) -> Tick {
    app.clock.now() + at.since(app.clock.wall())
}
