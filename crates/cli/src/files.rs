//! The tables that `paceline enrich IN -o OUT` reads and writes: CSV, TSV and JSONL.
//!
//! In reading order: a [`Source`] is [spooled](spool()) once, which checks every row and keeps a copy, so that IN may be
//! a pipe or be edited while a run of hours goes on; [`Spooled::batches`] hands out the columns that templates refer to;
//! [`write_columns`] reads the copy again and writes every row, in order, with the new columns added. All of it is
//! streaming: memory does not grow with the number of rows.
//!
//! Nothing here is asynchronous: call it from a thread that may block.

mod batches;
mod delimited;
mod draft;
mod error;
mod lines;
mod object;
mod output;
mod quote;
mod source;
mod spool;

use std::fmt;
use std::path::Path;

use paceline_model::limits;
use serde::{Deserialize, Serialize};

pub(crate) use draft::check_writable;
pub(crate) use error::{ColumnTaken, InputError, OutputError, TargetError};
pub(crate) use output::{Destination, write_columns};
pub(crate) use source::Source;
pub(crate) use spool::{Spooled, spool};

#[cfg(test)]
mod tests;

/// Bytes of one row as written: one cell of the largest size and room for its escapes and its neighbours.
const ROW_BYTES_MAX: usize = 4 * limits::VALUE_BYTES_MAX;
/// Bytes of one column name in a file. Spreadsheets have questions for names; 1,900 of these are 8 MB.
const COLUMN_NAME_BYTES_MAX: usize = 4 * 1024;
/// Bytes read or written at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// How a table is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Fields between commas, with a header.
    Csv,
    /// The same between tabs.
    Tsv,
    /// One JSON object per line.
    Jsonl,
}

impl Format {
    /// What the end of the name says: .csv, .tsv, .jsonl or .ndjson, in any case.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// What stands between two fields; nothing for JSONL.
    fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Jsonl => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Jsonl => "JSONL",
        })
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
