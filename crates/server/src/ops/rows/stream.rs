//! All rows as they are read: a JSON array in the usual envelope, or one row per line. What is held in memory is one step.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use paceline_model::Table;
use serde::Deserialize;
use serde_json::json;

use super::reader::{Reader, Step, step_rows};
use crate::catalog::Streamed;
use crate::envelope;
use crate::error::Result;

/// Bytes of one piece of a stream, about.
const PIECE_BYTES: usize = 256 * 1024;

/// How rows are streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// The envelope, with `meta` after the rows.
    Json,
    /// One row per line.
    Ndjson,
}

impl Format {
    pub(crate) const NAMES: [&str; 2] = ["json", "ndjson"];

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

struct State {
    reader: Reader,
    table: String,
    operation: &'static str,
    format: Format,
    /// Rows and bytes so far.
    rows: usize,
    bytes: usize,
    ended: bool,
}

/// The stream. The first step is read here, so that what goes wrong at once is told as usual.
pub(super) async fn of(
    reader: Reader,
    table: &Table,
    format: Format,
    operation: &'static str,
) -> Result<Streamed> {
    let table = table.name.clone();
    let mut state = State { reader, table, operation, format, rows: 0, bytes: 0, ended: false };
    let first = state.piece().await?;
    let rest = stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        let piece = match state.piece().await {
            Ok(piece) => Ok(piece),
            Err(error) => {
                state.ended = true;
                tracing::error!(table = %state.table, rows = state.rows, error = ?error.0, "a stream of rows was cut");
                match state.format {
                    Format::Json => Err(error),
                    // A line that is no row, and the last one.
                    Format::Ndjson => Ok(envelope::failure_line(&error)),
                }
            }
        };
        Some((piece, state))
    });
    let body = stream::iter([Ok(first)]).chain(rest).boxed();
    Ok(Streamed { content_type: format.content_type(), body })
}

impl State {
    /// The next step as it is sent.
    async fn piece(&mut self) -> Result<Bytes> {
        let step = step_rows(PIECE_BYTES, self.rows, self.bytes);
        let (read, more) = self.reader.read(step).await?;
        if let Some(last) = read.last() {
            self.reader.advance(&last.row);
        }
        self.ended = !more;
        let mut piece = Vec::with_capacity(read.iter().map(length).sum::<usize>() + 256);
        if self.rows == 0 && self.format == Format::Json {
            piece.extend_from_slice(b"{\"success\":true,\"data\":[");
        }
        for step in &read {
            if self.rows > 0 && self.format == Format::Json {
                piece.push(b',');
            }
            piece.extend_from_slice(step.raw.0.get().as_bytes());
            if self.format == Format::Ndjson {
                piece.push(b'\n');
            }
            self.rows += 1;
        }
        self.bytes += read.iter().map(length).sum::<usize>();
        if self.ended && self.format == Format::Json {
            let meta = json!({
                "table": self.table,
                "rows": self.rows,
                "next_cursor": null,
                "operation": self.operation,
            });
            piece.extend_from_slice(format!("],\"meta\":{meta}}}").as_bytes());
        }
        Ok(piece.into())
    }
}

fn length(step: &Step) -> usize {
    step.raw.0.get().len() + 1
}
