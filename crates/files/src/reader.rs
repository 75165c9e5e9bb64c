//! One record after another out of a file, and on behind a bad one.

use std::fs::File;
use std::io::{BufReader, Read};

use paceline_model::Value;
use serde_json::{Map, Value as Json};

use crate::delimited::Records;
use crate::error::{Defect, Fault};
use crate::lines::Lines;
use crate::object::{self, Keys};
use crate::parquet_in::ParquetRows;
use crate::source::{Opened, Source};
use crate::spool::check_header;
use crate::{BLOCK_BYTES, FileFormat, InputError};

/// Bytes of a refused record that are kept, where it is longer than any row may be.
const REFUSED_BYTES_MAX: usize = 64 * 1024;

/// A record as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line it begins on, from 1; in Parquet the number of the row.
    pub line: u64,
    /// Its values in the order of [`Reader::columns`]; those it leaves out at the end are empty. A field of CSV is text and
    /// null if it is empty; what JSONL and Parquet hold is JSON or text.
    pub values: Vec<Value>,
    raw: Option<String>,
}

impl Row {
    pub(crate) fn new(line: u64, values: Vec<Value>) -> Self {
        Self { line, values, raw: None }
    }

    /// The record as it was written; of Parquet as a JSON object.
    #[must_use]
    pub fn text(&self, columns: &[String]) -> String {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let fields = columns.iter().zip(&self.values);
        let object: Map<String, Json> =
            fields.map(|(name, value)| (name.clone(), value.to_json())).collect();
        Json::Object(object).to_string()
    }

    /// Its values, and the record as it was written where that is text.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Value>, Option<String>) {
        (self.values, self.raw)
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.raw {
            Some(raw) => raw.len(),
            None => self.values.iter().map(value_bytes).sum(),
        }
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Json(json) => json.to_string().len(),
        _ => 8,
    }
}

/// A record that is no row.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Refusal {
    /// The line, from 1; in Parquet the number of the row.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
    /// The record as it was written, or as much of it as is kept.
    pub record: String,
    /// True if nothing after it can be read either.
    pub last: bool,
}

/// Reads a table out of a file in bounded memory.
///
/// ```
/// use paceline_files::{Format, Reader, Source};
/// let csv = "name,age\nAda,36\nBob\nEve,7\n".as_bytes();
/// let mut reader = Reader::open(Source::reader("people", Some(Format::Csv), csv)).unwrap();
/// assert_eq!(reader.columns(), ["name", "age"]);
/// assert_eq!(reader.next().unwrap().unwrap().line, 2);
/// let refusal = reader.next().unwrap().unwrap_err();
/// assert_eq!((refusal.line, refusal.record.as_str()), (3, "Bob"));
/// assert_eq!(reader.next().unwrap().unwrap().line, 4);
/// assert!(reader.next().is_none());
/// ```
#[derive(Debug)]
pub struct Reader {
    input: Input,
    columns: Keys,
    ended: bool,
}

type Bytes = BufReader<Box<dyn Read + Send>>;

enum Input {
    Delimited(Records<Bytes>),
    Lines(Lines<Bytes>),
    Parquet(Box<ParquetRows>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Delimited(_) => "Delimited",
            Self::Lines(_) => "Lines",
            Self::Parquet(_) => "Parquet",
        })
    }
}

impl Reader {
    /// Begins to read a text format; of CSV and TSV the header.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, or has no proper header.
    pub fn open(source: Source) -> Result<Self, InputError> {
        let Opened { name, format, input } = source.start()?;
        let buffered = BufReader::with_capacity(BLOCK_BYTES, input);
        let mut columns = Keys::default();
        let input = match format.delimiter() {
            None => Input::Lines(Lines::new(buffered)),
            Some(delimiter) => {
                let mut records = Records::new(buffered, delimiter);
                let header = records.next().and_then(|header| match header {
                    Some(header) => check_header(&header),
                    None => Err(Defect { line: 1, fault: Fault::Empty }),
                });
                columns = Keys::of(header.map_err(|defect| defect.in_file(&name))?);
                Input::Delimited(records)
            }
        };
        Ok(Self { input, columns, ended: false })
    }

    /// Begins to read a Parquet file; `name` stands in errors.
    ///
    /// # Errors
    /// It is not Parquet, or has columns or sizes that no table can have.
    pub fn open_parquet(name: &str, file: File) -> Result<Self, InputError> {
        let defect = |reason| Defect { line: 0, fault: Fault::Parquet { reason } }.in_file(name);
        let (rows, columns) = ParquetRows::open(file).map_err(defect)?;
        let input = Input::Parquet(Box::new(rows));
        Ok(Self { input, columns: Keys::of(columns), ended: false })
    }

    /// Begins to read a file of that format.
    ///
    /// # Errors
    /// As [`Reader::open`] and [`Reader::open_parquet`].
    pub fn open_file(name: &str, format: FileFormat, file: File) -> Result<Self, InputError> {
        match format.text() {
            Some(text) => Self::open(Source::reader(name, Some(text), file)),
            None => Self::open_parquet(name, file),
        }
    }

    /// The names of the columns; of JSONL those that came up so far, in the order in which they did.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        self.columns.names()
    }

    fn read(&mut self) -> Result<Option<Row>, Refusal> {
        match &mut self.input {
            Input::Parquet(rows) => rows.next().map_err(|(line, reason, last)| Refusal {
                line,
                fault: Fault::Parquet { reason },
                record: String::new(),
                last,
            }),
            Input::Delimited(records) => record(records, self.columns.names().len()),
            Input::Lines(lines) => object(lines, &mut self.columns),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Row, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended = match &read {
            Ok(row) => row.is_none(),
            Err(refusal) => refusal.last,
        };
        read.transpose()
    }
}

/// The next record of CSV or TSV, which has as many fields as the header.
fn record(records: &mut Records<Bytes>, len: usize) -> Result<Option<Row>, Refusal> {
    let defect = match records.next() {
        Ok(None) => return Ok(None),
        Ok(Some(record)) if record.len == len => {
            let values = record.fields().map(|field| match field {
                field if field.is_empty() => Value::Null,
                field => Value::Text(field.into_owned()),
            });
            let values = values.collect();
            return Ok(Some(Row { line: record.line, values, raw: Some(record.text.to_owned()) }));
        }
        Ok(Some(record)) => {
            let fault = Fault::Ragged { found: record.len, expected: len };
            Defect { line: record.line, fault }
        }
        Err(defect) => defect,
    };
    let record = shortened(records.refused().0);
    Err(match records.skip() {
        // What cannot be passed over is the end: an open quote, or a disk that fails.
        Err(end) => Refusal { line: end.line, fault: end.fault, record, last: true },
        Ok(_) => refusal(defect, record),
    })
}

/// The next object of JSONL.
fn object(lines: &mut Lines<Bytes>, keys: &mut Keys) -> Result<Option<Row>, Refusal> {
    let defect = match lines.next() {
        Ok(None) => return Ok(None),
        Ok(Some(line)) => match object::check(line, keys).and_then(|()| object::row(line, keys)) {
            Ok(values) => {
                let raw = Some(line.text.trim_end().to_owned());
                return Ok(Some(Row { line: line.line, values, raw }));
            }
            Err(defect) => defect,
        },
        Err(defect) => defect,
    };
    let record = shortened(lines.refused().0);
    Err(match lines.skip() {
        Err(end) => Refusal { line: end.line, fault: end.fault, record, last: true },
        Ok(()) => refusal(defect, record),
    })
}

fn refusal(defect: Defect, record: String) -> Refusal {
    let last = matches!(defect.fault, Fault::Unreadable(_) | Fault::QuoteOpen);
    Refusal { line: defect.line, fault: defect.fault, record, last }
}

/// A record that may be longer than any row.
fn shortened(record: &str) -> String {
    if record.len() <= crate::ROW_BYTES_MAX {
        return record.trim_end().to_owned();
    }
    let mut end = REFUSED_BYTES_MAX;
    while !record.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &record[..end])
}
