//! The output: every row of the kept copy as it was, with the new column added.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use paceline_model::Value;
use serde_json::value::RawValue;

use super::delimited::{Record, Records};
use super::draft::{Draft, check_writable, is_device};
use super::error::Defect;
use super::lines::{Line, Lines};
use super::quote::push_field;
use super::spool::Rows;
use super::{BLOCK_BYTES, ColumnTaken, Format, OutputError, Spooled, object};

/// Where the output goes.
pub(crate) enum Destination<'a> {
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

/// Whether a column called `name` can be added to `columns`.
///
/// # Errors
/// It has no name, or its name is taken; then another is suggested.
pub(crate) fn check_new_column(columns: &[String], name: &str) -> Result<(), ColumnTaken> {
    let name = name.trim();
    if name.is_empty() {
        return Err(ColumnTaken::Blank);
    }
    let taken = |name: &str| columns.iter().any(|column| column.trim() == name);
    if !taken(name) {
        return Ok(());
    }
    // One of the first `len + 1` numbers is free.
    let suggestion = (2..columns.len() + 3)
        .map(|number| format!("{name}_{number}"))
        .find(|name| !taken(name))
        .unwrap_or_default();
    Err(ColumnTaken::Taken { name: name.to_owned(), suggestion })
}

/// Writes every row of `spooled`, in order, with one of `cells` added to each as the column `column`.
///
/// Fields and objects stay as they were written where the format stays the same. A path is written beside its place and
/// renamed at the end, so that on any error nothing has changed there.
///
/// # Errors
/// The name is taken, the place takes no file, a cell is an error, there are more or fewer cells than rows, or reading or
/// writing fails.
pub(crate) fn write_output<E>(
    spooled: &Spooled,
    destination: Destination<'_>,
    format: Format,
    column: &str,
    cells: impl IntoIterator<Item = Result<Value, E>>,
) -> Result<(), OutputError<E>> {
    check_new_column(&spooled.columns, column)?;
    let cells = cells.into_iter();
    match destination {
        Destination::Writer(writer) => {
            let join = Join { spooled, format, column, cells, name: "the output".to_owned() };
            join.write_to(writer).map(drop)
        }
        Destination::Path(path) => {
            check_writable(path)?;
            let name = path.display().to_string();
            let cannot = |source| OutputError::Write { name: name.clone(), source };
            let join = Join { spooled, format, column, cells, name: name.clone() };
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
    column: &'a str,
    cells: C,
    name: String,
}

impl<E, C: Iterator<Item = Result<Value, E>>> Join<'_, C> {
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
                let name = Value::Text(self.column.to_owned());
                self.add_field(&mut row, &header, delimiter, &name, ending);
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
                Some(delimiter) => self.add_field(&mut row, &record, delimiter, &cell, ending),
                None => {
                    let composed =
                        object_of(&mut row, &spooled.columns, &record, self.column, &cell);
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
            let names = spooled.columns.iter().map(String::as_str).chain([self.column]);
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
                    let spliced = object::splice(&mut row, line.text, self.column, &cell);
                    spliced.map_err(|source| self.cannot_write(source))?;
                    row.push(b'\n');
                }
                Some(delimiter) => {
                    record_of(&mut row, &spooled.columns, line, &cell, delimiter)
                        .map_err(|defect| spooled.defect(defect))?;
                }
            }
        }
    }

    /// Adds `record` with one more field: as it was written, or newly quoted if the delimiter is another one.
    fn add_field(
        &self,
        row: &mut Vec<u8>,
        record: &Record<'_>,
        delimiter: u8,
        cell: &Value,
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
        row.push(delimiter);
        push_field(row, &cell.to_text(), delimiter, false);
        let ending = if record.ending.is_empty() { ending } else { record.ending };
        row.extend_from_slice(ending.as_bytes());
    }

    fn next_cell(&mut self, cells: u64) -> Result<Value, OutputError<E>> {
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

/// Adds a record of CSV as a line of JSONL: texts, null for empty fields, and the new value.
fn object_of(
    row: &mut Vec<u8>,
    columns: &[String],
    record: &Record<'_>,
    column: &str,
    cell: &Value,
) -> io::Result<()> {
    row.push(b'{');
    for (name, field) in columns.iter().zip(record.fields()) {
        let value = if field.is_empty() { Value::Null } else { Value::Text(field.into_owned()) };
        object::push_entry(row, name, &value)?;
        row.push(b',');
    }
    object::push_entry(row, column, cell)?;
    row.extend_from_slice(b"}\n");
    Ok(())
}

/// Adds a line of JSONL as a record of CSV: its values as text, in the order of `columns`, and the new one.
fn record_of(
    row: &mut Vec<u8>,
    columns: &[String],
    line: Line<'_>,
    cell: &Value,
    delimiter: u8,
) -> Result<(), Defect> {
    let mut found: Vec<(String, &RawValue)> = Vec::new();
    object::entries(line, |key, raw| found.push((key.into_owned(), raw)))?;
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut fields = Vec::with_capacity(columns.len() + 1);
    for name in columns {
        fields.push(match found.binary_search_by(|(key, _)| key.cmp(name)) {
            Ok(at) => {
                object::text(found[at].1).map_err(|fault| Defect { line: line.line, fault })?
            }
            Err(_) => "".into(),
        });
    }
    fields.push(cell.to_text().into());
    push_record(row, fields.iter().map(AsRef::as_ref), delimiter);
    Ok(())
}

/// Adds a whole record of CSV.
fn push_record<'a>(row: &mut Vec<u8>, fields: impl Iterator<Item = &'a str>, delimiter: u8) {
    let mut fields = fields.peekable();
    let mut alone = true;
    while let Some(field) = fields.next() {
        alone &= fields.peek().is_none();
        push_field(row, field, delimiter, alone);
        row.push(if fields.peek().is_some() { delimiter } else { b'\n' });
    }
}
