//! Writes the recording of one run, a line at a time.
//!
//! Lines are written where they come about, under a lock and without a queue: what is in the hands of the operating system
//! survives the process, and nothing has to wait in memory. A file that cannot be written to ends the recording, not the run.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_clock::Clock;
use paceline_model::{CellState, RowId, Run, TaskReport, TaskStep, Value, limits};
use serde_json::Value as Json;

use super::RecordingFile;
use super::format::{Call, Cell, End, Full, Header, Line, Resumed, Row};
use super::veil::Veil;

/// Kept free for the lines that say that the recording is full, and how the run stopped.
const LAST_LINES_BYTES: u64 = 4 * 1024;
/// Why a row is left out: the value of an earlier run was taken.
pub(crate) const REUSED: &str = "REUSED";
/// Why a row is left out: nothing has moved since its cell was made.
pub(crate) const UNCHANGED: &str = "UNCHANGED";

/// See the module.
pub(crate) struct Recorder {
    clock: Clock,
    veil: Veil,
    /// By the place of each column in a row's values: whether they go into secrets.
    secret: Vec<bool>,
    /// Makes the words that stand for such values.
    words: [u8; blake3::KEY_LEN],
    state: Mutex<State>,
}

struct State {
    out: RecordingFile,
    /// What rows bring that is secret, until their cells have ended.
    rows: HashMap<RowId, Veil>,
    lines: u64,
    left_out: u64,
    full: bool,
    broken: bool,
}

impl Recorder {
    /// Begins a recording with its header, or goes on with one that has one.
    pub(crate) fn begin(
        clock: Clock,
        out: RecordingFile,
        header: Header,
        veil: Veil,
        words: [u8; blake3::KEY_LEN],
    ) -> Self {
        let secret = header.inputs.iter().map(|column| column.secret).collect();
        let goes_on = out.bytes > 0;
        let rows = HashMap::new();
        let state = State { out, rows, lines: 0, left_out: 0, full: false, broken: false };
        let recorder = Self { clock, veil, secret, words, state: Mutex::new(state) };
        let at_us = recorder.now_us();
        let first = if goes_on {
            Line::Resumed(Resumed { at_us })
        } else {
            Line::Recording(Box::new(header))
        };
        let mut state = recorder.lock();
        state.put_always(&first);
        if state.out.bytes == 0 && !state.broken {
            let error = std::io::Error::other("its header alone is longer than a recording may be");
            state.breaks(&error);
        }
        drop(state);
        recorder
    }

    /// A row is taken up; `left_out` says why nothing is to be called for it.
    pub(crate) fn row(&self, row: RowId, inputs: &[Value], left_out: Option<&str>) {
        let mut own = Veil::default();
        let mut values = Vec::with_capacity(inputs.len());
        for (value, secret) in inputs.iter().zip(&self.secret) {
            if *secret && !value.is_null() {
                let text = value.to_text();
                let word = self.word_for(&text);
                own.hide(&text, &word);
                values.push(Json::String(word));
            } else {
                values.push(self.veil.json(value.to_json()));
            }
        }
        // The other values of a row may repeat what is secret in one.
        let values = values.into_iter().map(|value| own.json(value)).collect();
        let mut state = self.lock();
        if !own.is_empty() {
            state.rows.insert(row, own);
        }
        let left_out = left_out.map(str::to_owned);
        state.put(&Line::Row(Row { row, values, left_out }), self.now_us());
    }

    pub(super) fn call(&self, call: Call) {
        self.lock().put(&Line::Call(Box::new(call)), self.now_us());
    }

    /// The cell of a report comes to its end.
    pub(crate) fn ended(&self, report: &TaskReport) {
        let TaskStep::Finish { state, value, error } = &report.step else { return };
        let veil = self.veil_of(report.row);
        let value = value.as_ref().filter(|_| *state == CellState::Completed);
        let cell = Cell {
            row: report.row,
            state: *state,
            value: value.map(|value| veil.json(value.to_json())).unwrap_or_default(),
            error: error.as_ref().map(|error| error.code.clone()),
            message: error.as_ref().map(|error| veil.text(&error.message)),
        };
        let mut state = self.lock();
        state.rows.remove(&report.row);
        state.put(&Line::Cell(cell), self.now_us());
    }

    /// The run stops.
    pub(crate) fn stopped(&self, run: &Run) {
        let mut state = self.lock();
        let (lines, left_out) = (state.lines, state.left_out);
        let reason = run.reason.as_deref().map(|reason| self.veil.text(reason));
        let end = End { at_us: self.now_us(), status: run.status, reason, lines, left_out };
        state.put_always(&Line::End(end));
        if let Err(error) = state.out.file.flush() {
            state.breaks(&error);
        }
    }

    /// What is hidden in what belongs to a row.
    pub(super) fn veil_of(&self, row: RowId) -> Veil {
        let mut veil = self.lock().rows.get(&row).cloned().unwrap_or_default();
        veil.add(&self.veil);
        veil
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The word that stands for a secret value: always the same one for the same value, so that equal rows stay equal.
    fn word_for(&self, text: &str) -> String {
        format!("masked_{}", &blake3::keyed_hash(&self.words, text.as_bytes()).to_hex()[..16])
    }

    fn now_us(&self) -> i64 {
        self.clock.wall().as_micros()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a line if there is room for it; if there is none, it is counted, and the first time the file says so.
    fn put(&mut self, line: &Line, now_us: i64) {
        if self.broken {
            return;
        }
        let Some(text) = text_of(line) else {
            self.left_out += 1;
            return;
        };
        if self.full || self.out.bytes + text.len() as u64 + LAST_LINES_BYTES > self.out.bytes_max {
            self.left_out += 1;
            if !self.full {
                self.full = true;
                self.put_always(&Line::Full(Full { at_us: now_us }));
            }
            return;
        }
        self.lines += 1;
        self.write(&text);
    }

    /// Writes a line into the room that is kept for such lines.
    fn put_always(&mut self, line: &Line) {
        let Some(text) = text_of(line).filter(|_| !self.broken) else { return };
        if self.out.bytes + text.len() as u64 <= self.out.bytes_max {
            self.write(&text);
        }
    }

    fn write(&mut self, text: &str) {
        match self.out.file.write_all(text.as_bytes()) {
            Ok(()) => self.out.bytes += text.len() as u64,
            Err(error) => self.breaks(&error),
        }
    }

    fn breaks(&mut self, error: &std::io::Error) {
        self.broken = true;
        tracing::warn!(%error, "the recording cannot be written to and ends here; the run goes on without it");
    }
}

/// A line as it is written; none for one that no reader would take.
fn text_of(line: &Line) -> Option<String> {
    let mut text = serde_json::to_string(line).ok()?;
    text.push('\n');
    (text.len() <= limits::RECORDING_LINE_BYTES_MAX).then_some(text)
}
