//! A run of a column that calls nobody: batches of rows are read, filled and written, the next one being read and the last
//! one written while one is filled. There is no record of each task, because nothing is done that may not be done again: the
//! run's cursor moves with what is written, and a batch that was lost is filled once more.

mod stage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_model::{
    CellState, Error, Filled, FilledCells, NextCells, Result, Run, Task, TaskReport, TaskStep,
    Value, limits,
};
use tokio::sync::mpsc;

use super::{RunContext, until_recovered};
use crate::kind::Local;
use crate::task::no_value;
use stage::Stage;

/// Rows of a run's first batch: little is lost if each takes long.
const FIRST_ROWS: usize = 256;
/// A batch is to take about this long, so that a pause is heard and progress is seen.
const BATCH_TIME: Duration = Duration::from_millis(250);
/// And its values to take about so much memory; several batches are on their way at once.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Batches between two stages.
const AHEAD: usize = 1;
/// How often in a row somebody else may have moved the cursor.
const CONFLICTS_MAX: u32 = 5;

/// How a pass over the rows came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Pass {
    /// Nothing is due any more.
    Exhausted,
    /// The run has taken as many cells as it may, if none of them was left out; or it was stopped.
    Partly,
    /// The cursor was not where it was thought to be.
    Conflict,
}

/// Fills everything that is due, or as much as is filled before the run stops.
///
/// # Errors
/// The store's.
pub(super) async fn fill(ctx: &Arc<RunContext>, local: &dyn Local) -> Result<()> {
    let mut conflicts = 0;
    let size = Arc::new(BatchSize::default());
    while !ctx.is_stopped() {
        let run = ctx.store.run(ctx.run).await?;
        let Some(run) = run.filter(|run| !run.status.is_final()) else { return Ok(()) };
        let room = run.options.first.map(|first| first.saturating_sub(run.counts.ended()));
        match pass(ctx, local, room, &size).await? {
            _ if room == Some(0) => return Ok(()),
            Pass::Exhausted => return Ok(()),
            Pass::Partly => conflicts = 0,
            Pass::Conflict if conflicts == CONFLICTS_MAX => {
                let text = format!("somebody else fills the cells of run {}", ctx.run);
                return Err(Error::Conflict(text));
            }
            Pass::Conflict => conflicts += 1,
        }
    }
    Ok(())
}

/// Reads, fills and writes side by side, until nothing is due, the run stops, or a stage fails: then those before it find
/// nobody to hand on to, and end as well. Each is a task of its own, so that the store is never kept waiting for its next
/// batch by what another stage has to compute.
async fn pass(
    ctx: &Arc<RunContext>,
    local: &dyn Local,
    room: Option<u64>,
    size: &Arc<BatchSize>,
) -> Result<Pass> {
    let (read_out, fill_in) = mpsc::channel(AHEAD);
    let (fill_out, write_in) = mpsc::channel(AHEAD);
    let reader = Stage::start(read(Arc::clone(ctx), room, Arc::clone(size), read_out));
    let writer = Stage::start(write(Arc::clone(ctx), write_in));
    let filled = fill_batches(ctx, local, size, fill_in, fill_out).await;
    let (written, exhausted) = (writer.end().await, reader.end().await);
    filled?;
    let is_whole = written?;
    let exhausted = exhausted?;
    Ok(match (is_whole, exhausted && !ctx.is_stopped()) {
        (false, _) => Pass::Conflict,
        (true, true) => Pass::Exhausted,
        (true, false) => Pass::Partly,
    })
}

/// True if everything that was due has been read.
async fn read(
    ctx: Arc<RunContext>,
    room: Option<u64>,
    size: Arc<BatchSize>,
    out: mpsc::Sender<NextCells>,
) -> Result<bool> {
    let mut room = room.map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
    let mut after = None;
    while room > 0 && !ctx.is_stopped() {
        let max = size.rows().min(room);
        let columns = ctx.triage.columns();
        let ask = || ctx.store.next_cells(ctx.run, columns, after, max);
        let next = until_recovered(&ctx.clock, ask).await?;
        let exhausted = next.exhausted;
        room -= next.tasks.len().min(room);
        after = Some(next.cursor);
        if out.send(next).await.is_err() {
            return Ok(false);
        }
        if exhausted {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn fill_batches(
    ctx: &RunContext,
    local: &dyn Local,
    size: &BatchSize,
    mut inbox: mpsc::Receiver<NextCells>,
    out: mpsc::Sender<FilledCells>,
) -> Result<()> {
    while let Some(next) = inbox.recv().await {
        // What is dropped halfway is filled again when the run goes on.
        let filled = tokio::select! {
            filled = fill_batch(ctx, local, size, next) => filled?,
            () = ctx.stopped() => return Ok(()),
        };
        if out.send(filled).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn fill_batch(
    ctx: &RunContext,
    local: &dyn Local,
    size: &BatchSize,
    next: NextCells,
) -> Result<FilledCells> {
    let began = ctx.clock.now();
    let (rows, bytes) = (next.tasks.len(), bytes_of(&next.tasks));
    let sorted = ctx.triage.sort(&ctx.tools, next.tasks).await?;
    let (tasks, prints): (Vec<_>, Vec<_>) = sorted.work.into_iter().unzip();
    let values = local.fill(&ctx.tools, &ctx.column, &tasks).await;
    let mut values = values.map_err(crate::Error::into_store)?.into_iter();
    let mut cells: Vec<Filled> = sorted.ended.into_iter().filter_map(ended).collect();
    for (task, print) in tasks.iter().zip(prints) {
        let value = values.next().unwrap_or_else(|| Err(no_value()));
        let (state, value, error) = match value {
            Ok(value) => (CellState::Completed, Some(value), None),
            Err(error) => (CellState::Failed, None, Some(error)),
        };
        cells.push(Filled { row: task.row, state, value, error, fingerprint: Some(print) });
    }
    cells.sort_unstable_by_key(|cell| cell.row);
    size.learnt((rows, bytes), ctx.clock.now() - began);
    let left = rows.saturating_sub(cells.len()) as u64;
    Ok(FilledCells { after: next.after, cursor: next.cursor, cells, left })
}

/// What comes of a row for which nothing is done; `None` if its cell stays as it is.
fn ended(report: TaskReport) -> Option<Filled> {
    let TaskStep::Finish { state, value, error } = report.step else { return None };
    Some(Filled { row: report.row, state, value, error, fingerprint: report.fingerprint })
}

/// False if the cursor was not where it was thought to be.
async fn write(ctx: Arc<RunContext>, mut inbox: mpsc::Receiver<FilledCells>) -> Result<bool> {
    while let Some(filled) = inbox.recv().await {
        if ctx.is_stopped() {
            return Ok(true);
        }
        if filled.cells.is_empty() && filled.left == 0 {
            continue;
        }
        let fill = || ctx.store.fill_cells(ctx.run, filled.clone());
        match until_recovered(&ctx.clock, fill).await {
            Ok(run) => told(&ctx, &run),
            Err(Error::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The run has come further: for those who watch it, and for runs that come after it.
fn told(ctx: &RunContext, run: &Run) {
    ctx.progress.counted(run.counts);
    ctx.reported.send_replace(());
}

/// How many rows a batch has.
pub(super) struct BatchSize(Mutex<usize>);

impl Default for BatchSize {
    fn default() -> Self {
        Self(Mutex::new(FIRST_ROWS))
    }
}

impl BatchSize {
    /// Where rows come one by one, a batch begins small.
    pub(super) fn small() -> Self {
        Self(Mutex::new(FIRST_ROWS / 16))
    }

    /// At least one.
    pub(super) fn rows(&self) -> usize {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long these took. The next ones are made so that they keep to the time and the memory, and never grow fast.
    pub(super) fn learn(&self, tasks: &[Task], took: Duration) {
        self.learnt((tasks.len(), bytes_of(tasks)), took);
    }

    fn learnt(&self, (rows, bytes): (usize, usize), took: Duration) {
        let mut size = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *size = next_size((*size, rows), bytes, took);
    }
}

fn next_size((size, rows): (usize, usize), bytes: usize, took: Duration) -> usize {
    if rows == 0 {
        return size;
    }
    let by_bytes = rows as f64 * BATCH_BYTES as f64 / bytes.max(1) as f64;
    let by_time = rows as f64 * BATCH_TIME.as_secs_f64() / took.as_secs_f64().max(1e-9);
    // Casts of what is too great saturate.
    let fitting = by_bytes.min(by_time) as usize;
    fitting.min(size.saturating_mul(4)).clamp(1, limits::FILL_CELLS_MAX)
}

/// About how much memory the values of tasks take.
fn bytes_of(tasks: &[Task]) -> usize {
    tasks.iter().flat_map(|task| &task.inputs).map(value_bytes).sum()
}

fn value_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Json(json) => json_bytes(json),
            _ => 0,
        }
}

fn json_bytes(json: &serde_json::Value) -> usize {
    size_of::<serde_json::Value>()
        + match json {
            serde_json::Value::String(text) => text.len(),
            serde_json::Value::Array(items) => items.iter().map(json_bytes).sum(),
            serde_json::Value::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + json_bytes(value)).sum()
            }
            _ => 0,
        }
}

#[cfg(test)]
mod tests;
