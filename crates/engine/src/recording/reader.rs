//! Reads recordings, whatever is in the file.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use paceline_clock::Timestamp;
use paceline_model::{RowId, limits};
use serde_json::Value as Json;

use super::format::{Call, Cell, End, Header, Line, Row, VERSION};

/// A recording in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What was recorded.
    pub header: Header,
    /// The rows that the run took up.
    pub rows: BTreeMap<RowId, Row>,
    /// The calls in the order in which they began.
    pub calls: Vec<Call>,
    /// How cells ended; a cell without one was not at its end when the recording stopped.
    pub cells: BTreeMap<RowId, Cell>,
    /// How the run stopped; none if the process was killed.
    pub end: Option<End>,
    /// Whether something was left out because the recording was full.
    pub is_full: bool,
    /// How often the run went on after it had stopped.
    pub resumed: u32,
    /// Whether its last line is cut off, as a killed process leaves it.
    pub is_torn: bool,
    ended_us: i64,
}

/// Why a file is no recording that can be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as recordings do.
    #[error(
        "it is no recording: {0}; make one with `paceline enrich --record FILE`, or with `record` of run_column"
    )]
    NotOne(String),
    /// It is of another version.
    #[error(
        "it is a recording of version {found}, and this program reads version {VERSION}; replay it with the program that made it"
    )]
    Version {
        /// The version that it says.
        found: u64,
    },
    /// A line in it is none.
    #[error("line {number} is damaged: {problem}; only a file as it was written can be replayed")]
    Line {
        /// Which one, from 1.
        number: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A line is longer than any that is written.
    #[error(
        "line {number} is longer than {} bytes, which no recording has",
        limits::RECORDING_LINE_BYTES_MAX
    )]
    LongLine {
        /// Which one, from 1.
        number: u64,
    },
    /// It is longer than what is read.
    #[error("it is longer than {} bytes; record fewer rows", limits::RECORDING_READ_BYTES_MAX)]
    TooLong,
}

impl Recording {
    /// Reads a recording to its end. Of half a line at the end nothing is taken; [`Recording::is_torn`] says that it was there.
    ///
    /// # Errors
    /// [`RecordingError`] says which line is wrong, and how.
    ///
    /// ```
    /// use paceline_engine::Recording;
    /// let error = Recording::read("name,city\n".as_bytes()).unwrap_err();
    /// assert!(error.to_string().starts_with("it is no recording"));
    /// ```
    pub fn read(from: impl BufRead) -> Result<Self, RecordingError> {
        let mut lines = Lines { from: from.take(limits::RECORDING_READ_BYTES_MAX + 1), number: 0 };
        let Some((first, _)) = lines.next()? else {
            return Err(RecordingError::NotOne("the file is empty".to_owned()));
        };
        let mut recording = Self::of(header(&first)?);
        while let Some((line, whole)) = lines.next()? {
            match serde_json::from_slice(&line) {
                Ok(line) => recording.add(line, lines.number)?,
                Err(_) if !whole => recording.is_torn = true,
                Err(error) => {
                    let problem = error.to_string();
                    return Err(RecordingError::Line { number: lines.number, problem });
                }
            }
        }
        if lines.from.limit() == 0 {
            return Err(RecordingError::TooLong);
        }
        // They are written when they end.
        recording.calls.sort_by_key(|call| (call.at_us, call.row, call.attempt));
        Ok(recording)
    }

    /// Reads the header alone.
    ///
    /// # Errors
    /// As [`Recording::read`].
    pub fn read_header(from: impl BufRead) -> Result<Header, RecordingError> {
        let mut lines = Lines { from: from.take(limits::RECORDING_READ_BYTES_MAX + 1), number: 0 };
        match lines.next()? {
            Some((first, _)) => header(&first),
            None => Err(RecordingError::NotOne("the file is empty".to_owned())),
        }
    }

    fn of(header: Header) -> Self {
        Self {
            ended_us: header.at_us,
            header,
            rows: BTreeMap::new(),
            calls: Vec::new(),
            cells: BTreeMap::new(),
            end: None,
            is_full: false,
            is_torn: false,
            resumed: 0,
        }
    }

    fn add(&mut self, line: Line, number: u64) -> Result<(), RecordingError> {
        match line {
            Line::Recording(_) => {
                let problem = "another recording begins here".to_owned();
                return Err(RecordingError::Line { number, problem });
            }
            Line::Row(row) if row.values.len() != self.header.inputs.len() => {
                let (found, wanted) = (row.values.len(), self.header.inputs.len());
                let problem = format!("the row has {found} values, and there are {wanted} columns");
                return Err(RecordingError::Line { number, problem });
            }
            Line::Row(row) => {
                // A row that was taken up again is what it was before.
                self.rows.entry(row.row).or_insert(row);
            }
            Line::Call(call) => {
                let took_us = i64::try_from(call.took_us).unwrap_or(i64::MAX);
                self.ended_us = self.ended_us.max(call.at_us.saturating_add(took_us));
                self.calls.push(*call);
            }
            Line::Cell(cell) => {
                self.cells.insert(cell.row, cell);
            }
            Line::Resumed(_) => {
                self.resumed = self.resumed.saturating_add(1);
                self.end = None;
            }
            Line::Full(_) => self.is_full = true,
            Line::End(end) => {
                self.ended_us = self.ended_us.max(end.at_us);
                self.is_full |= end.left_out > 0;
                self.end = Some(end);
            }
        }
        Ok(())
    }

    /// When it began.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        Timestamp::from_micros(self.header.at_us)
    }

    /// From its beginning to the last that was seen of it; pauses count.
    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        Timestamp::from_micros(self.ended_us).since(self.began_at())
    }

    /// Calls that the vendor refused for their rate.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let status = |call: &&Call| call.head.as_ref().is_some_and(|head| head.status == 429);
        self.calls.iter().filter(status).count() as u64
    }
}

/// The first line.
fn header(line: &[u8]) -> Result<Header, RecordingError> {
    let not_one = |why: &str| RecordingError::NotOne(why.to_owned());
    let json: Json = serde_json::from_slice(line)
        .map_err(|_| not_one("its first line is not JSON, or is cut off"))?;
    let header = json.get("recording").ok_or_else(|| not_one("its first line is not a header"))?;
    let found = header.get("version").and_then(Json::as_u64);
    let found = found.ok_or_else(|| not_one("its header has no version"))?;
    if found != u64::from(VERSION) {
        return Err(RecordingError::Version { found });
    }
    match serde_json::from_value(json) {
        Ok(Line::Recording(header)) => Ok(*header),
        Ok(_) => Err(not_one("its first line is not a header")),
        Err(error) => Err(RecordingError::Line { number: 1, problem: error.to_string() }),
    }
}

/// Lines, none longer in memory than a recording has them.
struct Lines<R> {
    from: io::Take<R>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end, and whether it has one; empty lines are passed over.
    fn next(&mut self) -> Result<Option<(Vec<u8>, bool)>, RecordingError> {
        let max = limits::RECORDING_LINE_BYTES_MAX;
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let read = self.from.by_ref().take(max as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            let whole = line.pop_if(|byte| *byte == b'\n').is_some();
            if line.len() > max {
                return Err(RecordingError::LongLine { number: self.number });
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((line, whole)));
            }
        }
    }
}
