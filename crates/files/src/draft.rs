//! A file that appears whole or not at all: written beside its target under another name, then renamed over it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TargetError;

/// Names tried before giving up; only drafts that a killed process of the same number left behind are in the way.
const NAMES_TRIED_MAX: usize = 1_000;

/// A file on its way to `target`. Dropped before [`Draft::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Draft {
    /// Begins a draft in the folder of `target`. If `target` is a link, what it points to will be replaced, not the
    /// link; if it exists, its permissions are kept.
    ///
    /// # Errors
    /// The folder takes no file.
    pub fn create(target: &Path) -> io::Result<Self> {
        // A target that cannot be resolved is one that does not exist yet.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let (file, path) = create_beside(&target)?;
        let draft = Self { file, path, target, committed: false };
        if let Ok(existing) = fs::metadata(&draft.target) {
            // Before the first byte, so that a private file is never readable by others.
            fs::set_permissions(&draft.path, existing.permissions())?;
        }
        Ok(draft)
    }

    /// Puts the draft where it belongs. When this returns it survives a loss of power.
    ///
    /// # Errors
    /// The disk fails or is full; then nothing stands there that was not there before.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.committed = true;
        // The rename itself is on record once its folder is. Some file systems cannot do that, and then it must do.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell; a stray draft does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Says before a run of hours whether its output can be written to `path` at the end. Leaves nothing behind.
///
/// # Errors
/// The folder does not exist or takes no file, or `path` is a folder or is read-only.
pub fn check_writable(path: &Path) -> Result<(), TargetError> {
    let refused = |source| TargetError::Refused { path: path.to_owned(), source };
    let names_no_file = path.file_name().is_none() || path.to_string_lossy().ends_with('/');
    match fs::metadata(path) {
        Ok(existing) if existing.is_dir() => {
            return Err(TargetError::IsFolder { path: path.to_owned() });
        }
        Ok(existing) if existing.permissions().readonly() => {
            return Err(TargetError::ReadOnly { path: path.to_owned() });
        }
        Ok(_) if is_device(path) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(error)),
        Err(_) if names_no_file => return Err(TargetError::IsFolder { path: path.to_owned() }),
        Err(_) if !folder_of(path).is_dir() => {
            let folder = folder_of(path).to_owned();
            return Err(TargetError::NoFolder { path: path.to_owned(), folder });
        }
        Err(_) => {}
    }
    Draft::create(path).map(drop).map_err(refused)
}

/// Whether there is something at `path` that is neither file nor folder: a pipe or `/dev/null`. It must be written to
/// as it is, because a rename would put a file in its place.
pub(crate) fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|existing| !existing.is_file() && !existing.is_dir())
}

fn create_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for _ in 0..NAMES_TRIED_MAX {
        // Not made from the target's name, which may already be as long as a name can be.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".paceline-{}-{number}.tmp", process::id());
        let path = folder_of(target).join(name);
        // `create_new` follows no link that somebody else laid there.
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
