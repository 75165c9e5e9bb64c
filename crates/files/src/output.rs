//! The output: every row of the kept copy as it was, with the new columns added.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use paceline_model::Value;
use serde_json::value::RawValue;

use crate::delimited::{Record, Records};
use crate::draft::{Draft, check_writable, is_device};
use crate::error::Defect;
use crate::lines::{Line, Lines};
use crate::quote::push_field;
use crate::spool::Rows;
use crate::writer::push_record;
use crate::{BLOCK_BYTES, Format, OutputError, Spooled, check_new_column, object};

/// Where the output goes.
pub enum Destination<'a> {
    /// To a file, which appears whole or stays as it was. A pipe or device at this path is written to directly.
    Path(&'a Path),
    /// Straight out, like standard output.
    Writer(&'a mut dyn Write),
}

impl std::fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Writer(_) => f.debug_tuple("Writer").finish_non_exhaustive(),
        }
    }
}

/// Writes every row of `spooled`, in order, with one of `rows` added to each as the columns `columns`; a row that holds
/// fewer values leaves the last columns empty.
///
/// Fields and objects stay as they were written where the format stays the same. A path is written beside its place and
/// renamed at the end, so that on any error nothing has changed there.
///
/// # Errors
/// The name is taken, the place takes no file, a cell is an error, there are more or fewer cells than rows, or reading or
/// writing fails.
pub fn write_columns<E, R: AsRef<[Value]>>(
    spooled: &Spooled,
    destination: Destination<'_>,
    format: Format,
    columns: &[&str],
    rows: impl IntoIterator<Item = Result<R, E>>,
) -> Result<(), OutputError<E>> {
    for column in columns {
        check_new_column(&spooled.columns, column)?;
    }
    let cells = rows.into_iter();
    match destination {
        Destination::Writer(writer) => {
            let join = Join { spooled, format, columns, cells, name: "the output".to_owned() };
            join.write_to(writer).map(drop)
        }
        Destination::Path(path) => {
            check_writable(path)?;
            let name = path.display().to_string();
            let cannot = |source| OutputError::Write { name: name.clone(), source };
            let join = Join { spooled, format, columns, cells, name: name.clone() };
            if is_device(path) {
                let device = OpenOptions::new().write(true).open(path).map_err(cannot)?;
                return join.write_to(device).map(drop);
            }
            let draft = Draft::create(path).map_err(cannot)?;
            join.write_to(draft)?.commit().map_err(cannot)
        }
    }
}

/// The rows and the cells that are being brought together.
struct Join<'a, C> {
    spooled: &'a Spooled,
    format: Format,
    columns: &'a [&'a str],
    cells: C,
    name: String,
}

impl<E, V: AsRef<[Value]>, C: Iterator<Item = Result<V, E>>> Join<'_, C> {
    /// Writes everything and gives the writer back, flushed.
    fn write_to<W: Write>(mut self, writer: W) -> Result<W, OutputError<E>> {
        let mut out = BufWriter::with_capacity(BLOCK_BYTES, writer);
        let rows = match self.spooled.open()? {
            Rows::Delimited(records) => self.join_records(records, &mut out)?,
            Rows::Lines(lines) => self.join_lines(lines, &mut out)?,
        };
        self.spooled.check_rows(rows)?;
        if self.cells.next().is_some() {
            return Err(OutputError::CellsMany { rows });
        }
        let written =
            out.flush().and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error));
        written.map_err(|source| self.cannot_write(source))
    }

    fn join_records<R: io::BufRead>(
        &mut self,
        mut records: Records<R>,
        out: &mut impl Write,
    ) -> Result<u64, OutputError<E>> {
        let spooled = self.spooled;
        let mut row = Vec::new();
        let header = records.next().map_err(|defect| spooled.defect(defect))?;
        // The end of line for a last one that has none.
        let mut ending = "\n";
        if let Some(header) = header {
            ending = if header.ending.is_empty() { ending } else { header.ending };
            if let Some(delimiter) = self.format.delimiter() {
                let names = self.columns.iter().map(|name| (*name).to_owned());
                self.add_fields(&mut row, &header, delimiter, names, ending);
            }
        }
        let mut rows = 0;
        loop {
            self.write(out, &row)?;
            row.clear();
            let record = records.next().map_err(|defect| spooled.defect(defect))?;
            let Some(record) = record else { return Ok(rows) };
            let cell = self.next_cell(rows)?;
            rows += 1;
            match self.format.delimiter() {
                Some(delimiter) => {
                    let texts = self.texts(cell.as_ref());
                    self.add_fields(&mut row, &record, delimiter, texts, ending);
                }
                None => {
                    let entries = self.entries(cell.as_ref());
                    let composed = object_of(&mut row, &spooled.columns, &record, entries);
                    composed.map_err(|source| self.cannot_write(source))?;
                }
            }
        }
    }

    fn join_lines<R: io::BufRead>(
        &mut self,
        mut lines: Lines<R>,
        out: &mut impl Write,
    ) -> Result<u64, OutputError<E>> {
        let spooled = self.spooled;
        let mut row = Vec::new();
        if let Some(delimiter) = self.format.delimiter() {
            let names =
                spooled.columns.iter().map(String::as_str).chain(self.columns.iter().copied());
            push_record(&mut row, names, delimiter);
        }
        let mut rows = 0;
        loop {
            self.write(out, &row)?;
            row.clear();
            let line = lines.next().map_err(|defect| spooled.defect(defect))?;
            let Some(line) = line else { return Ok(rows) };
            let cell = self.next_cell(rows)?;
            rows += 1;
            match self.format.delimiter() {
                None => {
                    let spliced = object::splice(&mut row, line.text, self.entries(cell.as_ref()));
                    spliced.map_err(|source| self.cannot_write(source))?;
                    row.push(b'\n');
                }
                Some(delimiter) => {
                    record_of(
                        &mut row,
                        &spooled.columns,
                        line,
                        self.texts(cell.as_ref()),
                        delimiter,
                    )
                    .map_err(|defect| spooled.defect(defect))?;
                }
            }
        }
    }

    /// The new columns of one row, each with its value.
    fn entries<'v>(&self, cells: &'v [Value]) -> impl Iterator<Item = (&str, &'v Value)> {
        let missing = std::iter::repeat(&Value::Null);
        self.columns.iter().copied().zip(cells.iter().chain(missing))
    }

    /// The values of the new columns as they stand in a text file.
    fn texts(&self, cells: &[Value]) -> impl Iterator<Item = String> {
        self.entries(cells).map(|(_, value)| value.to_text())
    }

    /// Adds `record` with more fields: as it was written, or newly quoted if the delimiter is another one.
    fn add_fields(
        &self,
        row: &mut Vec<u8>,
        record: &Record<'_>,
        delimiter: u8,
        fields: impl Iterator<Item = String>,
        ending: &str,
    ) {
        if self.spooled.format.delimiter() == Some(delimiter) {
            row.extend_from_slice(record.text.as_bytes());
        } else {
            for (index, field) in record.fields().enumerate() {
                if index > 0 {
                    row.push(delimiter);
                }
                push_field(row, &field, delimiter, false);
            }
        }
        for field in fields {
            row.push(delimiter);
            push_field(row, &field, delimiter, false);
        }
        let ending = if record.ending.is_empty() { ending } else { record.ending };
        row.extend_from_slice(ending.as_bytes());
    }

    fn next_cell(&mut self, cells: u64) -> Result<V, OutputError<E>> {
        match self.cells.next() {
            Some(cell) => cell.map_err(OutputError::Cells),
            None => Err(OutputError::CellsFew { cells, rows: self.spooled.rows }),
        }
    }

    fn write(&self, out: &mut impl Write, row: &[u8]) -> Result<(), OutputError<E>> {
        out.write_all(row).map_err(|source| self.cannot_write(source))
    }

    fn cannot_write(&self, source: io::Error) -> OutputError<E> {
        OutputError::Write { name: self.name.clone(), source }
    }
}

/// Adds a record of CSV as a line of JSONL: texts, null for empty fields, and the new values.
fn object_of<'v>(
    row: &mut Vec<u8>,
    columns: &[String],
    record: &Record<'_>,
    entries: impl Iterator<Item = (&'v str, &'v Value)>,
) -> io::Result<()> {
    row.push(b'{');
    for (name, field) in columns.iter().zip(record.fields()) {
        let value = if field.is_empty() { Value::Null } else { Value::Text(field.into_owned()) };
        object::push_entry(row, name, &value)?;
        row.push(b',');
    }
    for (column, value) in entries {
        object::push_entry(row, column, value)?;
        row.push(b',');
    }
    // The last comma.
    row.pop();
    row.extend_from_slice(b"}\n");
    Ok(())
}

/// Adds a line of JSONL as a record of CSV: its values as text, in the order of `columns`, and the new ones.
fn record_of(
    row: &mut Vec<u8>,
    columns: &[String],
    line: Line<'_>,
    new: impl Iterator<Item = String>,
    delimiter: u8,
) -> Result<(), Defect> {
    let mut found: Vec<(String, &RawValue)> = Vec::new();
    object::entries(line, |key, raw| found.push((key.into_owned(), raw)))?;
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut fields: Vec<Cow<'_, str>> = Vec::with_capacity(columns.len() + 1);
    for name in columns {
        fields.push(match found.binary_search_by(|(key, _)| key.cmp(name)) {
            Ok(at) => {
                object::text(found[at].1).map_err(|fault| Defect { line: line.line, fault })?
            }
            Err(_) => "".into(),
        });
    }
    fields.extend(new.map(Cow::Owned));
    push_record(row, fields.iter().map(AsRef::as_ref), delimiter);
    Ok(())
}
