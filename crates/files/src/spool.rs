//! The kept copy of an input: checked and copied in one pass, read back in batches.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use paceline_model::limits;
use serde::{Deserialize, Serialize};

use crate::delimited::{Record, Records};
use crate::draft::Draft;
use crate::error::{Defect, Fault};
use crate::lines::Lines;
use crate::object::{self, Keys};
use crate::source::{Opened, Source};
use crate::{BLOCK_BYTES, COLUMN_NAME_BYTES_MAX, Format, InputError};

/// An input that was checked, and the copy of it that was kept.
///
/// To reopen it in a later process, keep its serialised form and call [`Spooled::check_kept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spooled {
    /// What the input was called, for errors.
    pub name: String,
    /// Where the copy is.
    pub path: PathBuf,
    /// What is in it.
    pub format: Format,
    /// The names in the header, without blanks around them; for JSONL every key, in the order in which they first come.
    pub columns: Vec<String>,
    /// Rows, the header and blank lines not counted.
    pub rows: u64,
    /// BLAKE3 of the content without its byte order mark, in hex.
    pub fingerprint: String,
}

/// Checks all of `source` and keeps a copy of it at `destination`, which appears only if everything is right.
///
/// # Errors
/// The first thing that is wrong, with its line; or the copy cannot be written.
pub fn spool(source: Source, destination: &Path) -> Result<Spooled, InputError> {
    let Opened { name, format, input } = source.start()?;
    let cannot_keep =
        |source| InputError::Keep { name: name.clone(), path: destination.to_owned(), source };
    let draft = Draft::create(destination).map_err(cannot_keep)?;
    let mut tee = Tee { input, copy: draft, hasher: blake3::Hasher::new(), copy_error: None };
    let buffered = BufReader::with_capacity(BLOCK_BYTES, &mut tee);
    let checked = match format.delimiter() {
        Some(delimiter) => check_records(Records::new(buffered, delimiter)),
        None => check_lines(Lines::new(buffered)),
    };
    if let Some(error) = tee.copy_error {
        return Err(cannot_keep(error));
    }
    let (columns, rows) = checked.map_err(|defect| defect.in_file(&name))?;
    tee.copy.commit().map_err(cannot_keep)?;
    let fingerprint = tee.hasher.finalize().to_hex().to_string();
    Ok(Spooled { name, path: destination.to_owned(), format, columns, rows, fingerprint })
}

/// Copies and fingerprints whatever is read through it.
struct Tee<R> {
    input: R,
    copy: Draft,
    hasher: blake3::Hasher,
    /// Why the copy failed; the reader above only sees that something did.
    copy_error: Option<io::Error>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        let read = &buffer[..bytes];
        self.hasher.update(read);
        if let Err(error) = self.copy.write_all(read) {
            self.copy_error = Some(error);
            return Err(io::Error::other("the copy failed"));
        }
        Ok(bytes)
    }
}

fn check_records<R: io::BufRead>(mut records: Records<R>) -> Result<(Vec<String>, u64), Defect> {
    let Some(header) = records.next()? else { return Err(Defect { line: 1, fault: Fault::Empty }) };
    let columns = check_header(&header)?;
    let mut rows = 0;
    while let Some(record) = records.next()? {
        if record.len != columns.len() {
            let fault = Fault::Ragged { found: record.len, expected: columns.len() };
            return Err(Defect { line: record.line, fault });
        }
        rows += 1;
    }
    Ok((columns, rows))
}

/// The names of a header, without blanks around them, each once.
pub(crate) fn check_header(header: &Record<'_>) -> Result<Vec<String>, Defect> {
    let defect = |fault| Err(Defect { line: header.line, fault });
    if header.len > limits::TABLE_COLUMNS_MAX {
        return defect(Fault::ColumnsMany);
    }
    let mut columns: Vec<String> = Vec::with_capacity(header.len);
    let mut positions = HashMap::new();
    for (index, name) in header.fields().enumerate() {
        let name = name.trim();
        let position = index + 1;
        if name.is_empty() {
            return defect(Fault::HeaderBlank { position });
        }
        if name.len() > COLUMN_NAME_BYTES_MAX {
            return defect(Fault::NameLong { position });
        }
        if let Some(first) = positions.insert(name.to_owned(), position) {
            return defect(Fault::HeaderTwice { name: name.to_owned(), first, second: position });
        }
        columns.push(name.to_owned());
    }
    Ok(columns)
}

fn check_lines<R: io::BufRead>(mut lines: Lines<R>) -> Result<(Vec<String>, u64), Defect> {
    let mut keys = Keys::default();
    let mut rows = 0;
    while let Some(line) = lines.next()? {
        object::check(line, &mut keys)?;
        rows += 1;
    }
    if rows == 0 {
        return Err(Defect { line: 1, fault: Fault::Empty });
    }
    Ok((keys.into_names(), rows))
}

/// The rows of a kept copy.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Of CSV and TSV, the header first.
    Delimited(Records<BufReader<File>>),
    /// Of JSONL.
    Lines(Lines<BufReader<File>>),
}

impl Spooled {
    /// Whether the copy is still where it was put. Cheap: what is in it shows when it is read.
    ///
    /// # Errors
    /// It is gone or cannot be read.
    pub fn check_kept(&self) -> Result<(), InputError> {
        fs::metadata(&self.path).map(drop).map_err(|source| self.cannot_open(source))
    }

    /// Begins to read the copy.
    pub(crate) fn open(&self) -> Result<Rows, InputError> {
        let file = File::open(&self.path).map_err(|source| self.cannot_open(source))?;
        let buffered = BufReader::with_capacity(BLOCK_BYTES, file);
        Ok(match self.format.delimiter() {
            Some(delimiter) => Rows::Delimited(Records::new(buffered, delimiter)),
            None => Rows::Lines(Lines::new(buffered)),
        })
    }

    /// Says that a place in the copy is wrong, which the check of the input had let pass.
    pub(crate) fn defect(&self, defect: Defect) -> InputError {
        defect.in_file(&format!("the kept copy of {}", self.name))
    }

    /// Whether the copy ended where it should.
    pub(crate) fn check_rows(&self, found: u64) -> Result<(), InputError> {
        if found == self.rows {
            return Ok(());
        }
        Err(InputError::CopyChanged { name: self.name.clone(), found, expected: self.rows })
    }

    fn cannot_open(&self, source: io::Error) -> InputError {
        InputError::Open { name: format!("the kept copy of {}", self.name), source }
    }
}
