//! Tabular files in and out: CSV, TSV, JSONL and Parquet, row by row, with every buffer bounded.
//!
//! Two ways through a file. `paceline enrich IN -o OUT` adds columns to one and keeps everything else as it was written: a
//! [`Source`] is [spooled](spool()) once, which checks every row and keeps a copy, so that IN may be a pipe or be edited
//! while a run of hours goes on; [`Spooled::batches`] hands out the columns that templates refer to; [`write_columns`]
//! reads the copy again and writes every row, in order, with the new columns added. The platform takes files apart and
//! makes them: a [`Reader`] gives one record after another and goes on behind a bad one, [`typed`] makes the values of a
//! column of them, and a [`Writer`] makes a file of values.
//!
//! Memory does not grow with the number of rows. Nothing here is asynchronous: call it from a thread that may block.
#![warn(missing_docs)]

mod batches;
mod delimited;
mod draft;
mod error;
mod file_format;
mod lines;
mod object;
mod output;
mod parquet_in;
mod parquet_out;
mod parquet_value;
mod quote;
mod reader;
mod source;
mod spool;
mod typed;
mod writer;

use std::fmt;
use std::path::Path;

use paceline_model::limits;
use serde::{Deserialize, Serialize};

pub use draft::{Draft, check_writable};
pub use error::{ColumnTaken, Fault, InputError, OutputError, TargetError};
pub use file_format::FileFormat;
pub use output::{Destination, write_columns};
pub use reader::{Reader, Refusal, Row};
pub use source::Source;
pub use spool::{Spooled, spool};
pub use typed::{text_of, typed};
pub use writer::{OutColumn, Writer};

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
pub enum Format {
    /// Fields between commas, with a header.
    Csv,
    /// The same between tabs.
    Tsv,
    /// One JSON object per line.
    Jsonl,
}

impl Format {
    /// What the end of the name says: .csv, .tsv, .jsonl or .ndjson, in any case.
    pub fn of_path(path: &Path) -> Option<Self> {
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
pub fn check_new_column(columns: &[String], name: &str) -> Result<(), ColumnTaken> {
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
