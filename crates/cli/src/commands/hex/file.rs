//! The file of a batch: checked as a whole before anything else happens, kept while the batch lasts, and written out with
//! what became of each row.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::jobs::{Columns, JobRow, RESULT};
use super::ledger::JobState;
use super::params::{Param, given};
use crate::args::hex::BatchArgs;
use crate::exit::{Failure, usage};
use paceline_files::{Destination, Format, Source, Spooled, check_writable, spool, write_columns};

/// A file that was checked; its copy goes with this.
pub(super) struct Input {
    pub(super) spooled: Spooled,
    columns: Columns,
    defaults: Vec<Param>,
    _copy: TempDir,
}

impl Input {
    /// Reads the file and checks every row. Blocks as long as a pipe is silent.
    pub(super) fn check(path: &Path, params: &[String]) -> Result<Self, Failure> {
        let defaults = given(params)?;
        let copy = tempfile::tempdir()
            .map_err(|error| usage(format!("cannot make a temporary folder: {error}")))?;
        let spooled = spool(Source::open(path)?, &copy.path().join("input"))?;
        let columns = Columns::of(&spooled)?;
        columns.read(&spooled, &defaults, |_| Ok(()))?;
        Ok(Self { spooled, columns, defaults, _copy: copy })
    }

    /// Its jobs.
    pub(super) fn jobs(&self) -> Result<Vec<JobRow>, Failure> {
        let mut jobs = Vec::new();
        self.columns.read(&self.spooled, &self.defaults, |job| {
            jobs.push(job);
            Ok(())
        })?;
        Ok(jobs)
    }

    /// A copy that stays.
    pub(super) fn keep(&self, at: &Path) -> Result<Spooled, Failure> {
        let copy = File::open(&self.spooled.path)?;
        let source = Source::reader(&self.spooled.name, Some(self.spooled.format), copy);
        Ok(spool(source, at)?)
    }

    /// Of everything that says what is run.
    pub(super) fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.spooled.fingerprint.as_bytes());
        for param in &self.defaults {
            hasher.update(&[0]).update(param.name.as_bytes());
            hasher.update(&[1]).update(param.value.to_string().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Where the rows go.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// `-` is standard output.
    pub(super) path: PathBuf,
    format: Option<Format>,
}

impl Output {
    pub(super) fn of(args: &BatchArgs) -> Result<Self, Failure> {
        let path = match &args.output {
            Some(path) => path.clone(),
            None if args.file.as_os_str() == "-" => PathBuf::from("-"),
            None => beside(&args.file),
        };
        if path.as_os_str() == "-" {
            return Ok(Self { path, format: None });
        }
        let Some(format) = Format::of_path(&path) else {
            return Err(usage(format!(
                "cannot tell how to write {}: its name should end in .csv, .tsv or .jsonl; give another with -o",
                path.display()
            )));
        };
        let is_input = path
            .canonicalize()
            .is_ok_and(|out| args.file.canonicalize().is_ok_and(|file| file == out));
        if is_input {
            return Err(usage("OUT is FILE itself; give another with -o"));
        }
        check_writable(&path)?;
        Ok(Self { path, format: Some(format) })
    }

    /// Writes every row with what became of it, whole or not at all.
    pub(super) fn write(&self, file: &Spooled, jobs: &[JobState]) -> Result<(), Failure> {
        let format = self.format.unwrap_or(file.format);
        let mut stdout = std::io::stdout();
        let destination = match self.format {
            None => Destination::Writer(&mut stdout),
            Some(_) => Destination::Path(&self.path),
        };
        let rows = jobs.iter().map(|job| Ok::<_, std::convert::Infallible>(job.cells()));
        Ok(write_columns(file, destination, format, &RESULT, rows)?)
    }
}

/// `jobs.csv` as `jobs.runs.csv`; what has no ending is a pipe with a name, and its rows go on to standard output.
fn beside(file: &Path) -> PathBuf {
    match (file.file_stem(), file.extension()) {
        (Some(stem), Some(ending)) => {
            let mut name = stem.to_owned();
            name.push(".runs.");
            name.push(ending);
            file.with_file_name(name)
        }
        _ => PathBuf::from("-"),
    }
}
