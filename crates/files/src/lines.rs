//! JSONL, line by line, in bounded memory.

use std::io::{BufRead, ErrorKind, Read};

use crate::ROW_BYTES_MAX;
use crate::error::{Defect, Fault};

/// Reads one line after another, blank ones left out.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    line: u64,
    text: String,
    /// Whether the line was longer than a row may be and has not ended.
    cut: bool,
}

/// One line as read: not blank, and so far not known to be JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// As written, without the line feed; a carriage return before it is still there.
    pub(crate) text: &'a str,
    /// Its number, from 1.
    pub(crate) line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: 0, text: String::new(), cut: false }
    }

    /// What there is of the line that [`Lines::next`] refused, and its number.
    pub(crate) fn refused(&self) -> (&str, u64) {
        (&self.text, self.line)
    }

    /// Goes on behind a line that was refused.
    pub(crate) fn skip(&mut self) -> Result<(), Defect> {
        while self.cut {
            let block = match self.input.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Defect { line: self.line, fault: Fault::Unreadable(error) });
                }
            };
            let end = block.iter().position(|byte| *byte == b'\n');
            self.cut = end.is_none() && !block.is_empty();
            let used = end.map_or(block.len(), |end| end + 1);
            self.input.consume(used);
        }
        Ok(())
    }

    /// The next line that is not blank, or nothing at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, Defect> {
        loop {
            self.line += 1;
            let line = self.line;
            let mut raw = std::mem::take(&mut self.text).into_bytes();
            raw.clear();
            // One byte more than a row may have, and its line feed.
            let bytes_max = u64::try_from(ROW_BYTES_MAX + 2).unwrap_or(u64::MAX);
            match (&mut self.input).take(bytes_max).read_until(b'\n', &mut raw) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(Defect { line, fault: Fault::Unreadable(error) }),
            }
            let whole = raw.pop_if(|byte| *byte == b'\n').is_some();
            let too_long = raw.len() > ROW_BYTES_MAX;
            match String::from_utf8(raw) {
                Ok(text) => self.text = text,
                // A character that the limit cut in two is no fault of its own.
                Err(error) if too_long && error.utf8_error().error_len().is_none() => {}
                Err(error) => {
                    self.cut = !whole;
                    self.text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    let byte =
                        u64::try_from(error.utf8_error().valid_up_to() + 1).unwrap_or(u64::MAX);
                    return Err(Defect { line, fault: Fault::NotUtf8 { byte } });
                }
            }
            if too_long {
                self.cut = !whole;
                return Err(Defect { line, fault: Fault::RowLong });
            }
            let blank = self.text.bytes().all(|byte| byte.is_ascii_whitespace());
            if !blank {
                return Ok(Some(Line { text: &self.text, line }));
            }
            if !whole {
                return Ok(None);
            }
        }
    }
}
