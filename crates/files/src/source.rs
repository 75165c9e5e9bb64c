//! Where a table comes from: a file or a pipe, and what is inside it.

use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use crate::error::{Defect, Fault};
use crate::{Format, InputError};

/// The longest run of blank bytes that is looked through for the first one that says what the format is.
const SNIFF_BYTES_MAX: usize = 64 * 1024;

/// An input that has not been read yet.
pub struct Source {
    name: String,
    format: Option<Format>,
    input: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// The file at `path`, or standard input for `-`.
    ///
    /// # Errors
    /// It cannot be opened, or it is a file whose name does not end like a table's.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        if path == Path::new("-") {
            return Ok(Self::reader("standard input", None, io::stdin()));
        }
        let name = path.display().to_string();
        let cannot = |source| InputError::Open { name: name.clone(), source };
        let found = fs::metadata(path).map_err(cannot)?;
        if found.is_dir() {
            return Err(cannot(ErrorKind::IsADirectory.into()));
        }
        let format = Format::of_path(path);
        // A pipe with a name (`<(command)`) has no ending; it is looked into like standard input.
        if format.is_none() && found.is_file() {
            return Err(InputError::Format { name });
        }
        let file = File::open(path).map_err(cannot)?;
        Ok(Self::reader(&name, format, file))
    }

    /// Anything that can be read; `name` stands in errors. Without a format the first byte decides.
    pub fn reader(name: &str, format: Option<Format>, input: impl Read + Send + 'static) -> Self {
        Self { name: name.to_owned(), format, input: Box::new(input) }
    }

    /// The content's fingerprint, as [`Spooled`](crate::Spooled) has it, without checking or keeping anything: to see
    /// whether a resumed run still has the input it began with.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn fingerprint(self) -> Result<String, InputError> {
        let name = self.name.clone();
        let unreadable = |error| Defect { line: 1, fault: Fault::Unreadable(error) }.in_file(&name);
        let mut opened = self.start()?;
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut opened.input, &mut hasher).map_err(unreadable)?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Reads as much as it takes to drop a byte order mark and to know the format.
    pub(crate) fn start(self) -> Result<Opened, InputError> {
        let Self { name, format, mut input } = self;
        let defect = |fault| Defect { line: 1, fault }.in_file(&name);
        let mut head = Vec::new();
        let unreadable = |error| defect(Fault::Unreadable(error));
        read_more(&mut input, &mut head, 3).map_err(unreadable)?;
        if head.starts_with(b"\xEF\xBB\xBF") {
            head.clear();
        } else if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
            return Err(defect(Fault::Utf16));
        }
        let format = match format {
            Some(format) => format,
            None => sniff(&mut input, &mut head).map_err(unreadable)?,
        };
        Ok(Opened { name, format, input: Box::new(Cursor::new(head).chain(input)) })
    }
}

/// A [`Source`] without its byte order mark and with a format.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) input: Box<dyn Read + Send>,
}

/// `{` first is JSONL, anything else CSV. What is read on the way is added to `head`.
fn sniff(input: &mut impl Read, head: &mut Vec<u8>) -> io::Result<Format> {
    loop {
        if let Some(first) = head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok(if *first == b'{' { Format::Jsonl } else { Format::Csv });
        }
        if head.len() >= SNIFF_BYTES_MAX || read_more(input, head, 1)? == 0 {
            return Ok(Format::Csv);
        }
    }
}

/// Adds up to `bytes_max` bytes to `head`, fewer only at the end of the input; answers how many.
fn read_more(input: &mut impl Read, head: &mut Vec<u8>, bytes_max: u64) -> io::Result<usize> {
    input.take(bytes_max).read_to_end(head)
}
