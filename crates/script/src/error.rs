//! What can go wrong with a script, by what its author does about it.

use serde::{Deserialize, Serialize};

/// Characters of what a script threw that a message repeats.
const TOLD_CHARS_MAX: usize = 300;

/// Why a script gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}{}", .line.map_or_else(String::new, |line| format!(" (line {line})")))]
pub struct ScriptError {
    /// Which kind of fault.
    pub code: ScriptCode,
    /// What went wrong and what to do.
    pub message: String,
    /// The line of the script where it happened, from 1, if that is known.
    pub line: Option<u32>,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptCode {
    /// It is not JavaScript, or not what is asked for: no row can work.
    Source,
    /// It threw.
    Error,
    /// It took too long.
    Timeout,
    /// It took too much memory.
    Memory,
    /// What it returned is no value of a cell.
    Result,
    /// The process that ran it died.
    Crashed,
}

impl ScriptCode {
    /// The code that programs act on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "SCRIPT_INVALID",
            Self::Error => "SCRIPT_ERROR",
            Self::Timeout => "SCRIPT_TIMEOUT",
            Self::Memory => "SCRIPT_MEMORY",
            Self::Result => "SCRIPT_RESULT",
            Self::Crashed => "FUNCTION_CRASHED",
        }
    }
}

impl ScriptError {
    /// One without a line.
    pub(crate) fn new(code: ScriptCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), line: None }
    }

    pub(crate) fn timeout(limit: std::time::Duration) -> Self {
        let message = format!(
            "took longer than {} ms and was stopped; let it do less for a row",
            limit.as_millis()
        );
        Self::new(ScriptCode::Timeout, message)
    }

    pub(crate) fn memory(bytes: usize) -> Self {
        let message = format!(
            "took more than {} MiB of memory and was stopped; let it keep less at a time",
            bytes >> 20
        );
        Self::new(ScriptCode::Memory, message)
    }
}

/// What a script said, cut to what a message repeats.
pub(crate) fn told(text: &str) -> String {
    match text.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
