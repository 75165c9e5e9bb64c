//! Records on their way from a file into a table, and the report of those that cannot go there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use paceline_files::{Draft, FileFormat, Format, OutColumn, Reader, Source, Writer};
use paceline_model::{Column, ColumnType, Value};
use serde_json::{Map, Value as Json, json};

use super::Files;

/// One record of a file.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) line: u64,
    /// As it was written, where that is text.
    pub(crate) text: Option<String>,
    /// The values of the row, or why it is none.
    pub(crate) row: Result<Vec<Value>, String>,
}

impl Record {
    /// A good record that was refused after all.
    pub(crate) fn refused(mut self, columns: &[Column], reason: String) -> Self {
        if let (Ok(values), None) = (&self.row, &self.text) {
            let fields = columns.iter().zip(values);
            let object: Map<String, Json> =
                fields.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
            self.text = Some(Json::Object(object).to_string());
        }
        Self { row: Err(reason), ..self }
    }
}

/// Records that follow one another in a file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// Set with the last batch.
    pub(crate) end: Option<End>,
}

/// Why there are no more records.
#[derive(Debug)]
pub(crate) enum End {
    /// The file is read.
    Whole,
    /// It cannot be read any further.
    Broken(String),
}

/// The bad rows of an import, one JSON object per line.
#[derive(Debug)]
pub(crate) struct Report {
    file: File,
    bytes: u64,
}

impl Report {
    /// Opens the report of a job, with as much in it as belongs to what was imported. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open(files: &Files, id: i64, bytes: u64) -> io::Result<Self> {
        files.room()?;
        let path = files.path(&Files::report(id, FileFormat::Jsonl));
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        // What is behind was written for a batch that never was.
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, bytes })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds lines, which are on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.bytes += u64::try_from(lines.len()).unwrap_or_default();
        Ok(())
    }

    /// Takes back what was added behind `bytes`. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.file.seek(SeekFrom::End(0))?;
        self.bytes = bytes;
        Ok(())
    }
}

/// The lines of the report for the bad ones of these records, and how many they are.
pub(crate) fn report_lines(records: &[Record]) -> (Vec<u8>, u64) {
    let (mut lines, mut bad) = (Vec::new(), 0);
    for record in records {
        if let Err(reason) = &record.row {
            let text = record.text.as_deref().unwrap_or_default();
            let line = json!({"line": record.line, "reason": reason, "record": text});
            lines.extend_from_slice(line.to_string().as_bytes());
            lines.push(b'\n');
            bad += 1;
        }
    }
    (lines, bad)
}

/// Writes the report of a job that has ended as CSV, too. Blocks.
///
/// # Errors
/// The file system's.
pub(crate) fn report_as_csv(files: &Files, id: i64) -> io::Result<()> {
    let file = File::open(files.path(&Files::report(id, FileFormat::Jsonl)))?;
    let source = Source::reader("the report", Some(Format::Jsonl), file);
    let reader = Reader::open(source).map_err(io::Error::other)?;
    let column = |(name, kind): (&str, _)| OutColumn { name: name.to_owned(), kind };
    let columns =
        [("line", ColumnType::Number), ("reason", ColumnType::Text), ("record", ColumnType::Text)];
    let draft = Draft::create(&files.path(&Files::report(id, FileFormat::Csv)))?;
    let columns = columns.map(column).to_vec();
    let mut writer = Writer::new(FileFormat::Csv, columns, BufWriter::new(draft))?;
    // A line that is too long to be read back stays in the JSONL.
    for row in reader.flatten() {
        writer.write(&row.values)?;
    }
    let draft = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    draft.commit()
}
