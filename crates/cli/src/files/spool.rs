//! The kept copy of an input: checked and copied in one pass, read back in batches.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use paceline_model::{Value, limits};
use serde::{Deserialize, Serialize};

use super::delimited::{Record, Records};
use super::draft::Draft;
use super::error::{Defect, Fault};
use super::lines::{Line, Lines};
use super::object::{self, Keys};
use super::source::{Opened, Source};
use super::{BLOCK_BYTES, COLUMN_NAME_BYTES_MAX, Format, InputError, ROW_BYTES_MAX};

/// Bytes of the rows of one batch as written, so that a batch of long rows is a short one.
const BATCH_BYTES_MAX: usize = ROW_BYTES_MAX;

/// An input that was checked, and the copy of it that was kept.
///
/// To reopen it in a later process, keep its serialised form and call [`Spooled::check_kept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spooled {
    /// What the input was called, for errors.
    pub(crate) name: String,
    /// Where the copy is.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) format: Format,
    /// The names in the header, without blanks around them; for JSONL every key, in the order in which they first come.
    pub(crate) columns: Vec<String>,
    /// Rows, the header and blank lines not counted.
    pub(crate) rows: u64,
    /// BLAKE3 of the content without its byte order mark, in hex.
    pub(crate) fingerprint: String,
}

/// Checks all of `source` and keeps a copy of it at `destination`, which appears only if everything is right.
///
/// # Errors
/// The first thing that is wrong, with its line; or the copy cannot be written.
pub(crate) fn spool(source: Source, destination: &Path) -> Result<Spooled, InputError> {
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

fn check_header(header: &Record<'_>) -> Result<Vec<String>, Defect> {
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
pub(super) enum Rows {
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
    pub(crate) fn check_kept(&self) -> Result<(), InputError> {
        fs::metadata(&self.path).map(drop).map_err(|source| self.cannot_open(source))
    }

    /// The values of some columns (positions in [`Spooled::columns`]), `rows_max` rows at a time or fewer where cells
    /// are long. A CSV field is text, a value of JSONL is JSON; an empty field, a null and an absent key are
    /// [`Value::Null`].
    ///
    /// # Errors
    /// The copy cannot be opened. Each batch may fail if the copy was changed from outside; then no more follow.
    pub(crate) fn batches(
        &self,
        columns: &[usize],
        rows_max: usize,
    ) -> Result<Batches, InputError> {
        let mut rows = self.open()?;
        if let Rows::Delimited(records) = &mut rows {
            records.next().map_err(|defect| self.defect(defect))?;
        }
        let wanted = columns.iter().enumerate().filter_map(|(place, &column)| {
            self.columns.get(column).map(|name| (name.clone(), place))
        });
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (name, place) in wanted {
            places.entry(name).or_default().push(place);
        }
        Ok(Batches {
            spooled: self.clone(),
            rows,
            columns: columns.to_owned(),
            places,
            rows_max: rows_max.max(1),
            rows_read: 0,
            ended: false,
        })
    }

    /// Begins to read the copy.
    pub(super) fn open(&self) -> Result<Rows, InputError> {
        let file = File::open(&self.path).map_err(|source| self.cannot_open(source))?;
        let buffered = BufReader::with_capacity(BLOCK_BYTES, file);
        Ok(match self.format.delimiter() {
            Some(delimiter) => Rows::Delimited(Records::new(buffered, delimiter)),
            None => Rows::Lines(Lines::new(buffered)),
        })
    }

    /// Says that a place in the copy is wrong, which the check of the input had let pass.
    pub(super) fn defect(&self, defect: Defect) -> InputError {
        defect.in_file(&format!("the kept copy of {}", self.name))
    }

    /// Whether the copy ended where it should.
    pub(super) fn check_rows(&self, found: u64) -> Result<(), InputError> {
        if found == self.rows {
            return Ok(());
        }
        Err(InputError::CopyChanged { name: self.name.clone(), found, expected: self.rows })
    }

    fn cannot_open(&self, source: io::Error) -> InputError {
        InputError::Open { name: format!("the kept copy of {}", self.name), source }
    }
}

/// Rows of some columns, batch by batch; see [`Spooled::batches`].
#[derive(Debug)]
pub(crate) struct Batches {
    spooled: Spooled,
    rows: Rows,
    columns: Vec<usize>,
    /// Where the value of a key goes in a row; more than one place if a column is asked for twice.
    places: HashMap<String, Vec<usize>>,
    rows_max: usize,
    rows_read: u64,
    ended: bool,
}

impl Iterator for Batches {
    type Item = Result<Vec<Vec<Value>>, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.read_batch() {
            Ok(batch) if batch.is_empty() => None,
            Ok(batch) => Some(Ok(batch)),
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl Batches {
    fn read_batch(&mut self) -> Result<Vec<Vec<Value>>, InputError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.rows_max && bytes < BATCH_BYTES_MAX {
            match self.read_row().map_err(|defect| self.spooled.defect(defect))? {
                Some((row, row_bytes)) => {
                    batch.push(row);
                    bytes += row_bytes;
                    self.rows_read += 1;
                }
                None => {
                    self.ended = true;
                    self.spooled.check_rows(self.rows_read)?;
                    break;
                }
            }
        }
        Ok(batch)
    }

    /// The next row and how many bytes it was read from.
    fn read_row(&mut self) -> Result<Option<(Vec<Value>, usize)>, Defect> {
        match &mut self.rows {
            Rows::Delimited(records) => Ok(records.next()?.map(|record| {
                let row = self.columns.iter().map(|&column| text_value(record.field(column)));
                (row.collect(), record.text.len())
            })),
            Rows::Lines(lines) => {
                let Some(line) = lines.next()? else { return Ok(None) };
                let row = object_row(line, self.columns.len(), &self.places)?;
                Ok(Some((row, line.text.len())))
            }
        }
    }
}

fn text_value(field: Option<Cow<'_, str>>) -> Value {
    match field {
        Some(text) if !text.is_empty() => Value::Text(text.into_owned()),
        _ => Value::Null,
    }
}

fn object_row(
    line: Line<'_>,
    len: usize,
    places: &HashMap<String, Vec<usize>>,
) -> Result<Vec<Value>, Defect> {
    let mut row = vec![Value::Null; len];
    let mut fault = None;
    object::entries(line, |key, raw| {
        for &place in places.get(key.as_ref()).into_iter().flatten() {
            match object::value(raw) {
                Ok(value) => row[place] = value,
                Err(error) => fault = Some(error),
            }
        }
    })?;
    match fault {
        None => Ok(row),
        Some(fault) => Err(Defect { line: line.line, fault }),
    }
}
