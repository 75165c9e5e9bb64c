//! Tests of the files module: what goes in, what comes out, and what must hold for any content.

mod input;
mod output;
mod properties;
mod tables;

use std::convert::Infallible;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use paceline_model::Value;
use tempfile::TempDir;

use super::*;

/// A folder of its own for one test, gone afterwards.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn spool(&self, format: Option<Format>, content: &[u8]) -> Result<Spooled, InputError> {
        self.spool_reader(format, Cursor::new(content.to_vec()))
    }

    fn spool_reader(
        &self,
        format: Option<Format>,
        input: impl Read + Send + 'static,
    ) -> Result<Spooled, InputError> {
        spool(Source::reader("in", format, input), &self.path("spool"))
    }

    /// Every name in the folder, hidden ones included.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Writes the rows with one new column.
fn write_output<E>(
    spooled: &Spooled,
    destination: Destination<'_>,
    format: Format,
    column: &str,
    cells: impl IntoIterator<Item = Result<Value, E>>,
) -> Result<(), OutputError<E>> {
    let rows = cells.into_iter().map(|cell| cell.map(|cell| [cell]));
    write_columns(spooled, destination, format, &[column], rows)
}

/// What is written when each of `cells` joins its row.
fn written(
    spooled: &Spooled,
    format: Format,
    column: &str,
    cells: &[Value],
) -> Result<Vec<u8>, OutputError<Infallible>> {
    let mut bytes = Vec::new();
    let cells = cells.iter().cloned().map(Ok);
    write_output(spooled, Destination::Writer(&mut bytes), format, column, cells)?;
    Ok(bytes)
}

/// Gives at most `step` bytes at a time.
struct Slowly<R> {
    input: R,
    step: usize,
}

impl<R: Read> Read for Slowly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(self.step);
        self.input.read(&mut buffer[..end])
    }
}
