//! One run of an enrichment, begun or gone on with.

use paceline_engine::Engine;
use paceline_model::{Run, RunId, RunOptions, Scope};

use super::job::{COLUMN, Job, damaged};
use crate::exit::Failure;

/// One run of the job: an unfinished one to go on with, or a new one.
#[derive(Debug)]
pub(crate) enum Step {
    GoOn(RunId),
    Begin(Scope),
}

impl Step {
    pub(crate) async fn begin(
        self,
        engine: &Engine,
        job: &Job,
        record: bool,
    ) -> Result<Run, Failure> {
        match self {
            Self::GoOn(run) => Ok(engine.resume_run(run).await?),
            Self::Begin(scope) => {
                let options = RunOptions { record, ..RunOptions::default() };
                let runs = engine.start_runs(&job.table, &[COLUMN], scope, options).await?;
                runs.into_iter().next().ok_or_else(damaged)
            }
        }
    }
}
