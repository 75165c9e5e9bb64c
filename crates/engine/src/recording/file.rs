//! The files of recordings: where they are says whoever puts the engine together.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use paceline_model::Run;

/// Where the recordings of runs are.
pub trait Recordings: Send + Sync {
    /// The file of a run's recording: a new one, or the one that was begun for this run earlier. Blocks.
    ///
    /// # Errors
    /// The file system's. Then the run does not begin.
    fn open(&self, run: &Run) -> io::Result<RecordingFile>;
}

/// A recording to be written on.
pub struct RecordingFile {
    /// What is written at its end.
    pub(super) file: Box<dyn Write + Send>,
    /// What it has already; zero if it is new.
    pub(super) bytes: u64,
    /// What it may have in all.
    pub(super) bytes_max: u64,
}

impl RecordingFile {
    /// The file of that name, made for its owner alone if it is not there. Half a line at its end, which a process left that
    /// was killed while it wrote, is taken away. It gets no longer than `bytes_max`. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub fn append(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let bytes = whole_lines(&mut file)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { file: Box::new(file), bytes, bytes_max })
    }

    /// Bytes that it may have in all.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Anything that can be written to; `bytes` are there already.
    pub fn new(file: impl Write + Send + 'static, bytes: u64, bytes_max: u64) -> Self {
        Self { file: Box::new(file), bytes, bytes_max }
    }
}

impl std::fmt::Debug for RecordingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, bytes_max, .. } = self;
        f.debug_struct("RecordingFile").field("bytes", bytes).field("bytes_max", bytes_max).finish()
    }
}

/// Bytes up to the end of the last whole line. Reads from the end back, a piece at a time.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const PIECE_BYTES: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(PIECE_BYTES);
        file.seek(SeekFrom::Start(begin))?;
        piece.clear();
        Read::by_ref(file).take(end - begin).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_at_the_end_is_taken_away_and_whole_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording");
        let long = "x".repeat(200_000);
        let cases =
            [("", ""), ("ab", ""), ("ab\n", "ab\n"), ("ab\ncd", "ab\n"), (&long, ""), ("\n", "\n")];
        for (before, wanted) in cases {
            std::fs::write(&path, before).unwrap();
            let mut opened = RecordingFile::append(&path, 1_000).unwrap();
            assert_eq!(opened.bytes, wanted.len() as u64, "{before:.10}");
            opened.file.write_all(b"new\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{wanted}new\n"));
        }
    }
}
