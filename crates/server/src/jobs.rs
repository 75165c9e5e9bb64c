//! Imports and exports: jobs that go on behind the call that asked for them, and at the next start if this one is cut short.
//!
//! A job is an item of the registry. An import writes each batch of rows and how far it has come in one transaction, so
//! that whatever kills the process, a batch is in the table once or not at all. An export begins anew: its file is whole or
//! not there.

mod batch;
mod body;
mod export;
mod files;
mod import;
mod inline;
mod links;
mod mapping;
mod read;
mod recordings;
mod routes;
mod sweep;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_model::{Item, limits};
use tokio::sync::{Notify, Semaphore};

use crate::App;
use crate::error::{ApiError, Code, Result};

pub(crate) use body::{Job, JobStatus, KIND, Work};
pub(crate) use export::{Export, ExportPlan};
pub(crate) use files::{Files, Upload};
pub(crate) use import::ImportPlan;
pub(crate) use inline::{stream, text};
pub(crate) use links::{Link, Links, link};
pub(crate) use mapping::{Asked, Told, map};
pub(crate) use read::header;
pub use recordings::recordings;
pub(crate) use routes::{guarded, open};

/// How long to wait with a database that is held up.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What is known of jobs besides the registry.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Wakes the workers.
    wake: Notify,
    /// The jobs that a worker of this process has taken.
    taken: Mutex<HashSet<i64>>,
    /// Places for uploads.
    pub(crate) uploads: Semaphore,
    pub(crate) links: Links,
    /// Tells the uploads of this start from those that an earlier one left behind.
    pub(crate) start: String,
}

impl Jobs {
    pub(crate) fn new(links: Links, random: &paceline_clock::Random) -> Self {
        let uploads = Semaphore::new(limits::UPLOADS_AT_ONCE_MAX);
        let start = format!("{:016x}", random.next_u64());
        Self { wake: Notify::new(), taken: Mutex::default(), uploads, links, start }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a job of this table's and sets it to work.
///
/// # Errors
/// Too many wait already, or the store's.
pub(crate) async fn submit(app: &App, table: &paceline_model::Table, job: Job) -> Result<Item> {
    let store = app.engine.store();
    let jobs = store.items(KIND, None).await?;
    let open = jobs.iter().filter_map(|item| Job::of(item).ok()).filter(|job| !job.status.ended());
    if open.count() >= limits::JOBS_OPEN_MAX {
        let message = format!("{} imports and exports wait already", limits::JOBS_OPEN_MAX);
        let error = ApiError::new(Code::Conflict, message);
        return Err(error.fix("wait until some of them have ended, or cancel some"));
    }
    let mut bytes = [0; 8];
    app.random.fill(&mut bytes);
    let name = format!("{}-{:016x}", job.work.as_str(), u64::from_le_bytes(bytes));
    let new =
        paceline_model::NewItem { kind: KIND, table: Some(table.id), name, body: job.to_json()? };
    let item = store.create_item(new).await?;
    app.jobs.wake.notify_waiters();
    Ok(item)
}

/// Ends a job; what it has done stays.
///
/// # Errors
/// It has ended already, or the store's.
pub(crate) async fn cancel(app: &App, id: i64) -> Result<Item> {
    let store = app.engine.store();
    loop {
        let item = find(app, id).await?;
        let mut job = Job::of(&item)?;
        if job.status.ended() {
            let message = format!("job {id} is {} already", job.status.as_str());
            return Err(ApiError::new(Code::Conflict, message).fix("leave it; it has ended"));
        }
        job.end(app, JobStatus::Cancelled, Some("it was cancelled".to_owned()));
        match store.update_item(KIND, id, item.version, job.to_json()?).await {
            // The worker has come a batch further meanwhile: look again.
            Err(paceline_model::Error::Conflict(_)) => {}
            other => return Ok(other?),
        }
    }
}

/// The job of that id.
///
/// # Errors
/// There is none, or the store's.
pub(crate) async fn find(app: &App, id: i64) -> Result<Item> {
    app.engine.store().item(KIND, id).await?.ok_or_else(|| {
        let hint = crate::envelope::Hint::new("list_jobs", "see which jobs there are");
        ApiError::new(Code::NotFound, format!("there is no job {id}")).hint(hint)
    })
}

/// Works on jobs until it is dropped: those that an earlier process left behind first.
pub(crate) async fn work(app: &App) {
    let Some(files) = Files::of(app) else { return std::future::pending().await };
    sweep::at_start(app, &files).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..limits::JOBS_AT_WORK_MAX {
        let (app, files) = (app.clone(), files.clone());
        workers.spawn(async move { serve(&app, &files).await });
    }
    sweep::forever(app, &files).await;
}

/// One worker.
async fn serve(app: &App, files: &Files) {
    loop {
        let woken = app.jobs.wake.notified();
        tokio::pin!(woken);
        // From here on nobody calls in vain, also while the jobs are being read.
        woken.as_mut().enable();
        match take(app).await {
            Ok(Some(item)) => {
                let id = item.id;
                run(app, files, item).await;
                app.jobs.taken().remove(&id);
            }
            Ok(None) => woken.await,
            Err(error) => {
                tracing::warn!(?error, "the jobs cannot be read");
                app.clock.sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// The oldest job that nobody works on.
async fn take(app: &App) -> Result<Option<Item>> {
    let items = app.engine.store().items(KIND, None).await?;
    let mut taken = app.jobs.taken();
    for item in items {
        let open = Job::of(&item).is_ok_and(|job| !job.status.ended());
        if open && taken.insert(item.id) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

async fn run(app: &App, files: &Files, item: Item) {
    let id = item.id;
    let done = match Job::of(&item).map(|job| job.work) {
        Ok(Work::Import(plan)) => import::run(app, files, item, plan).await,
        Ok(Work::Export(plan)) => export::run(app, files, item, plan).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        // The registry does not answer, or the job is gone with its table. It is taken up again at the next start.
        tracing::warn!(job = id, error = %error.0.message, internal = ?error.0.internal, "a job stopped");
    }
}

/// Runs `work`, which blocks, on a thread for that. Virtual time stands still meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let _busy = app.clock.busy();
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::internal(format!("a thread of a job ended: {error}")))
}
