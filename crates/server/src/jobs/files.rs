//! The folder of files that imports and exports work with: uploads, reports and what was exported.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use paceline_files::FileFormat;
use paceline_model::limits;

use crate::App;
use crate::error::{ApiError, Code, Result};

/// Its name in the data directory.
const FOLDER: &str = "files";
/// What the name of an upload begins with.
pub(crate) const UPLOAD: &str = "upload-";

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// The folder of an app's data directory, if it has one.
    pub(crate) fn of(app: &App) -> Option<Self> {
        Some(Self::in_dir(app.dir.as_ref()?))
    }

    /// The folder of a data directory.
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self { folder: dir.join(FOLDER) }
    }

    /// The folder, for what cannot be done without it.
    ///
    /// # Errors
    /// The server has no data directory.
    pub(crate) fn needed(app: &App) -> Result<Self> {
        Self::of(app).ok_or_else(|| {
            ApiError::new(Code::Conflict, "this server keeps no files")
                .fix("start it with a data directory (--data)")
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The report of an import: its bad rows, one JSON object each.
    pub(crate) fn report(id: i64, format: FileFormat) -> String {
        format!("job-{id}-bad-rows.{format}")
    }

    /// The file of an export.
    pub(crate) fn export(id: i64, format: FileFormat) -> String {
        format!("job-{id}-export.{format}")
    }

    /// Every file: its name and bytes. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn all(&self) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) {
                files.push((name, meta.len()));
            }
        }
        Ok(files)
    }

    /// Bytes that files may still take; makes the folder if there is none. Blocks.
    ///
    /// # Errors
    /// The file system's, or there is no room left.
    pub(crate) fn room(&self) -> io::Result<u64> {
        create_private(&self.folder)?;
        let taken = self.all()?.iter().map(|(_, bytes)| bytes).sum();
        match limits::FILES_BYTES_MAX.checked_sub(taken) {
            None | Some(0) => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the files of imports, exports and recordings take all the room that they may",
            )),
            Some(room) => Ok(room),
        }
    }

    /// Takes a file away, if it is there. Blocks.
    pub(crate) fn remove(&self, name: &str) {
        // One that stays is found by the next sweep.
        let _ = fs::remove_file(self.path(name));
    }
}

/// A file on its way in. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    file: Option<File>,
    name: String,
    path: PathBuf,
    bytes: u64,
    bytes_max: u64,
}

impl Upload {
    /// Begins one, under a name of this start. Blocks.
    ///
    /// # Errors
    /// The file system's, or there is no room left.
    pub(crate) fn begin(
        files: &Files,
        (start, random): (&str, u64),
        format: FileFormat,
    ) -> io::Result<Self> {
        let bytes_max = files.room()?.min(limits::UPLOAD_BYTES_MAX);
        let name = format!("{UPLOAD}{start}-{random:016x}.{format}");
        let path = files.path(&name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file: Some(file), name, path, bytes: 0, bytes_max })
    }

    /// Adds to it; false if it would be too long. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.bytes > self.bytes_max {
            return Ok(false);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).map(|()| true),
            None => Ok(false),
        }
    }

    /// Bytes that it may have.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Where it is, to be looked into before anybody relies on it. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn finish(&self) -> io::Result<(&str, &Path, u64)> {
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        Ok((&self.name, &self.path, self.bytes))
    }

    /// Lets it stay: a job works with it now.
    pub(crate) fn keep(mut self) {
        self.file = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a folder that only its owner may look into.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
