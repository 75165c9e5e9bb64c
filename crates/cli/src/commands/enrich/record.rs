//! `--record FILE`: one run, one file.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_engine::{Engine, Recording, RecordingFile, Recordings};
use paceline_model::{Run, limits};

use super::step::Step;
use crate::exit::{Failure, usage};

struct IntoFile(PathBuf);

impl Recordings for IntoFile {
    fn open(&self, _: &Run) -> io::Result<RecordingFile> {
        RecordingFile::append(&self.0, limits::RECORDING_BYTES_MAX)
    }
}

/// Recordings of one run, in that file.
pub(super) fn into_file(path: &Path) -> Arc<dyn Recordings> {
    Arc::new(IntoFile(path.to_owned()))
}

/// Refuses a file that is there already, for a run that is certainly a new one: before the input is read in.
pub(super) fn check_new(file: Option<&Path>) -> Result<(), Failure> {
    match file {
        Some(file) if file.exists() => Err(usage(format!(
            "--record {}: it is there already, and a recording is of one run; choose another name",
            file.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether the file is free for a new run, or the recording of the one that goes on.
pub(super) async fn check(
    engine: &Engine,
    step: Option<&Step>,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let (Some(file), Some(step)) = (file, step) else { return Ok(()) };
    let name = file.display();
    let Step::GoOn(run) = step else { return check_new(Some(file)) };
    let run = engine.store().run(*run).await?.filter(|run| run.options.record);
    let Some(run) = run else {
        return Err(usage(format!(
            "--record {name}: the run that goes on was begun without it; leave it out, or begin anew with --restart"
        )));
    };
    let recording = File::open(file).ok().map(|file| Recording::read_header(BufReader::new(file)));
    let is_its = recording
        .and_then(Result::ok)
        .is_some_and(|header| header.run == run.id && header.at_us >= run.created_at.as_micros());
    if is_its {
        return Ok(());
    }
    Err(usage(format!(
        "--record {name}: it is not the recording of the run that goes on; give the one that was begun with it"
    )))
}
