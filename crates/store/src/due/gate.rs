//! What holds a run back that comes after others, and what of a stretch of rows it takes.

use std::collections::BTreeSet;

use paceline_model::{ColumnId, RunId, RunOptions, RunStatus, Task};

use super::{Words, ids};

/// A run that another comes after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstream {
    pub(crate) run: RunId,
    pub(crate) column: ColumnId,
    pub(crate) status: RunStatus,
    /// Rows up to here have been claimed at least once.
    pub(crate) cursor: i64,
}

/// What holds a run back, as it stands now. Nothing of it is ever taken back: a run that is over stays so, a cursor only
/// moves on, a task that has ended does not begin again. So it may be read a little earlier than what is due.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// Whether the run comes after others at all.
    pub(crate) gated: bool,
    /// Those of them that are not over, ascending.
    pub(crate) unfinished: Vec<RunId>,
    /// The cursor may move up to here.
    pub(crate) bound: i64,
}

impl Gate {
    pub(crate) fn new(options: &RunOptions, upstream: &[Upstream]) -> Self {
        let unfinished: Vec<&Upstream> =
            upstream.iter().filter(|run| !run.status.is_final()).collect();
        Self {
            gated: !options.after.is_empty(),
            unfinished: unfinished.iter().map(|run| run.run).collect(),
            bound: unfinished.iter().map(|run| run.cursor).min().unwrap_or(i64::MAX),
        }
    }

    /// Which rows after one row and up to another are in the hands of the runs before.
    pub(crate) fn rows_sql(&self, words: Words) -> String {
        format!(
            "-- paceline: claim_tasks\nSELECT w.row_id FROM {} AS w \
             WHERE w.run_id IN ({}) AND w.row_id > {} AND w.row_id <= {}",
            words.own("_ht_tasks"),
            ids(&self.unfinished),
            words.parameter(1),
            words.parameter(2)
        )
    }
}

/// How many more cells of a run may be claimed: all of those that ended, and those that have a task, were taken.
pub(crate) fn room(first: Option<u64>, ended: u64, tasks: u64) -> usize {
    let room = first.map_or(u64::MAX, |first| first.saturating_sub(ended.saturating_add(tasks)));
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// What comes of a stretch of rows.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// To be claimed.
    pub(crate) tasks: Vec<Task>,
    /// To wait: one of the runs before is at them.
    pub(crate) waiting: Vec<i64>,
    /// Where the cursor stands then.
    pub(crate) cursor: i64,
}

/// Takes at most `max` rows of a stretch that ends at `end`: of those that are due (at most `max` were looked for), and of
/// those that runs before are at. The latter count as well, because whether they are due is not known yet.
pub(crate) fn take(due: Vec<Task>, busy: &BTreeSet<i64>, end: i64, max: usize) -> Taken {
    let mut rows = busy.clone();
    rows.extend(due.iter().map(|task| task.row.0));
    let cursor = match rows.iter().nth(max.saturating_sub(1)) {
        Some(last) => *last,
        None => end,
    };
    let taken = |row: i64| row <= cursor;
    Taken {
        tasks: due
            .into_iter()
            .filter(|task| taken(task.row.0) && !busy.contains(&task.row.0))
            .collect(),
        waiting: busy.iter().copied().filter(|row| taken(*row)).collect(),
        cursor,
    }
}

/// One step of a claim.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) claim: paceline_model::Claim,
    /// It brought nothing, but another step may at once.
    pub(crate) again: bool,
}

/// How many cells a run of scope `following` may take up at the most.
pub(crate) fn following_max(rows: u64, upstream_totals: impl Iterator<Item = u64>) -> u64 {
    rows.min(upstream_totals.fold(0, u64::saturating_add))
}
