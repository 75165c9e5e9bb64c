//! What can be wrong with a file, in one line each: where, what, and what to do about it. No message holds more than
//! 40 characters of anybody's content.

use std::fmt;
use std::io;
use std::path::PathBuf;

use paceline_model::limits;
use thiserror::Error;

use super::{COLUMN_NAME_BYTES_MAX, ROW_BYTES_MAX};

/// The input cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// There is no reading it at all.
    #[error("cannot open {name}: {source}; check the name and that you may read it")]
    Open { name: String, source: io::Error },
    /// The name does not say what is inside.
    #[error(
        "cannot tell what {name} holds: its name should end in .csv, .tsv, .jsonl or .ndjson (or pipe it in as -)"
    )]
    Format { name: String },
    /// One place of it is wrong.
    #[error("{name}, line {line}: {fault}")]
    Content { name: String, line: u64, fault: Fault },
    /// The copy could not be written.
    #[error("cannot keep a copy of {name} at {path}: {source}; free or change that place")]
    Keep { name: String, path: PathBuf, source: io::Error },
    /// The copy is not what was written.
    #[error(
        "the kept copy of {name} does not have the {expected} rows that were written to it but {found}: it was changed from outside; start again with --restart"
    )]
    CopyChanged { name: String, found: u64, expected: u64 },
}

/// A fault and the line it is on, before anyone has said which file that is.
#[derive(Debug)]
pub(super) struct Defect {
    pub(super) line: u64,
    pub(super) fault: Fault,
}

impl Defect {
    pub(super) fn in_file(self, name: &str) -> InputError {
        InputError::Content { name: name.to_owned(), line: self.line, fault: self.fault }
    }
}

/// What is wrong with one line. Positions count from 1.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("reading failed: {0}")]
    Unreadable(io::Error),
    #[error("there is nothing in it; a table has a header (CSV) or at least one object (JSONL)")]
    Empty,
    #[error(
        "byte {byte} of the line is not UTF-8; save the file as UTF-8 (spreadsheets call it \"CSV UTF-8\")"
    )]
    NotUtf8 { byte: u64 },
    #[error(
        "this is UTF-16, not UTF-8; save the file as UTF-8 (spreadsheets call it \"CSV UTF-8\")"
    )]
    Utf16,
    #[error("column {position} of the header has no name; give it one")]
    HeaderBlank { position: usize },
    #[error("the header names {} twice, as columns {first} and {second}; rename one of them", Clip(.name))]
    HeaderTwice { name: String, first: usize, second: usize },
    #[error("the name of column {position} is over {COLUMN_NAME_BYTES_MAX} bytes; shorten it")]
    NameLong { position: usize },
    #[error("more than {} columns; leave out those that are not needed", limits::TABLE_COLUMNS_MAX)]
    ColumnsMany,
    #[error(
        "{found} field{} where the header has {expected}; a field with a delimiter, a quote or a line break in it must stand in double quotes",
        if *.found == 1 { "" } else { "s" }
    )]
    Ragged { found: usize, expected: usize },
    #[error(
        "a quoted field begins here and never ends; close it with a double quote, or double the quotes that belong to its text"
    )]
    QuoteOpen,
    #[error(
        "the cell in column {position} is over the limit of {} bytes; shorten it{}",
        limits::VALUE_BYTES_MAX,
        if *.quoted { ", or close its double quote" } else { "" }
    )]
    CellLong { position: usize, quoted: bool },
    #[error("the value of {} is over the limit of {} bytes; shorten it", Clip(.key), limits::VALUE_BYTES_MAX)]
    ValueLong { key: String },
    #[error("the row is over the limit of {ROW_BYTES_MAX} bytes; split it or leave columns out")]
    RowLong,
    #[error(
        "{found} where an object should begin; JSONL has one object per line, like {{\"a\":1}}"
    )]
    NotObject { found: &'static str },
    #[error("{reason} (byte {byte}); JSONL has one whole object per line")]
    Json { reason: String, byte: usize },
    #[error("the key {} stands twice in one object; keep one of them", Clip(.key))]
    KeyTwice { key: String },
    #[error("nested deeper than {} levels; flatten it", limits::JSON_DEPTH_MAX)]
    Deep,
}

/// The place where the output is to stand cannot take it.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    #[error("cannot write {path}: the folder {folder} does not exist; make it or choose another")]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("cannot write {path}: it is a folder; name a file in it")]
    IsFolder { path: PathBuf },
    #[error("cannot write {path}: it is read-only; change that or choose another name")]
    ReadOnly { path: PathBuf },
    #[error("cannot write {path}: {source}; choose another place")]
    Refused { path: PathBuf, source: io::Error },
}

/// The new column cannot have this name.
#[derive(Debug, Error)]
pub(crate) enum ColumnTaken {
    #[error("the new column needs a name; give it one with --column")]
    Blank,
    #[error("the input already has a column {}; choose another, like --column {suggestion}", Clip(.name))]
    Taken { name: String, suggestion: String },
}

/// The output could not be written. Whatever stood at its path is as it was.
#[derive(Debug, Error)]
pub(crate) enum OutputError<E> {
    #[error(transparent)]
    Column(#[from] ColumnTaken),
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The kept copy could not be read back.
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("cannot write {name}: {source}; make room or choose another place, then run again")]
    Write { name: String, source: io::Error },
    /// The caller's cells failed.
    #[error("{0}")]
    Cells(E),
    #[error("no output was written: the cells ended after {cells} of {rows} rows")]
    CellsFew { cells: u64, rows: u64 },
    #[error("no output was written: there are more cells than the {rows} rows")]
    CellsMany { rows: u64 },
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
