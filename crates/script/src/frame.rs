//! What goes between a process and its child: a length (four bytes, the low one first) and that many bytes of JSON.

use std::io::{self, Read, Write};

use paceline_model::limits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::ScriptError;
use crate::realm::Face;

/// Bytes of one frame: a script and arguments of the largest size, written as JSON.
pub(crate) const FRAME_BYTES_MAX: usize =
    2 * (limits::FUNCTION_BYTES_MAX + limits::REQUEST_BODY_BYTES_MAX);

/// One call of a script.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallFrame<'a> {
    /// Where it runs.
    #[serde(default)]
    pub(crate) face: Face,
    /// What evaluates to a function.
    pub(crate) source: std::borrow::Cow<'a, str>,
    /// The argument; of a formula a list of them.
    pub(crate) row: std::borrow::Cow<'a, Json>,
    /// Time for it.
    pub(crate) timeout_ms: u64,
    /// Memory for it.
    pub(crate) memory_bytes: usize,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnswerFrame {
    /// What it returned, or why it did not.
    pub(crate) outcome: Result<Json, ScriptError>,
}

/// A frame as bytes.
pub(crate) fn encoded<T: Serialize>(frame: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = bytes.len() - 4;
    let Some(length) = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX) else {
        return Err(too_long(length));
    };
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// The length that a frame begins with.
pub(crate) fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > FRAME_BYTES_MAX { Err(too_long(length)) } else { Ok(length) }
}

/// Reads a frame; `None` if the other side has closed.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = vec![0; length(head)?];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Writes a frame.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, frame: &T) -> io::Result<()> {
    to.write_all(&encoded(frame)?)?;
    to.flush()
}

fn too_long(length: usize) -> io::Error {
    let problem = format!("a frame of {length} bytes is over the limit of {FRAME_BYTES_MAX}");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
