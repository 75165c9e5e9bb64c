//! Recordings of runs: fetched to be replayed, and deleted.

use paceline_model::{RunId, RunStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::runs;
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::jobs::{self, Files, Link, blocking};

#[derive(Debug, Deserialize)]
pub(crate) struct OfRun {
    run: RunId,
}

/// The recording of a run: every call and how each cell ended, without secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordingView {
    run: RunId,
    /// As long as the run is at work, the file grows.
    status: RunStatus,
    /// JSON lines, for `paceline replay FILE`.
    file: Link,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordingDeleted {
    run: RunId,
}

pub(crate) async fn get(app: App, input: OfRun) -> Result<Outcome<RecordingView>> {
    let run = runs::find(&app, input.run).await?;
    let files = Files::needed(&app)?;
    let name = Files::recording(&run);
    let path = files.path(&name);
    let found = blocking(&app, move || path.metadata()).await?;
    let bytes = found.map_err(|_| none(run.id))?.len();
    let expires = app.clock.wall() + app.config.limits.file_link_lifetime;
    let file = jobs::link(&app, &name, expires, Some(bytes));
    Ok(Outcome::new(RecordingView { run: run.id, status: run.status, file }))
}

pub(crate) async fn delete(app: App, input: OfRun) -> Result<Outcome<RecordingDeleted>> {
    let run = runs::find(&app, input.run).await?;
    if app.engine.progress(run.id).is_some() {
        let message = format!("run {} is at work and its recording is being written", run.id);
        let hint = Hint::new("pause_run", "stop it first").with("run", run.id.0);
        return Err(ApiError::new(Code::Conflict, message)
            .fix("wait for it to end, or pause it")
            .hint(hint));
    }
    let files = Files::needed(&app)?;
    let path = files.path(&Files::recording(&run));
    let removed = blocking(&app, move || std::fs::remove_file(path)).await?;
    removed.map_err(|_| none(run.id))?;
    Ok(Outcome::new(RecordingDeleted { run: run.id }))
}

fn none(run: RunId) -> ApiError {
    ApiError::new(Code::NotFound, format!("run {run} has no recording"))
        .fix("start a run with `record` set to true; a recording goes with its table")
}
