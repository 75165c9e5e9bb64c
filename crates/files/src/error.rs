//! What can be wrong with a file, in one line each: where, what, and what to do about it. No message holds more than
//! 40 characters of anybody's content.

use std::fmt;
use std::io;
use std::path::PathBuf;

use paceline_model::limits;
use thiserror::Error;

use crate::{COLUMN_NAME_BYTES_MAX, ROW_BYTES_MAX};

/// The input cannot be used.
#[derive(Debug, Error)]
pub enum InputError {
    /// There is no reading it at all.
    #[error("cannot open {name}: {source}; check the name and that you may read it")]
    Open {
        /// What it is called.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name does not say what is inside.
    #[error(
        "cannot tell what {name} holds: its name should end in .csv, .tsv, .jsonl or .ndjson (or pipe it in as -)"
    )]
    Format {
        /// What it is called.
        name: String,
    },
    /// One place of it is wrong.
    #[error("{name}, line {line}: {fault}")]
    Content {
        /// What it is called.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        fault: Fault,
    },
    /// The copy could not be written.
    #[error("cannot keep a copy of {name} at {path}: {source}; free or change that place")]
    Keep {
        /// What it is called.
        name: String,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is not what was written.
    #[error(
        "the kept copy of {name} does not have the {expected} rows that were written to it but {found}: it was changed from outside; start again with --restart"
    )]
    CopyChanged {
        /// What it is called.
        name: String,
        /// What was found.
        found: u64,
        /// What was expected.
        expected: u64,
    },
}

/// A fault and the line it is on, before anyone has said which file that is.
#[derive(Debug)]
pub(crate) struct Defect {
    pub(crate) line: u64,
    pub(crate) fault: Fault,
}

impl Defect {
    pub(crate) fn in_file(self, name: &str) -> InputError {
        InputError::Content { name: name.to_owned(), line: self.line, fault: self.fault }
    }
}

/// What is wrong with one line. Positions count from 1.
#[derive(Debug, Error)]
pub enum Fault {
    /// The disk or the pipe failed.
    #[error("reading failed: {0}")]
    Unreadable(io::Error),
    /// Nothing in it.
    #[error("there is nothing in it; a table has a header (CSV) or at least one object (JSONL)")]
    Empty,
    /// A byte that is not UTF-8, counted from the beginning of its line.
    #[error(
        "byte {byte} of the line is not UTF-8; save the file as UTF-8 (spreadsheets call it \"CSV UTF-8\")"
    )]
    NotUtf8 {
        /// Which byte, from 1.
        byte: u64,
    },
    /// UTF-16, known by its mark.
    #[error(
        "this is UTF-16, not UTF-8; save the file as UTF-8 (spreadsheets call it \"CSV UTF-8\")"
    )]
    Utf16,
    /// A column without a name.
    #[error("column {position} of the header has no name; give it one")]
    HeaderBlank {
        /// Which column, from 1.
        position: usize,
    },
    /// Two columns of one name.
    #[error("the header names {} twice, as columns {first} and {second}; rename one of them", Clip(.name))]
    HeaderTwice {
        /// What it is called.
        name: String,
        /// Where it came first.
        first: usize,
        /// Where it came again.
        second: usize,
    },
    /// A name over its limit.
    #[error("the name of column {position} is over {COLUMN_NAME_BYTES_MAX} bytes; shorten it")]
    NameLong {
        /// Which column, from 1.
        position: usize,
    },
    /// More columns than a table has.
    #[error("more than {} columns; leave out those that are not needed", limits::TABLE_COLUMNS_MAX)]
    ColumnsMany,
    /// More or fewer fields than the header.
    #[error(
        "{found} field{} where the header has {expected}; a field with a delimiter, a quote or a line break in it must stand in double quotes",
        if *.found == 1 { "" } else { "s" }
    )]
    Ragged {
        /// What was found.
        found: usize,
        /// What was expected.
        expected: usize,
    },
    /// A quote that is never closed.
    #[error(
        "a quoted field begins here and never ends; close it with a double quote, or double the quotes that belong to its text"
    )]
    QuoteOpen,
    /// A cell over its limit.
    #[error(
        "the cell in column {position} is over the limit of {} bytes; shorten it{}",
        limits::VALUE_BYTES_MAX,
        if *.quoted { ", or close its double quote" } else { "" }
    )]
    CellLong {
        /// Which column, from 1.
        position: usize,
        /// Whether it stands in quotes.
        quoted: bool,
    },
    /// A value of JSONL over its limit.
    #[error("the value of {} is over the limit of {} bytes; shorten it", Clip(.key), limits::VALUE_BYTES_MAX)]
    ValueLong {
        /// Which key.
        key: String,
    },
    /// A row over its limit.
    #[error("the row is over the limit of {ROW_BYTES_MAX} bytes; split it or leave columns out")]
    RowLong,
    /// A line of JSONL that is no object.
    #[error(
        "{found} where an object should begin; JSONL has one object per line, like {{\"a\":1}}"
    )]
    NotObject {
        /// What was found.
        found: &'static str,
    },
    /// A line that is not JSON.
    #[error("{reason} (byte {byte}); JSONL has one whole object per line")]
    Json {
        /// What the parser said.
        reason: String,
        /// Which byte, from 1.
        byte: usize,
    },
    /// A key twice in one object.
    #[error("the key {} stands twice in one object; keep one of them", Clip(.key))]
    KeyTwice {
        /// Which key.
        key: String,
    },
    /// A Parquet file that cannot be read, or holds what a cell cannot.
    #[error("{reason}")]
    Parquet {
        /// What is wrong.
        reason: String,
    },
    /// JSON nested too deep.
    #[error("nested deeper than {} levels; flatten it", limits::JSON_DEPTH_MAX)]
    Deep,
}

/// The place where the output is to stand cannot take it.
#[derive(Debug, Error)]
pub enum TargetError {
    /// There is no such folder.
    #[error("cannot write {path}: the folder {folder} does not exist; make it or choose another")]
    NoFolder {
        /// Where.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder stands there.
    #[error("cannot write {path}: it is a folder; name a file in it")]
    IsFolder {
        /// Where.
        path: PathBuf,
    },
    /// What stands there may not be written.
    #[error("cannot write {path}: it is read-only; change that or choose another name")]
    ReadOnly {
        /// Where.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("cannot write {path}: {source}; choose another place")]
    Refused {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The new column cannot have this name.
#[derive(Debug, Error)]
pub enum ColumnTaken {
    /// It has no name.
    #[error("the new column needs a name; give it one with --column")]
    Blank,
    /// Another column has this name.
    #[error("the input already has a column {}; choose another, like --column {suggestion}", Clip(.name))]
    Taken {
        /// What it is called.
        name: String,
        /// A name that is free.
        suggestion: String,
    },
}

/// The output could not be written. Whatever stood at its path is as it was.
#[derive(Debug, Error)]
pub enum OutputError<E> {
    /// The new column cannot have its name.
    #[error(transparent)]
    Column(#[from] ColumnTaken),
    /// The place takes no file.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The kept copy could not be read back.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Writing failed.
    #[error("cannot write {name}: {source}; make room or choose another place, then run again")]
    Write {
        /// What it is called.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The caller's cells failed.
    #[error("{0}")]
    Cells(E),
    /// Fewer cells than rows.
    #[error("no output was written: the cells ended after {cells} of {rows} rows")]
    CellsFew {
        /// Cells there were.
        cells: u64,
        /// Rows there are.
        rows: u64,
    },
    /// More cells than rows.
    #[error("no output was written: there are more cells than the {rows} rows")]
    CellsMany {
        /// Rows there are.
        rows: u64,
    },
}

/// Shows text in quotes, escaped, and no more than 40 characters of it.
struct Clip<'a>(&'a str);

impl fmt::Display for Clip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(40) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}
