//! A session: one user's token, one set of budgets, one watcher, any number of jobs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paceline_clock::{Clock, Random, Tick};
use paceline_governor::{Budget, Next, Outcome, TaskHistory};

use crate::budgets::Group;
use crate::client::Client;
use crate::kernels::Kernels;
use crate::perform::Performance;
use crate::projects::{Lines, Projects};
use crate::tokens::Tokens;
use crate::watcher::{Pace, Watcher};
use crate::{
    Budgets, End, Error, Host, Job, Note, Options, OptionsError, Project, ProjectPage, Run, RunId,
    RunPage, TokenSource, Waiting, Wire,
};

/// A session with Hex. Clones share everything. It needs a tokio runtime: while runs are watched, one task looks at them.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    /// What a look at a run has to pass.
    reading: [Budget; 2],
    pub(crate) client: Arc<Client>,
    pub(crate) projects: Arc<Projects>,
    /// Where its jobs wait for their project's turn, so that only one of them stands in the way of other sessions.
    pub(crate) lines: Lines,
    pub(crate) kernels: Arc<Kernels>,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) clock: Clock,
    pub(crate) began: Tick,
    random: Random,
    pub(crate) triggered: AtomicU64,
    pub(crate) ended: AtomicU64,
}

/// What is known of the projects of one Hex and of their runs. Clones share it; nothing in it depends on the token.
#[derive(Clone, Debug, Default)]
pub struct Books(Arc<Projects>);

impl Books {
    /// These runs are some job's, of this process or an earlier one: no reconcile may take one of them for another job's.
    /// The last that are told are kept the longest.
    pub fn own<'r>(&self, project: &str, runs: impl IntoIterator<Item = &'r RunId>) {
        self.0.own(project, runs);
    }

    /// These notes are on record: a reconcile must know of all of them before it takes a run for its own. `settle_span` is
    /// [`Options::settle_span`](crate::Options::settle_span).
    pub fn recall<'n>(
        &self,
        notes: impl IntoIterator<Item = &'n Note>,
        settle_span: Duration,
        clock: &Clock,
    ) {
        self.0.recall(notes, settle_span, clock);
    }
}

/// Where the runs of a session stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Runs that this session started, adopted or attached to.
    pub triggered: u64,
    /// Watched runs that wait for a kernel, or of which nothing was seen yet.
    pub pending: usize,
    /// Watched runs that go on.
    pub running: usize,
    /// Runs whose end was seen.
    pub ended: u64,
    /// In how many ms the watched runs can be looked at again, if the read limits say that it is not now.
    pub next_look_ms: Option<u64>,
}

impl Session {
    /// A session. Nothing is sent yet. `budgets` should be shared by all sessions of one Hex user.
    ///
    /// # Errors
    /// [`OptionsError`] names the setting.
    pub fn new(
        options: Options,
        budgets: Budgets,
        wire: Arc<dyn Wire>,
        tokens: Arc<dyn TokenSource>,
        clock: Clock,
        random: Random,
    ) -> Result<Self, OptionsError> {
        Self::with_books(&Books::default(), options, budgets, wire, tokens, clock, random)
    }

    /// As [`Session::new`], for one of several sessions with one Hex at a time or after another: none of them takes a run
    /// that is another one's for its own, and no two of them ask for a run of one project at once.
    ///
    /// # Errors
    /// [`OptionsError`] names the setting.
    pub fn with_books(
        books: &Books,
        options: Options,
        budgets: Budgets,
        wire: Arc<dyn Wire>,
        tokens: Arc<dyn TokenSource>,
        clock: Clock,
        random: Random,
    ) -> Result<Self, OptionsError> {
        options.check()?;
        let reading = [budgets.reads.clone(), budgets.overall.clone()];
        let client = Client::new(&options, &budgets, wire, Tokens::new(tokens), clock.clone())?;
        let client = Arc::new(client);
        let projects = Arc::clone(&books.0);
        let pace = Pace::new(options.poll_interval, &options.poll_limits, &options.overall_limits);
        let shared = (Arc::clone(&client), Arc::clone(&projects));
        let lookers = budgets.lookers();
        let watcher = Watcher::new(pace, lookers, shared, clock.clone());
        let kernels = Kernels::new(options.kernels, options.kernel_wait, clock.clone());
        let (triggered, ended) = Default::default();
        let began = clock.now();
        let inner = Inner {
            options,
            reading,
            client,
            projects,
            lines: Lines::default(),
            kernels,
            watcher,
            clock,
            began,
            random,
            triggered,
            ended,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Brings one job to its end: starts its run, once, and watches it. `note` is what is on record of it.
    ///
    /// May be dropped at any time: what is on record then leads on in the next call. After a crash, jobs with a note should be
    /// performed before jobs without, so that what is not settled is settled before anything else is sent.
    pub async fn perform(&self, job: &Job, note: Option<Note>, host: &dyn Host) -> End {
        // On the heap: an engine has many of these at once, and most of them wait.
        Box::pin(Performance::new(&self.inner, job, host).run(note)).await
    }

    /// These runs are some job's, of this process or an earlier one: no reconcile may take one of them for another job's.
    pub fn own<'r>(&self, project: &str, runs: impl IntoIterator<Item = &'r RunId>) {
        self.inner.projects.own(project, runs);
    }

    /// These notes are on record, of jobs that are about to be performed: a reconcile of one of them must know of the others
    /// before it takes a run for its own.
    pub fn recall<'n>(&self, notes: impl IntoIterator<Item = &'n Note>) {
        let settle_span = self.inner.options.settle_span();
        self.inner.projects.recall(notes, settle_span, &self.inner.clock);
    }

    /// When a job is tried again after [`EndKind::Again`](crate::EndKind::Again), by [`RetryOptions`](crate::RetryOptions).
    #[must_use]
    pub fn next_try(&self, outcome: &Outcome, history: TaskHistory) -> Next {
        self.inner.options.retry.next(outcome, history, self.inner.random.unit())
    }

    /// Where the runs of this session stand.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        let (pending, running) = self.inner.watcher.count();
        let (triggered, ended) =
            (self.inner.triggered.load(Relaxed), self.inner.ended.load(Relaxed));
        let next_look_ms = if pending + running > 0 { self.next_look_ms() } else { None };
        Gauge { triggered, pending, running, ended, next_look_ms }
    }

    /// How many of its calls wait for leave of the budgets.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.inner.client.waiting()
    }

    fn next_look_ms(&self) -> Option<u64> {
        let now = self.inner.clock.now();
        let slots = self.inner.reading.iter().filter_map(|budget| budget.status().next_slot);
        let wait = slots.max()?.since(now).as_millis();
        u64::try_from(wait).ok().filter(|wait| *wait > 0)
    }

    /// One page of the projects that the token's user sees, 100 at most; `after` is [`ProjectPage::next`] of the page before.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn projects(&self, after: Option<&str>) -> Result<ProjectPage, Error> {
        self.inner.client.projects(after).await
    }

    /// One project.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn project(&self, project: &str) -> Result<Project, Error> {
        self.inner.client.project(project).await
    }

    /// A page of 100 of the project's runs that the API started, newest first, without the first `offset`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn runs(&self, project: &str, offset: usize) -> Result<RunPage, Error> {
        self.inner.client.runs(Group::Check, project, offset).await
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run_status(&self, project: &str, run: &RunId) -> Result<Run, Error> {
        self.inner.client.run(Group::Check, project, run).await
    }

    /// Asks Hex to cancel a run. Whether it ended as KILLED or otherwise, its status tells.
    ///
    /// # Errors
    /// [`Error`]; an error of 4xx may mean that the run is over: read its status.
    pub async fn cancel(&self, project: &str, run: &RunId) -> Result<(), Error> {
        self.inner.client.cancel(project, run).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("gauge", &self.gauge()).finish_non_exhaustive()
    }
}
