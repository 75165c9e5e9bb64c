//! A session: one user's token, one set of budgets, one watcher, any number of jobs.

use std::sync::Arc;

use paceline_clock::{Clock, Random};

use crate::{Budgets, End, EndKind, Host, Job, Note, Options, OptionsError, TokenSource, Wire};

/// A session. Clones share everything.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
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
}

impl Session {
    /// A session. Nothing is sent yet.
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
        options.check()?;
        let _ = (budgets, wire, tokens, clock, random);
        Ok(Self { inner: Arc::new(Inner { options }) })
    }

    /// Brings one job to its end: starts its run, once, and watches it. `note` is what is on record of it.
    ///
    /// May be dropped at any time; what is on record then leads on. Jobs with a note should be performed before jobs
    /// without.
    pub async fn perform(&self, job: &Job, note: Option<Note>, host: &dyn Host) -> End {
        let _ = (job, host, &self.inner.options);
        End { kind: EndKind::Stopped, post: None, note }
    }

    /// Where the runs of this session stand.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::default()
    }
}
