//! CSV and TSV, record by record, in bounded memory.
//!
//! The rules are those of RFC 4180 as the `csv` crate reads them (a property test holds the two together): a quote
//! opens a field only at its beginning, a doubled quote inside is one, a record ends at LF, CR LF or CR, and a blank
//! line is no record. Unlike that crate it refuses a cell as soon as it is too long, knows where a quote was left open,
//! and gives back the record as written, so that a new field can be added without touching the others.

use std::borrow::Cow;
use std::io::{BufRead, ErrorKind};
use std::ops::Range;

use paceline_model::limits;

use crate::ROW_BYTES_MAX;
use crate::error::{Defect, Fault};
use crate::quote::unquote;

/// Reads one record after another.
#[derive(Debug)]
pub(crate) struct Records<R> {
    input: R,
    delimiter: u8,
    /// The line that the next byte is on, and whether the last one was CR: an LF after it ends no second line.
    line: u64,
    after_cr: bool,
    record: Current,
    /// Where a record stood when it turned out to be too long.
    cut_at: Option<State>,
}

/// The record that is being read.
#[derive(Debug, Default)]
struct Current {
    /// The record as written, without the end of its line.
    raw: Vec<u8>,
    /// The same once it is known to be UTF-8; `raw` and `text` pass one allocation to and fro.
    text: String,
    /// The first fields; as many as a table can have.
    fields: Vec<Field>,
    /// All fields, also those that are not kept.
    fields_count: usize,
    line: u64,
    field: OpenField,
    ending: &'static str,
}

/// The field that is being read.
#[derive(Debug, Default)]
struct OpenField {
    start: usize,
    line: u64,
    quoted: bool,
    /// Bytes of its content, without the quotes around it and with doubled ones counted once.
    bytes: usize,
}

#[derive(Debug)]
struct Field {
    raw: Range<usize>,
    quoted: bool,
}

/// One record as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// As written, without the end of its line.
    pub(crate) text: &'a str,
    /// The line it begins on.
    pub(crate) line: u64,
    /// How many fields it has.
    pub(crate) len: usize,
    /// The end of its line; empty at the end of a file that ends without one.
    pub(crate) ending: &'static str,
    fields: &'a [Field],
}

impl<'a> Record<'a> {
    /// The content of the field at `index`, from 0.
    pub(crate) fn field(&self, index: usize) -> Option<Cow<'a, str>> {
        let field = self.fields.get(index)?;
        let raw = &self.text[field.raw.clone()];
        Some(if field.quoted { unquote(raw) } else { Cow::Borrowed(raw) })
    }

    /// The content of every field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let record = *self;
        (0..self.fields.len()).filter_map(move |index| record.field(index))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted field: its end, or half of a doubled one.
    QuoteInQuoted,
    /// After CR: the LF that belongs to it may follow.
    AfterCr,
    Done,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R, delimiter: u8) -> Self {
        let record = Current::default();
        Self { input, delimiter, line: 1, after_cr: false, record, cut_at: None }
    }

    /// The next record, or nothing at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Defect> {
        let read = self.read();
        // What is not text is said first: it explains whatever else looks wrong.
        let record = &mut self.record;
        record.text = match String::from_utf8(std::mem::take(&mut record.raw)) {
            Ok(text) => text,
            Err(error) => {
                let cut_short = read.is_err() && error.utf8_error().error_len().is_none();
                record.text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                if !cut_short {
                    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                    return Err(not_utf8(record.line, valid));
                }
                std::mem::take(&mut record.text)
            }
        };
        if !read? {
            return Ok(None);
        }
        let Current { text, fields, fields_count, line, ending, .. } = &self.record;
        Ok(Some(Record { text, line: *line, len: *fields_count, ending, fields }))
    }

    /// What there is of the record that [`Records::next`] refused, and the line it begins on.
    pub(crate) fn refused(&self) -> (&str, u64) {
        (&self.record.text, self.record.line)
    }

    /// Goes on behind a record that was refused; false if that was the last one.
    pub(crate) fn skip(&mut self) -> Result<bool, Defect> {
        match self.cut_at.take() {
            Some(state) => self.go_on(state, false),
            None => Ok(true),
        }
    }

    /// Reads up to the end of a record; false if there is none left.
    fn read(&mut self) -> Result<bool, Defect> {
        self.record.clear();
        self.cut_at = None;
        self.go_on(State::RecordStart, true)
    }

    /// Reads on from `state` to the end of the record, which is kept or passed over.
    fn go_on(&mut self, mut state: State, keep: bool) -> Result<bool, Defect> {
        while state != State::Done {
            let block = match self.input.fill_buf() {
                Ok([]) => return self.end(state),
                Ok(block) => block,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Defect { line: self.line, fault: Fault::Unreadable(error) });
                }
            };
            let mut used = 0;
            while used < block.len() && state != State::Done {
                let run = run_length(state, &block[used..], self.delimiter);
                if run > 0 {
                    let bytes = &block[used..used + run];
                    count_lines(bytes, &mut self.line, &mut self.after_cr);
                    self.record.raw.extend_from_slice(bytes);
                    self.record.field.bytes += run;
                    used += run;
                } else {
                    let byte = block[used];
                    let line = self.line;
                    let (next, taken) = self.record.step(state, byte, line, self.delimiter);
                    if taken {
                        count_lines(&[byte], &mut self.line, &mut self.after_cr);
                        used += 1;
                    }
                    state = next;
                }
                if !keep {
                    self.record.raw.clear();
                } else if let Err(defect) = self.record.check_size() {
                    self.input.consume(used);
                    self.cut_at = Some(state);
                    return Err(defect);
                }
            }
            self.input.consume(used);
        }
        Ok(true)
    }

    /// The input has ended in this state.
    fn end(&mut self, state: State) -> Result<bool, Defect> {
        match state {
            State::RecordStart => return Ok(false),
            State::Quoted => {
                return Err(Defect { line: self.record.field.line, fault: Fault::QuoteOpen });
            }
            State::FieldStart | State::Plain | State::QuoteInQuoted => self.record.end_field(),
            State::AfterCr | State::Done => {}
        }
        Ok(true)
    }
}

impl Current {
    fn clear(&mut self) {
        self.raw = std::mem::take(&mut self.text).into_bytes();
        self.raw.clear();
        self.fields.clear();
        self.fields_count = 0;
        self.ending = "";
    }

    /// What one byte does: the state after it, and whether it was used up.
    fn step(&mut self, state: State, byte: u8, line: u64, delimiter: u8) -> (State, bool) {
        match (state, byte) {
            (State::RecordStart, b'\r' | b'\n') => (State::RecordStart, true),
            (State::RecordStart, _) => {
                self.line = line;
                self.begin_field(line);
                (State::FieldStart, false)
            }
            (State::FieldStart, b'"') => {
                self.field.quoted = true;
                self.raw.push(byte);
                (State::Quoted, true)
            }
            (State::Quoted, _) => {
                self.raw.push(byte);
                (State::QuoteInQuoted, true)
            }
            (State::QuoteInQuoted, b'"') => {
                self.raw.push(byte);
                self.field.bytes += 1;
                (State::Quoted, true)
            }
            (State::AfterCr, b'\n') => {
                self.ending = "\r\n";
                (State::Done, true)
            }
            (State::AfterCr | State::Done, _) => (State::Done, false),
            (_, b'\n') => {
                self.end_field();
                self.ending = "\n";
                (State::Done, true)
            }
            (_, b'\r') => {
                self.end_field();
                self.ending = "\r";
                (State::AfterCr, true)
            }
            (_, byte) if byte == delimiter => {
                self.end_field();
                self.raw.push(byte);
                self.begin_field(line);
                (State::FieldStart, true)
            }
            // The byte itself is taken with the run that begins here.
            _ => (State::Plain, false),
        }
    }

    fn begin_field(&mut self, line: u64) {
        self.field = OpenField { start: self.raw.len(), line, quoted: false, bytes: 0 };
    }

    fn end_field(&mut self) {
        self.fields_count += 1;
        if self.fields.len() < limits::TABLE_COLUMNS_MAX {
            let raw = self.field.start..self.raw.len();
            self.fields.push(Field { raw, quoted: self.field.quoted });
        }
    }

    fn check_size(&self) -> Result<(), Defect> {
        if self.field.bytes > limits::VALUE_BYTES_MAX {
            let fault =
                Fault::CellLong { position: self.fields_count + 1, quoted: self.field.quoted };
            return Err(Defect { line: self.field.line, fault });
        }
        if self.raw.len() > ROW_BYTES_MAX {
            return Err(Defect { line: self.line, fault: Fault::RowLong });
        }
        Ok(())
    }
}

/// How many of the next bytes are plain content.
fn run_length(state: State, bytes: &[u8], delimiter: u8) -> usize {
    let end = match state {
        State::Plain => {
            bytes.iter().position(|&byte| byte == delimiter || byte == b'\n' || byte == b'\r')
        }
        State::Quoted => bytes.iter().position(|&byte| byte == b'"'),
        _ => Some(0),
    };
    end.unwrap_or(bytes.len())
}

fn count_lines(bytes: &[u8], line: &mut u64, after_cr: &mut bool) {
    for &byte in bytes {
        if byte == b'\r' || (byte == b'\n' && !*after_cr) {
            *line += 1;
        }
        *after_cr = byte == b'\r';
    }
}

/// Where the text stops being UTF-8: after `valid`, which begins on `line`.
fn not_utf8(mut line: u64, valid: &[u8]) -> Defect {
    count_lines(valid, &mut line, &mut false);
    let line_start =
        valid.iter().rposition(|&byte| byte == b'\n' || byte == b'\r').map_or(0, |at| at + 1);
    let byte = u64::try_from(valid.len() - line_start + 1).unwrap_or(u64::MAX);
    Defect { line, fault: Fault::NotUtf8 { byte } }
}
