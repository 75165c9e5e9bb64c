//! Where the database lies, who may read it, and the lock that keeps a second process out.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use paceline_model::{Error, Result};

use crate::error::from_io;

/// The name of the database in a directory.
const FILE_NAME: &str = "paceline.db";

/// The database file for what the user named: a file, or the directory that holds it. What does not exist yet is a file
/// if its name has an extension.
pub(crate) fn database_path(dir_or_file: &Path) -> PathBuf {
    let is_file =
        dir_or_file.is_file() || (!dir_or_file.is_dir() && dir_or_file.extension().is_some());
    if is_file { dir_or_file.to_path_buf() } else { dir_or_file.join(FILE_NAME) }
}

/// Makes the file and its folder if they are missing, for this user only: rows and sealed secrets lie in it. SQLite
/// gives its side files the same mode.
pub(crate) fn create_private(database: &Path) -> Result<()> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private_folder()
            .create(folder)
            .map_err(|error| from_io("make the folder", folder, &error))?;
    }
    private_file()
        .open(database)
        .map_err(|error| from_io("open the database", database, &error))?;
    Ok(())
}

/// Takes the lock beside the database; it goes when the file is dropped or the process ends, however it ends.
///
/// Fails with `Conflict` if another process has it.
pub(crate) fn lock(database: &Path) -> Result<File> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = private_file().open(&path).map_err(|error| from_io("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Conflict(format!(
            "another paceline process works on this directory ({}); stop it or choose another directory",
            fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf()).display()
        ))),
        Err(TryLockError::Error(error)) => Err(from_io("lock", &path, &error)),
    }
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_extension_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            (dir.path().to_path_buf(), dir.path().join(FILE_NAME)),
            (dir.path().join("data"), dir.path().join("data").join(FILE_NAME)),
            (dir.path().join("my.db"), dir.path().join("my.db")),
        ];
        for (given, wanted) in cases {
            assert_eq!(database_path(&given), wanted);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("data").join(FILE_NAME);
        create_private(&database).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&database), 0o600);
        assert_eq!(mode(database.parent().unwrap()), 0o700);
    }

    #[test]
    fn the_second_lock_is_refused_until_the_first_goes() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join(FILE_NAME);
        let held = lock(&database).unwrap();
        let refused = lock(&database).unwrap_err();
        assert!(matches!(&refused, Error::Conflict(text) if text.contains("another paceline")));
        drop(held);
        lock(&database).unwrap();
    }
}
