//! The folder that keeps the state of an enrichment: beside OUT, or named after the command where OUT is a pipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_store::SqliteStore;

use super::request::Request;
use crate::exit::{Failure, usage};
use crate::keys;

/// A file that says that a folder is ours to throw away.
const MARK: &str = "paceline-enrich-state";
/// A file that says that the input has been read in. Without it no call was made yet, and the folder is begun anew.
const READY: &str = "ready";
const MARK_TEXT: &str = "State of one paceline enrich command. Delete this folder to forget it.\n";

/// The state folder.
#[derive(Debug)]
pub(crate) struct StateDir {
    pub(crate) path: PathBuf,
    /// Made by this command: wrong input removes it again.
    is_new: bool,
    /// OUT is a pipe: there is nothing to resume once it is written.
    is_passing: bool,
}

impl StateDir {
    /// The state folder of a request; made if it is not there, emptied if the person says so.
    pub(crate) fn open(request: &Request, restart: bool) -> Result<Self, Failure> {
        let path = path_of(request);
        if path.exists() {
            if !path.join(MARK).is_file() {
                return Err(usage(format!(
                    "{} is in the way: state would be kept there, and it is not ours; move it or choose another OUT",
                    path.display()
                )));
            }
            if restart || !path.join(READY).is_file() {
                // The lock tells whether another process is at work here.
                drop(SqliteStore::open(&path, Clock::system())?);
                remove(&path)?;
            }
        }
        let is_new = !path.exists();
        if is_new {
            let made = fs::create_dir(&path).and_then(|()| fs::write(path.join(MARK), MARK_TEXT));
            made.map_err(|error| {
                usage(format!("cannot keep state in {}: {error}", path.display()))
            })?;
        }
        Ok(Self { path, is_new, is_passing: request.pipes_out() })
    }

    /// Opens the folder's database and its key.
    pub(crate) fn open_store(
        &self,
        clock: &Clock,
        random: &Random,
    ) -> Result<(Arc<SqliteStore>, [u8; 32]), Failure> {
        let store = SqliteStore::open(&self.path, clock.clone())?;
        let key = keys::directory_key(&self.path, random)
            .map_err(|error| usage(format!("the key in {}: {error}", self.path.display())))?;
        Ok((store, key))
    }

    /// From now on the folder is worth keeping.
    pub(crate) fn is_ready(&self) -> Result<(), Failure> {
        let path = self.path.join(READY);
        fs::write(&path, "")
            .map_err(|error| usage(format!("cannot write {}: {error}", path.display())))
    }

    /// Where the checked copy of the input is kept.
    pub(crate) fn spool_path(&self) -> PathBuf {
        self.path.join("input")
    }

    /// Removes the folder if this command made it.
    pub(crate) fn discard_if_new(&self) {
        if self.is_new {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    /// Removes the folder if there is nothing left to resume.
    pub(crate) fn discard_if_passing(&self) {
        if self.is_passing {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    fs::remove_dir_all(path)
        .map_err(|error| usage(format!("cannot remove {}: {error}", path.display())))
}

fn path_of(request: &Request) -> PathBuf {
    if !request.pipes_out() {
        let mut name = request.output.file_name().unwrap_or_default().to_owned();
        name.push(".paceline");
        return request.output.with_file_name(name);
    }
    // The same command finds the same folder: named after everything that must not change between its runs.
    let mut hasher = blake3::Hasher::new();
    for part in [&*request.input.to_string_lossy(), &request.column, &request.spec.url] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    PathBuf::from(format!(".paceline-enrich-{}", &hasher.finalize().to_hex()[..12]))
}
