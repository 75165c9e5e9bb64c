//! What went wrong with one call, in the words of whoever asked for it.

use std::time::Duration;

use paceline_governor::{Outcome, OutcomeClass, Refused, Transport, classify_transport};

use crate::codes;

/// A call that did not bring what it was made for. No text holds the token, whatever the server wrote.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token was refused, and so was what its source said then; or there is none.
    #[error("{0}")]
    NoCredentials(String),
    /// Refused for the rate; the budget pauses for this long.
    #[error("{message}")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
        /// What was tried, and what came back.
        message: String,
    },
    /// Hex (or something before it) answered with an error.
    #[error("{message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What was tried, what came back, what to do.
        message: String,
    },
    /// An answer that says success and cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// No answer.
    #[error("{message}")]
    Transport {
        /// In which way.
        kind: Transport,
        /// What was tried, and what happened.
        message: String,
    },
    /// The budget let nothing through.
    #[error("{0}")]
    Budget(#[from] Refused),
}

impl Error {
    /// The code in tables and JSON.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredentials(_) => codes::NO_CREDENTIALS,
            Self::Throttled { .. } | Self::Budget(_) => codes::THROTTLED,
            Self::Status { .. } | Self::Unreadable(_) => codes::HTTP_STATUS,
            Self::Transport { .. } => codes::NO_CONNECTION,
        }
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Budget(_) | Self::Unreadable(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 499..=599),
            Self::Transport { kind, .. } => {
                classify_transport(*kind).class == OutcomeClass::Transient
            }
            Self::NoCredentials(_) => false,
        }
    }

    /// What it means for a retry.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Throttled { retry_after, .. } => {
                Outcome { retry_after: Some(*retry_after), ..Outcome::of(OutcomeClass::Throttled) }
            }
            Self::Budget(_) => Outcome::of(OutcomeClass::Throttled),
            error if error.may_pass() => Outcome::of(OutcomeClass::Transient),
            _ => Outcome::of(OutcomeClass::RowCaused),
        }
    }
}
