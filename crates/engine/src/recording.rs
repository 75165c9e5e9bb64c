//! The recording of a run: every exchange with the vendor and how each cell ended, in a file that a person can read and that
//! [`replay`](crate::replay) takes the answers from.
//!
//! The file is JSONL: a header (the table, the column with its secrets masked, the limits), then, as they happen, the rows
//! with the inputs that were used, the calls and the ends of cells, and a last line when the run stops. A line is with the
//! operating system before the run goes on, so a process that is killed leaves a file that can be read up to its last line.

mod file;
mod format;
mod key;
mod provider;
mod reader;
mod recorder;
mod veil;

pub use file::{RecordingFile, Recordings};
pub use format::{
    Call, Cell, Content, End, Failure, Head, Header, InColumn, Limits, Outcome, Row, StoredProvider,
};
pub use reader::{Recording, RecordingError};

pub(crate) use format::VERSION;
pub(crate) use key::request_key;
pub(crate) use recorder::{REUSED, Recorder, UNCHANGED};
pub(crate) use veil::{HIDDEN, Veil, secret_columns, shown};
