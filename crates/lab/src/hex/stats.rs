//! What the simulated Hex saw: the judge's own count.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::LimitStats;

/// What a simulated Hex has seen since it started or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HexStats {
    /// RunProject against its own limits.
    pub runs: HexGroupStats,
    /// GetProject, GetProjectRuns and GetRunStatus against theirs.
    pub reads: HexGroupStats,
    /// Every call against the limits of all.
    pub overall: HexGroupStats,
    /// Calls that any limits refused, faults that look like it not included.
    pub refused: u64,
    /// Calls without a good token, which no limit counts.
    pub unauthorized: u64,
    /// Calls that passed the limits, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// Runs that the user started.
    pub started: u64,
    /// The same, by project.
    pub started_per_project: BTreeMap<String, u64>,
    /// Distinct jobs: project, view and inputs. At most [`HEX_JOBS_MAX`](crate::HEX_JOBS_MAX) are told apart.
    pub jobs: u64,
    /// Starts of jobs that are not told apart any more.
    pub jobs_not_kept: u64,
    /// How many jobs were started more than once.
    pub double_started: u64,
    /// Dry runs: answered, never run.
    pub dry_runs: u64,
    /// Runs that were cancelled while they went on.
    pub cancelled: u64,
    /// Runs that others started.
    pub foreign: u64,
    /// Starts that were answered 503 because every kernel was busy.
    pub kernels_refused: u64,
    /// The most of the user's runs that were PENDING or RUNNING at a start.
    pub kernels_busiest: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// When the first run was started, in ms since the lab started.
    pub first_start_ms: Option<u64>,
    /// When the latest run was started, in ms since the lab started.
    pub last_start_ms: Option<u64>,
    /// Runs that were forgotten because there were more than [`HEX_RUNS_MAX`](crate::HEX_RUNS_MAX).
    pub runs_forgotten: u64,
    /// The runs, in the order of their starts.
    pub run_list: Vec<HexRun>,
}

/// What a group of calls saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HexGroupStats {
    /// Calls that passed the limits, whatever became of them.
    pub accepted: u64,
    /// Calls that these limits refused.
    pub refused: u64,
    /// What each limit saw.
    pub limits: Vec<LimitStats>,
}

/// One run as the judge sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HexRun {
    /// Its id.
    pub run_id: String,
    /// Its project's id.
    pub project_id: String,
    /// Its inputs; none if they were longer than [`HEX_PARAMS_BYTES_MAX`](crate::HEX_PARAMS_BYTES_MAX).
    pub input_params: Option<Value>,
    /// Where it stands.
    pub status: &'static str,
    /// What started it: `API` or `SCHEDULED`.
    pub trigger: &'static str,
    /// Whether somebody else started it.
    pub foreign: bool,
    /// Whether it was cancelled while it went on.
    pub cancelled: bool,
    /// When it was started, in ms since the lab started.
    pub started_at_ms: u64,
    /// When it ended, if it has.
    pub ended_at_ms: Option<u64>,
    /// Whether an answer to GetRunStatus or GetProjectRuns has told how it ended.
    pub end_told: bool,
}
