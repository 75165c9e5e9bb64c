//! The folder with an account's state. One process works in it at a time: the limits are the user's, and only who sees every
//! start can keep inside them.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_clock::Clock;
use paceline_store::SqliteStore;

use super::account::Account;
use crate::exit::{Failure, busy, usage};

/// A file that says that a folder is ours. Whoever works in the folder holds its lock, and stands in it.
const MARK: &str = "paceline-hex-state";
/// Of the holder's words so much is shown.
const HOLDER_BYTES_MAX: u64 = 200;

/// The folder, locked.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dir: PathBuf,
    pub(super) store: Arc<SqliteStore>,
    /// Ends with the process, however that ends.
    _lock: File,
}

impl State {
    /// Takes the folder for this process alone, making it if need be. `command` is what others are told that we do.
    pub(super) fn open(account: &Account, command: &str, clock: &Clock) -> Result<Self, Failure> {
        let dir = account.state.clone();
        let cannot =
            |error: io::Error| usage(format!("cannot keep state in {}: {error}", dir.display()));
        // Rows and their parameters are nobody else's to read.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(cannot)?;
        if !is_ours(&dir).map_err(cannot)? {
            return Err(usage(format!(
                "{} is not empty and is no state of ours; give another --state",
                dir.display()
            )));
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(dir.join(MARK)).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut lock, &dir)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let holder = format!("process {} (paceline {command})\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(holder.as_bytes()))
            .map_err(cannot)?;
        let store = SqliteStore::open(&dir, clock.clone()).map_err(|error| match error {
            paceline_model::Error::Conflict(_) => busy(error),
            error => usage(error),
        })?;
        Ok(Self { dir, store, _lock: lock })
    }

    /// A look at the store, whoever works with it; nothing if there is none, or none that can be read.
    pub(super) fn peek(account: &Account, clock: &Clock) -> Option<Arc<SqliteStore>> {
        SqliteStore::open_to_read(&account.state, clock.clone()).ok().flatten()
    }

    /// Where the checked copy of a batch's file is kept.
    pub(super) fn spool_path(&self, batch: u64) -> PathBuf {
        self.dir.join(format!("input-{batch}"))
    }

    /// Removes what is left of earlier batches' files.
    pub(super) fn forget_before(&self, batch: u64) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("input-")?.parse().ok());
            if number.is_some_and(|number: u64| number < batch) {
                // If this fails it only takes up room.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A folder with our mark in it, or an empty one: the mark is the first thing that we put there.
fn is_ours(dir: &Path) -> io::Result<bool> {
    if dir.join(MARK).is_file() {
        return Ok(true);
    }
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none() || dir.join(MARK).is_file()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who holds it, and what to do.
fn held(lock: &mut File, dir: &Path) -> Failure {
    let mut holder = String::new();
    let read = lock.take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
    let holder = match read {
        Ok(1..) => holder.trim(),
        _ => "another process",
    };
    busy(format!(
        "{holder} works for this account, and only one may: the limits are the user's; wait for it or stop it. Another \
         user of the same Hex has an --account of its own (state: {})",
        dir.display()
    ))
}
