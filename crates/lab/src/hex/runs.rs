//! The runs that there are, in bounded memory, and which jobs were started how often.

use std::collections::{HashMap, VecDeque};

use paceline_clock::Tick;

use super::run::Run;
use super::stats::HexStats;
use crate::stats::KeyHash;

/// The most runs that are remembered; beyond that the earliest are forgotten, and asking for one answers 404.
pub const HEX_RUNS_MAX: usize = 20_000;
/// The most jobs (project, view and inputs) that are told apart.
pub const HEX_JOBS_MAX: usize = 200_000;
/// The longest inputs of a run that are remembered, as JSON; and the longest notifications.
pub const HEX_PARAMS_BYTES_MAX: usize = 4 * 1024;

/// Every run, the earliest first.
#[derive(Debug)]
pub(super) struct Runs {
    runs: VecDeque<Run>,
    /// How many were forgotten: the number of the first that is left.
    forgotten: u64,
    by_id: HashMap<String, u64>,
    /// The numbers of each project's runs, the earliest first.
    by_project: Vec<VecDeque<u64>>,
    jobs: HashMap<KeyHash, u32>,
    jobs_not_kept: u64,
    double_started: u64,
}

impl Runs {
    pub(super) fn new(projects: usize) -> Self {
        Self {
            runs: VecDeque::new(),
            forgotten: 0,
            by_id: HashMap::new(),
            by_project: vec![VecDeque::new(); projects],
            jobs: HashMap::new(),
            jobs_not_kept: 0,
            double_started: 0,
        }
    }

    pub(super) fn add(&mut self, run: Run) {
        if self.runs.len() >= HEX_RUNS_MAX
            && let Some(oldest) = self.runs.pop_front()
        {
            self.forgotten += 1;
            self.by_id.remove(&oldest.id);
            self.by_project[oldest.project].pop_front();
        }
        let number = self.forgotten + self.runs.len() as u64;
        self.by_id.insert(run.id.clone(), number);
        self.by_project[run.project].push_back(number);
        self.runs.push_back(run);
    }

    /// Counts a start of a job.
    pub(super) fn started(&mut self, job: &str) {
        let key = KeyHash::of(job.as_bytes());
        let has_room = self.jobs.len() < HEX_JOBS_MAX;
        match self.jobs.get_mut(&key) {
            Some(times) => {
                self.double_started += u64::from(*times == 1);
                *times = times.saturating_add(1);
            }
            None if has_room => {
                self.jobs.insert(key, 1);
            }
            None => self.jobs_not_kept += 1,
        }
    }

    /// A run of a project.
    pub(super) fn get_mut(&mut self, project: usize, id: &str) -> Option<&mut Run> {
        let place = usize::try_from(self.by_id.get(id)? - self.forgotten).ok()?;
        self.runs.get_mut(place).filter(|run| run.project == project)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// The runs of a project that are listed at `now`, the newest first.
    pub(super) fn listed(&self, project: usize, now: Tick) -> impl Iterator<Item = &Run> {
        let run = |number: &u64| self.runs.get(usize::try_from(number - self.forgotten).ok()?);
        let newest_first = self.by_project[project].iter().rev().filter_map(run);
        newest_first.filter(move |run| run.listed_from <= now)
    }

    /// Whether a run of a project goes on at `now`, listed or not, whoever started it.
    pub(super) fn goes_on(&self, project: usize, now: Tick) -> bool {
        self.iter().any(|run| run.project == project && !run.status(now).is_terminal())
    }

    /// How many of the user's runs hold a kernel or wait for one at `now`.
    pub(super) fn kernels(&self, now: Tick) -> usize {
        self.iter().filter(|run| !run.is_foreign && !run.status(now).is_terminal()).count()
    }

    /// Puts into `stats` what is known here.
    pub(super) fn tell(&self, stats: &mut HexStats) {
        stats.jobs = self.jobs.len() as u64;
        stats.jobs_not_kept = self.jobs_not_kept;
        stats.double_started = self.double_started;
        stats.runs_forgotten = self.forgotten;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hex::run::{HexStatus, Plan, Trigger};

    fn run(number: usize, project: usize) -> Run {
        Run {
            id: format!("run {number}"),
            project,
            trigger: Trigger::Api,
            is_foreign: false,
            params: None,
            notifications: Vec::new(),
            created_at: Tick::ZERO,
            listed_from: Tick::ZERO,
            plan: Plan::new(Tick::ZERO, Duration::ZERO, Duration::ZERO, HexStatus::Completed),
            completes_on_cancel: false,
            is_cancelled: false,
            is_end_told: false,
        }
    }

    #[test]
    fn beyond_the_bound_the_earliest_are_forgotten_and_the_others_are_found() {
        let mut runs = Runs::new(2);
        for number in 0..HEX_RUNS_MAX + 7 {
            runs.add(run(number, number % 2));
        }
        assert_eq!(runs.iter().count(), HEX_RUNS_MAX);
        assert!(runs.get_mut(0, "run 6").is_none());
        assert_eq!(runs.get_mut(1, "run 7").unwrap().id, "run 7");
        assert!(runs.get_mut(0, "run 7").is_none(), "it is a run of the other project");
        let last = format!("run {}", HEX_RUNS_MAX + 6);
        assert_eq!(runs.listed(0, Tick::ZERO).next().unwrap().id, last);
        assert_eq!(runs.listed(0, Tick::ZERO).last().unwrap().id, "run 8");
    }

    #[test]
    fn a_job_that_is_started_often_is_double_once() {
        let mut runs = Runs::new(1);
        for job in ["a", "b", "a", "a", "c"] {
            runs.started(job);
        }
        let mut stats = HexStats::default();
        runs.tell(&mut stats);
        assert_eq!((stats.jobs, stats.double_started), (3, 1));
    }
}
