//! Which run is looked at next, and when: pure, the time is an argument.
//!
//! Two runs or more of one project are looked at with one listing. One look follows another no sooner than the read limits
//! allow with room to spare, and a run is looked at again when all others had their turn: however many runs there are, the
//! reads stay inside the limits. Where several sessions look with the same limits, each leaves the others their part.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::Limit;
use tokio::sync::watch;

use super::News;
use crate::{Run, RunId, RunStatus};

/// The share of the read limits that the watcher uses; the rest is for checks, baselines and reconciles.
const READ_SHARE: f64 = 0.8;
/// Its share of the overall limits: triggers and cancels must never wait for looks.
const OVERALL_SHARE: f64 = 0.5;
/// After looks that failed a run is looked at up to so many times more rarely.
const BACKOFF_MAX: u32 = 16;

/// How often to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// From one look at a run to the next, at least.
    pub(crate) interval: Duration,
    /// From one look to the next, at least.
    pub(crate) gap: Duration,
}

impl Pace {
    pub(crate) fn new(interval: Duration, reads: &[Limit], overall: &[Limit]) -> Self {
        let gap = |limit: &Limit, share: f64| {
            limit.window().div_f64(f64::from(limit.count().max(1)) * share)
        };
        let reads = reads.iter().map(|limit| gap(limit, READ_SHARE));
        let overall = overall.iter().map(|limit| gap(limit, OVERALL_SHARE));
        Self { interval, gap: reads.chain(overall).max().unwrap_or_default() }
    }
}

/// One look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// At these runs of one project, with a listing.
    List(String, Vec<RunId>),
    /// At one run.
    Status(String, RunId),
}

impl Target {
    fn runs(&self) -> (&str, &[RunId]) {
        match self {
            Self::List(project, runs) => (project, runs),
            Self::Status(project, run) => (project, std::slice::from_ref(run)),
        }
    }
}

/// Everything that is watched.
#[derive(Debug)]
pub(crate) struct Board {
    pace: Pace,
    /// How many boards there are with the same limits.
    sharers: u32,
    projects: BTreeMap<String, BTreeMap<RunId, Watched>>,
    last: Option<Tick>,
}

#[derive(Debug)]
struct Watched {
    due: Tick,
    under_way: bool,
    /// The last listing did not show it: it is new, older than a page, or the listing cannot be had.
    missed: bool,
    failures: u32,
    running: bool,
    /// Jobs that wait for it.
    jobs: usize,
    news: watch::Sender<News>,
}

impl Board {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, sharers: 1, projects: BTreeMap::new(), last: None }
    }

    /// So many boards, this one among them, look with the same limits.
    pub(crate) fn share(&mut self, sharers: u32) {
        self.sharers = sharers.max(1);
    }

    /// From one look to the next.
    fn gap(&self) -> Duration {
        self.pace.gap.saturating_mul(self.sharers)
    }

    /// A job waits for news of this run, the first ones from `due` on.
    pub(crate) fn join(&mut self, project: &str, run: &RunId, due: Tick) -> watch::Receiver<News> {
        let runs = self.projects.entry(project.to_owned()).or_default();
        let watched = runs.entry(run.clone()).or_insert_with(|| Watched {
            due,
            under_way: false,
            missed: false,
            failures: 0,
            running: false,
            jobs: 0,
            news: watch::Sender::new(News::None),
        });
        watched.jobs += 1;
        watched.due = watched.due.min(due);
        watched.news.subscribe()
    }

    /// A job does not wait any more.
    pub(crate) fn leave(&mut self, project: &str, run: &RunId) {
        let Some(runs) = self.projects.get_mut(project) else { return };
        if let Some(watched) = runs.get_mut(run) {
            watched.jobs -= 1;
            if watched.jobs == 0 {
                runs.remove(run);
            }
        }
        if runs.is_empty() {
            self.projects.remove(project);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// How many wait for a kernel (or were not seen yet), and how many run.
    pub(crate) fn count(&self) -> (usize, usize) {
        let all = self.projects.values().flat_map(BTreeMap::values);
        let running = all.clone().filter(|watched| watched.running).count();
        (all.count() - running, running)
    }

    /// The next look and its time, of those that are not under way.
    pub(crate) fn next(&self) -> Option<(Tick, Target)> {
        let (due, target) = self.targets().min_by_key(|(due, _)| *due)?;
        let spaced = self.last.map_or(Tick::ZERO, |last| last + self.gap());
        Some((due.max(spaced), target))
    }

    fn targets(&self) -> impl Iterator<Item = (Tick, Target)> {
        self.projects.iter().flat_map(|(project, runs)| targets_of(project, runs))
    }

    /// The look begins.
    pub(crate) fn begin(&mut self, target: &Target, now: Tick) {
        self.last = Some(now);
        self.each(target, |_, watched| watched.under_way = true);
    }

    /// The look brought these runs.
    pub(crate) fn seen(&mut self, target: &Target, runs: &[Run], now: Tick) {
        let again = now + self.interval();
        let listing = matches!(target, Target::List(..));
        self.each(target, |id, watched| {
            watched.under_way = false;
            watched.failures = 0;
            watched.due = again;
            let found = runs.iter().find(|run| run.run_id == *id);
            watched.missed = listing && found.is_none();
            if let Some(run) = found {
                watched.running = run.status == RunStatus::Running;
                watched.news.send_replace(News::Seen(run.clone()));
            } else if listing {
                // Nobody looked at it: by itself, and soon.
                watched.due = now;
            }
        });
    }

    /// A listing brought nothing and will not do so soon: each of its runs is looked at by itself.
    pub(crate) fn alone(&mut self, target: &Target, now: Tick) {
        self.each(target, |_, watched| {
            watched.under_way = false;
            watched.missed = true;
            watched.due = now;
        });
    }

    /// The look failed; `gone` says that Hex knows no such run, or does not show it.
    pub(crate) fn failed(&mut self, target: &Target, gone: Option<&str>, now: Tick) {
        let interval = self.interval();
        self.each(target, |_, watched| {
            watched.under_way = false;
            watched.failures = watched.failures.saturating_add(1);
            let factor = 1_u32.checked_shl(watched.failures.saturating_sub(1)).unwrap_or(u32::MAX);
            watched.due = now + interval.saturating_mul(factor.min(BACKOFF_MAX));
            if let Some(message) = gone {
                watched.news.send_replace(News::Gone(message.to_owned()));
            }
        });
    }

    /// Nobody can look at anything: every job is told.
    pub(crate) fn no_credentials(&mut self, message: &str, now: Tick) {
        let again = now + self.interval();
        for watched in self.projects.values_mut().flat_map(BTreeMap::values_mut) {
            watched.under_way = false;
            watched.due = again;
            watched.news.send_replace(News::NoCredentials(message.to_owned()));
        }
    }

    /// From one look at a run to the next, so that all get their turn.
    fn interval(&self) -> Duration {
        let targets: usize = self.projects.values().map(count_targets).sum();
        let turn = self.gap().saturating_mul(u32::try_from(targets).unwrap_or(u32::MAX));
        self.pace.interval.max(turn)
    }

    fn each(&mut self, target: &Target, mut act: impl FnMut(&RunId, &mut Watched)) {
        let (project, ids) = target.runs();
        let Some(runs) = self.projects.get_mut(project) else { return };
        for id in ids {
            if let Some(watched) = runs.get_mut(id) {
                act(id, watched);
            }
        }
    }
}

fn targets_of<'a>(
    project: &'a str,
    runs: &'a BTreeMap<RunId, Watched>,
) -> impl Iterator<Item = (Tick, Target)> + 'a {
    let idle = |watched: &&Watched| !watched.under_way;
    let listed: Vec<_> = runs.iter().filter(|(_, w)| !w.missed && idle(w)).collect();
    let listing = (listed.len() > 1).then(|| {
        let due = listed.iter().map(|(_, watched)| watched.due).min().unwrap_or(Tick::NEVER);
        let ids = listed.iter().map(|(id, _)| (*id).clone()).collect();
        (due, Target::List(project.to_owned(), ids))
    });
    let single = move |watched: &Watched, several: bool| watched.missed || !several;
    let several = listing.is_some();
    let singles = runs
        .iter()
        .filter(move |(_, watched)| idle(watched) && single(watched, several))
        .map(|(id, watched)| (watched.due, Target::Status(project.to_owned(), id.clone())));
    listing.into_iter().chain(singles)
}

/// Looks that one project takes per turn.
fn count_targets(runs: &BTreeMap<RunId, Watched>) -> usize {
    let missed = runs.values().filter(|watched| watched.missed).count();
    missed + usize::from(missed < runs.len())
}

#[cfg(test)]
mod tests;
