//! How a command ends: exit codes are an interface, documented in the README.

use std::fmt;
use std::process::ExitCode;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// A replay ended otherwise than its recording.
    Different = 1,
    /// Wrong usage or input; nothing was done.
    Usage = 2,
    /// Some cells failed; the rest is written.
    SomeFailed = 3,
    /// Paused: the breaker or the credentials.
    Paused = 4,
    /// Some outcomes are unknown.
    SomeUnknown = 5,
    /// Interrupted; the state is kept.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that cannot go on: one line for the person, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Another process holds what was to be opened; it may let go.
    pub(crate) is_busy: bool,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Wrong usage or input, or a machine that does not let us work: nothing was done.
pub(crate) fn usage(message: impl fmt::Display) -> Failure {
    Failure { exit: Exit::Usage, is_busy: false, message: message.to_string() }
}

/// Another process holds what was to be opened.
pub(crate) fn busy(message: impl fmt::Display) -> Failure {
    Failure { is_busy: true, ..usage(message) }
}

/// The vendor refuses the credentials.
pub(crate) fn paused(message: impl fmt::Display) -> Failure {
    Failure { exit: Exit::Paused, ..usage(message) }
}

/// Ctrl-C before there was anything to go on with.
pub(crate) fn interrupted(message: impl fmt::Display) -> Failure {
    Failure { exit: Exit::Interrupted, ..usage(message) }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        usage(error)
    }
}
