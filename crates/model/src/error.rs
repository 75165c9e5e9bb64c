//! What can go wrong with the nouns, by what the caller does about it. Absence is not an error: a look-up answers `Option`.

/// The result of a store or model call.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the model or the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong and stays wrong; nothing happened.
    #[error("{0}")]
    Invalid(String),
    /// Something of that name exists already; nothing happened.
    #[error("{0}")]
    Exists(String),
    /// What the call is about is not there (any more); nothing happened.
    #[error("{0}")]
    Missing(String),
    /// The state of things does not allow it now; nothing happened.
    #[error("{0}")]
    Conflict(String),
    /// The database refused or failed; the transaction was rolled back.
    #[error("the database failed: {message}")]
    Database {
        /// What the driver said, without any value of a row.
        message: String,
        /// Whether the same call may succeed later (locked, out of space and then not).
        retryable: bool,
    },
    /// What was read from the database cannot be what was written: it was damaged, or written by a newer version.
    #[error("the stored data is not readable: {0}")]
    Corrupt(String),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Database { retryable: true, .. })
    }

    /// The code that programs act on, as in the platform's error envelope.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "VALIDATION_ERROR",
            Self::Exists(_) => "ALREADY_EXISTS",
            Self::Missing(_) => "NOT_FOUND",
            Self::Conflict(_) => "CONFLICT",
            Self::Database { .. } => "DATABASE_ERROR",
            Self::Corrupt(_) => "DATA_CORRUPT",
        }
    }
}
