//! The folder that keeps the state of an enrichment: beside OUT, or named after the command where OUT is a pipe.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_store::SqliteStore;

use super::request::Request;
use crate::exit::{Failure, busy, usage};
use crate::keys;

/// A file that says that a folder is ours to throw away. Whoever works in the folder holds its lock.
const MARK: &str = "paceline-enrich-state";
/// A file that says that the input has been read in. Without it no call was made yet, and the folder is begun anew.
const READY: &str = "ready";
/// Where the earlier state waits while `--restart` checks whether the new command can run at all.
const ASIDE: &str = "before-restart";
const MARK_TEXT: &str = "State of one paceline enrich command. Delete this folder to forget it.\n";
/// How often a folder may vanish between being found and being locked: each time another command has ended.
const TRIES_MAX: usize = 100;

/// The state folder, locked.
#[derive(Debug)]
pub(crate) struct StateDir {
    pub(crate) path: PathBuf,
    /// Nothing in it is worth keeping yet: wrong input removes it again.
    is_new: bool,
    /// What `--restart` throws away waits in [`ASIDE`].
    has_earlier: bool,
    /// OUT is a pipe: there is nothing to resume once it is written.
    is_passing: bool,
    /// Ends with the process, however that ends.
    _lock: File,
}

impl StateDir {
    /// The state folder of a request; made if it is not there, emptied if the person says so.
    pub(crate) fn open(request: &Request, restart: bool) -> Result<Self, Failure> {
        let path = path_of(request);
        let lock = Self::lock(&path)?;
        let was_ready = path.join(READY).is_file();
        let is_new = restart || !was_ready;
        if is_new {
            let cleared = clear(&path, restart && was_ready);
            cleared.map_err(|error| usage(format!("cannot empty {}: {error}", path.display())))?;
        }
        let has_earlier = restart && was_ready;
        Ok(Self { path, is_new, has_earlier, is_passing: request.pipes_out(), _lock: lock })
    }

    /// Makes the folder if need be, and takes it for this process alone.
    fn lock(path: &Path) -> Result<File, Failure> {
        let cannot = |error| usage(format!("cannot keep state in {}: {error}", path.display()));
        for _ in 0..TRIES_MAX {
            // The copy of the input is as private as the input may be.
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(cannot(error));
                }
                _ => {}
            }
            if !is_ours(path).map_err(cannot)? {
                return Err(usage(format!(
                    "{} is in the way: state would be kept there, and it is not ours; move it or choose another OUT",
                    path.display()
                )));
            }
            let mark = path.join(MARK);
            let file = match File::options().create(true).append(true).open(&mark) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => file.map_err(cannot)?,
            };
            match file.try_lock() {
                Ok(()) if is_at(&file, &mark) => {
                    fs::write(&mark, MARK_TEXT).map_err(cannot)?;
                    return Ok(file);
                }
                // The folder was removed by whoever had the lock.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(busy(format!(
                        "another paceline process works on this output (its state is in {}); wait for it or stop it",
                        path.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        Err(cannot(io::Error::other("it is made and removed all the time")))
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

    /// From now on the folder is worth keeping, and what it held before a restart is not.
    pub(crate) fn is_ready(&self) -> Result<(), Failure> {
        let path = self.path.join(READY);
        fs::write(&path, "")
            .map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?;
        // If this fails it only takes up room.
        let _ = fs::remove_dir_all(self.path.join(ASIDE));
        Ok(())
    }

    /// Where the checked copy of the input is kept.
    pub(crate) fn spool_path(&self) -> PathBuf {
        self.path.join("input")
    }

    /// Whether nothing of an earlier command is gone on with.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Leaves the disk as it was before this command, unless its input has been read in.
    pub(crate) fn discard_if_new(&self) {
        if !self.is_new || self.path.join(READY).is_file() {
            return;
        }
        // Nobody is left to tell of a failure but the person, who is told of the cause of all this already.
        if self.has_earlier {
            let _ = put_back(&self.path);
        } else {
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

/// A folder with our mark in it, or an empty one: the mark is the first thing that we put there.
fn is_ours(path: &Path) -> io::Result<bool> {
    if path.join(MARK).is_file() {
        return Ok(true);
    }
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none() || path.join(MARK).is_file()),
        // It was removed just now and can be made again.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `file` is still what stands at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |held: fs::Metadata, found: fs::Metadata| {
        (held.dev(), held.ino()) == (found.dev(), found.ino())
    };
    file.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(|(held, found)| same(held, found))
}

/// Removes everything but the mark, or lays it aside.
fn clear(path: &Path, aside: bool) -> io::Result<()> {
    // Left behind by a restart that was killed.
    remove_if_there(&path.join(ASIDE))?;
    let entries = others(path)?;
    if aside {
        fs::create_dir(path.join(ASIDE))?;
        // Without it nothing here is taken for a state, so it goes first and comes back last.
        fs::rename(path.join(READY), path.join(ASIDE).join(READY))?;
    }
    for entry in entries.iter().filter(|entry| entry.exists()) {
        match entry.file_name() {
            Some(name) if aside => fs::rename(entry, path.join(ASIDE).join(name))?,
            _ if entry.is_dir() => fs::remove_dir_all(entry)?,
            _ => fs::remove_file(entry)?,
        }
    }
    Ok(())
}

/// Undoes a [`clear`] that laid aside.
fn put_back(path: &Path) -> io::Result<()> {
    let aside = path.join(ASIDE);
    for entry in others(path)?.iter().filter(|entry| **entry != aside) {
        fs::remove_file(entry)?;
    }
    for entry in others(&aside)?.iter().filter(|entry| !entry.ends_with(READY)) {
        if let Some(name) = entry.file_name() {
            fs::rename(entry, path.join(name))?;
        }
    }
    fs::rename(aside.join(READY), path.join(READY))?;
    fs::remove_dir(aside)
}

fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is in a folder beside the mark.
fn others(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.ends_with(MARK) {
            found.push(path);
        }
    }
    Ok(found)
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
