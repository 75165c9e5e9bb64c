//! Where a server keeps the recordings of runs: with its other files, until their table is gone for good or somebody deletes
//! them.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use paceline_engine::{RecordingFile, Recordings};
use paceline_model::{Run, Store, TableId};

use super::Files;

/// What the name of a recording begins with.
pub(super) const RECORDING: &str = "recording-";

/// Recordings in a server's data directory, each of at most so many bytes and all files together within their room.
///
/// ```
/// let dir = std::env::temp_dir();
/// let recordings = paceline_server::recordings(&dir, paceline_model::limits::RECORDING_BYTES_MAX);
/// # let _ = recordings;
/// ```
#[must_use]
pub fn recordings(dir: &Path, bytes_max: u64) -> Arc<dyn Recordings> {
    Arc::new(InFolder { files: Files::in_dir(dir), bytes_max })
}

struct InFolder {
    files: Files,
    bytes_max: u64,
}

impl Recordings for InFolder {
    fn open(&self, run: &Run) -> io::Result<RecordingFile> {
        let room = self.files.room()?;
        let path = self.files.path(&Files::recording(run));
        let has = path.metadata().map_or(0, |meta| meta.len());
        RecordingFile::append(&path, self.bytes_max.min(has.saturating_add(room)))
    }
}

impl Files {
    /// The recording of a run.
    pub(crate) fn recording(run: &Run) -> String {
        format!("{RECORDING}{}-{}.jsonl", run.table, run.id)
    }
}

/// The tables whose recordings stay.
pub(super) async fn tables(store: &dyn Store) -> paceline_model::Result<HashSet<TableId>> {
    let mut tables: HashSet<TableId> =
        store.tables().await?.into_iter().map(|table| table.id).collect();
    tables.extend(store.deleted_tables().await?.into_iter().map(|table| table.id));
    Ok(tables)
}

/// The table of a recording of that name.
pub(super) fn table_of(name: &str) -> Option<TableId> {
    let (table, _) = name.strip_prefix(RECORDING)?.split_once('-')?;
    table.parse().ok().map(TableId)
}
