//! What a replay came to, beside what the recorded run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_model::{CellState, RowId, RowQuery, Run, RunStatus, limits};
use serde::Serialize;
use serde_json::Value as Json;

use super::answers::Answers;
use super::stage::Stage;
use crate::recording::Recording;
use crate::task::NOT_RECORDED;
use crate::{Engine, Result};

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Rows that were played.
    pub rows: u64,
    /// Cells that ended as they did then.
    pub same: u64,
    /// Cells that ended otherwise, or that only one of the two runs brought to an end.
    pub different: Vec<Difference>,
    /// How many of them have no answer in the recording.
    pub not_recorded: u64,
    /// Cells that neither run brought to an end, because both stopped before.
    pub unfinished: u64,
    /// Rows that were not played: their fate hung on other columns or on earlier runs.
    pub left_out: u64,
    /// Calls that were made,
    pub calls: u64,
    /// of these refused by the vendor for their rate,
    pub refused: u64,
    /// and how long the run would have taken.
    pub elapsed: Duration,
    /// The same of the recorded run.
    pub calls_then: u64,
    /// See [`Report::refused`].
    pub refused_then: u64,
    /// See [`Report::elapsed`]; pauses count.
    pub elapsed_then: Duration,
    /// Calls of the recording that were not made now.
    pub calls_unused: u64,
    /// How the run ended.
    pub status: RunStatus,
    /// Why, if it stopped before its end.
    pub reason: Option<String>,
    /// How the recorded run ended; none if its process was killed.
    pub status_then: Option<RunStatus>,
}

/// A cell that ended otherwise than it did then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The recorded id of its row.
    pub row: RowId,
    /// How it ended then.
    pub then: Option<Ending>,
    /// How it ends now.
    pub now: Option<Ending>,
    /// Calls made for it then,
    pub calls_then: u64,
    /// and now.
    pub calls: u64,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ending {
    /// How far it came.
    pub state: CellState,
    /// Its value.
    #[serde(skip_serializing_if = "Json::is_null")]
    pub value: Json,
    /// The code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the error says. Ends that differ in nothing else are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Ending {
    fn is_like(&self, other: &Self) -> bool {
        (self.state, &self.value, &self.error) == (other.state, &other.value, &other.error)
    }
}

impl Report {
    /// Whether every cell ended as it did then.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different.is_empty()
    }
}

pub(super) async fn made(
    engine: &Engine,
    recording: &Recording,
    stage: &Stage,
    answers: &Answers,
    run: Run,
    elapsed: Duration,
) -> Result<Report> {
    let now = endings(engine, stage).await?;
    let calls_then = calls_by_row(recording);
    let mut report = Report {
        rows: stage.rows.len() as u64,
        same: 0,
        different: Vec::new(),
        not_recorded: 0,
        unfinished: 0,
        left_out: stage.left_out,
        calls: run.counts.calls,
        refused: run.counts.throttled,
        elapsed,
        calls_then: recording.calls.iter().filter(|call| call.sent).count() as u64,
        refused_then: recording.refused(),
        elapsed_then: recording.elapsed(),
        calls_unused: answers.unused(),
        status: run.status,
        reason: run.reason,
        status_then: recording.end.as_ref().map(|end| end.status),
    };
    for row in &stage.rows {
        let then = recording.cells.get(row).map(|cell| Ending {
            state: cell.state,
            value: cell.value.clone(),
            error: cell.error.clone(),
            message: cell.message.clone(),
        });
        let now = now.get(row).cloned();
        match (&then, &now) {
            (None, None) => report.unfinished += 1,
            (Some(then), Some(now)) if then.is_like(now) => report.same += 1,
            _ => {
                let error = now.as_ref().and_then(|now| now.error.as_deref());
                report.not_recorded += u64::from(error == Some(NOT_RECORDED));
                let calls_then = calls_then.get(row).copied().unwrap_or_default();
                let calls = answers.asked(*row);
                report.different.push(Difference { row: *row, then, now, calls_then, calls });
            }
        }
    }
    Ok(report)
}

fn calls_by_row(recording: &Recording) -> BTreeMap<RowId, u64> {
    let mut calls = BTreeMap::new();
    for call in &recording.calls {
        *calls.entry(call.row).or_default() += 1;
    }
    calls
}

/// How the cells of the replay's table ended, by the recorded ids of their rows.
async fn endings(engine: &Engine, stage: &Stage) -> Result<BTreeMap<RowId, Ending>> {
    let mut all = BTreeMap::new();
    let mut after = RowId(0);
    loop {
        let query = RowQuery {
            columns: vec![stage.column_id],
            after,
            limit: limits::INSERT_ROWS_MAX,
            ..RowQuery::of(stage.table.id)
        };
        let rows = engine.store().rows(query).await?;
        let Some(last) = rows.last().map(|row| row.id) else { return Ok(all) };
        let cells = engine.store().cells(stage.column_id, RowId(after.0 + 1), last).await?;
        let mut values: BTreeMap<RowId, Json> = rows
            .into_iter()
            .filter_map(|row| Some((row.id, row.values.into_iter().next()?.to_json())))
            .collect();
        for cell in cells {
            let recorded = usize::try_from(cell.row.0 - 1).ok().and_then(|at| stage.rows.get(at));
            let Some(recorded) = recorded else { continue };
            let value = values.remove(&cell.row).filter(|_| cell.state == CellState::Completed);
            let (error, message) =
                cell.error.map_or((None, None), |error| (Some(error.code), Some(error.message)));
            let value = value.unwrap_or_default();
            all.insert(*recorded, Ending { state: cell.state, value, error, message });
        }
        after = last;
    }
}
