//! The budgets of one Hex user, and what passes which: a trigger passes its own and the overall one, a read its own and the
//! overall one, everything else the overall one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use paceline_clock::Clock;
use paceline_governor::{
    Ask, BreakerConfig, Budget, BudgetConfig, ConfigError, Gates, Guard, Limit, Permit, Priority,
    Refused,
};

use crate::Options;

/// What kind of call it is: which limits hold for it, and how urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// RunProject.
    Trigger,
    /// A read that somebody waits for: a project, a baseline, a reconcile.
    Check,
    /// A read of the watcher's.
    Poll,
    /// CancelRun.
    Cancel,
    /// ListProjects.
    Projects,
}

/// The budgets of one Hex user. Clones share them; sessions of one user should, each [in its own turn](Budgets::in_turn).
#[derive(Clone, Debug)]
pub struct Budgets {
    /// RunProject.
    pub triggers: Budget,
    /// GetRunStatus, GetProjectRuns, GetProject.
    pub reads: Budget,
    /// Everything.
    pub overall: Budget,
    /// Whose turn calls use where several sessions wait.
    turn: u64,
    lookers: Lookers,
}

/// How many sessions with the same budgets look at runs now: each leaves the others their part of the reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookers(Arc<AtomicU32>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Looker(Lookers);

impl Lookers {
    pub(crate) fn join(&self) -> Looker {
        self.0.fetch_add(1, Ordering::Relaxed);
        Looker(self.clone())
    }
}

impl Looker {
    /// How many there are, this one among them.
    pub(crate) fn count(&self) -> u32 {
        self.0.0.load(Ordering::Relaxed)
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budgets {
    /// Budgets with the limits of `options` that nothing was spent of.
    ///
    /// # Errors
    /// If a budget cannot have so many limits.
    pub fn new(options: &Options, clock: &Clock) -> Result<Self, ConfigError> {
        let mut triggers = options.trigger_limits.clone();
        // A spacing is a limit like any other, and so the vendor sees it kept whatever the network does.
        triggers.extend(options.min_spacing.and_then(|spacing| Limit::new(1, spacing).ok()));
        let budget = |limits: Vec<Limit>| Budget::new(config(limits), clock.clone());
        Ok(Self {
            triggers: budget(triggers)?,
            reads: budget(options.poll_limits.clone())?,
            overall: budget(options.overall_limits.clone())?,
            turn: 0,
            lookers: Lookers::default(),
        })
    }

    /// The same budgets for one of several sessions that take turns, as fairly as calls of one kind can: `key` tells it from
    /// the others.
    #[must_use]
    pub fn in_turn(&self, key: u64) -> Self {
        Self { turn: key, ..self.clone() }
    }

    pub(crate) fn lookers(&self) -> Lookers {
        self.lookers.clone()
    }

    /// Hex's own limits: 20/min and 60/h for triggers, 30/min and 1800/h for reads, 60/min overall.
    ///
    /// # Errors
    /// None that the defaults could bring about.
    pub fn default_limits(clock: &Clock) -> Result<Self, ConfigError> {
        Self::new(&Options::default(), clock)
    }
}

/// Strict: Hex's windows are long beside any network, and what a bound might gain is not worth one 429. No breaker: what
/// a failed call means is decided here, job by job.
fn config(limits: Vec<Limit>) -> BudgetConfig {
    let breaker = BreakerConfig {
        failure_ratio: 1.0,
        credentials_refused_max: u32::MAX,
        ..BreakerConfig::default()
    };
    BudgetConfig { guard: Guard::Strict, breaker, ..BudgetConfig::new(limits) }
}

/// Calls of one session that wait for leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// To start a run.
    pub triggers: usize,
    /// To look at one, at a project or at its runs.
    pub reads: usize,
    /// To cancel a run, or to list the projects: only the limits of everything hold for these.
    pub others: usize,
}

/// The gates that calls pass.
#[derive(Debug)]
pub(crate) struct Doors {
    triggers: Gates,
    reads: Gates,
    overall: Budget,
    turn: u64,
    waiting: [AtomicUsize; 3],
}

/// One who waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn at(line: &'a AtomicUsize) -> Self {
        line.fetch_add(1, Ordering::Relaxed);
        Self(line)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Doors {
    pub(crate) fn new(budgets: &Budgets) -> Self {
        let Budgets { triggers, reads, overall, turn, .. } = budgets;
        Self {
            triggers: taught(triggers, overall),
            reads: taught(reads, overall),
            overall: overall.clone(),
            turn: *turn,
            waiting: Default::default(),
        }
    }

    /// Leave for one call. What is urgent overtakes: cancels and triggers before checks before polls.
    pub(crate) async fn pass(&self, group: Group) -> Result<Permit, Refused> {
        let priority = match group {
            Group::Trigger | Group::Cancel => Priority::High,
            Group::Check | Group::Projects => Priority::Normal,
            Group::Poll => Priority::Low,
        };
        let ask = Ask::new().priority(priority).turn(self.turn, 1);
        let [triggers, reads, others] = &self.waiting;
        let _waits = Waits::at(match group {
            Group::Trigger => triggers,
            Group::Check | Group::Poll => reads,
            Group::Cancel | Group::Projects => others,
        });
        match group {
            Group::Trigger => self.triggers.acquire_with(ask).await,
            Group::Check | Group::Poll => self.reads.acquire_with(ask).await,
            Group::Cancel | Group::Projects => self.overall.acquire_with(ask).await,
        }
    }
}

impl Doors {
    /// How many calls wait.
    pub(crate) fn waiting(&self) -> Waiting {
        let [triggers, reads, others] =
            [0, 1, 2].map(|at| self.waiting.get(at).map_or(0, |line| line.load(Ordering::Relaxed)));
        Waiting { triggers, reads, others }
    }
}

/// Calls wait in their group's line first, so that one who waits an hour for the triggers' limit is in nobody's way; but a
/// 429 teaches the group, so that a poll's pauses polls and not the triggers. The governor waits in the order of the first
/// use and teaches the second of two gates; hence the two lines.
fn taught(group: &Budget, overall: &Budget) -> Gates {
    let _waits_in_this_order = Gates::new(group.clone(), overall.clone());
    Gates::new(overall.clone(), group.clone())
}
