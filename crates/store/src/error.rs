//! From what the driver says to what the caller does about it. Messages name tables and constraints, never a value.

use paceline_model::Error;
use rusqlite::ErrorCode;

/// What goes wrong inside this crate: a model error on its way out. It exists so that `?` works on both kinds.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) Error);

/// The result of a step inside a transaction.
pub(crate) type Result<T> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self(from_sqlite(&error))
    }
}

/// The model's error for a driver's error.
pub(crate) fn from_sqlite(error: &rusqlite::Error) -> Error {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(code, message) => {
            let message = message.clone().unwrap_or_else(|| code.to_string());
            from_code(code.code, &message)
        }
        E::FromSqlConversionFailure(index, kind, _) => Error::Corrupt(format!(
            "column {index} of an internal query is of type {kind}, which was never written there"
        )),
        E::InvalidColumnType(_, name, kind) => {
            Error::Corrupt(format!("{name} is of type {kind}, which was never written there"))
        }
        E::IntegralValueOutOfRange(index, _) => Error::Corrupt(format!(
            "column {index} of an internal query holds a number that was never written there"
        )),
        E::Utf8Error(index, _) => {
            Error::Corrupt(format!("column {index} of an internal query is not UTF-8"))
        }
        other => Error::Database { message: other.to_string(), retryable: false },
    }
}

fn from_code(code: ErrorCode, message: &str) -> Error {
    match code {
        // The checks before each write find these first, with the name in question; this is for what they missed.
        ErrorCode::ConstraintViolation if message.contains("UNIQUE") => {
            if message.contains("_ht_runs") {
                Error::Conflict("another run of this column is not finished".into())
            } else {
                Error::Exists(format!("it exists already ({message})"))
            }
        }
        ErrorCode::ConstraintViolation if message.contains("FOREIGN KEY") => {
            Error::Missing("what this refers to does not exist (any more)".into())
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(message.into()),
        _ => Error::Database { message: explained(code, message), retryable: retryable(code) },
    }
}

/// What may pass: somebody else's lock, a disk that is full or away for a moment.
fn retryable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
    )
}

fn explained(code: ErrorCode, message: &str) -> String {
    let advice = match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "; another program holds the file, close it or wait"
        }
        ErrorCode::DiskFull => "; free some space on its disk",
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            "; check the permissions of the file and its folder"
        }
        _ => "",
    };
    format!("{message}{advice}")
}

/// An error about the file itself, before there is a database.
pub(crate) fn from_io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::Database {
        message: format!("cannot {doing} {}: {error}", path.display()),
        retryable: false,
    }
}

/// Stored text that is none of the names it must be one of.
pub(crate) fn unreadable(what: &str, found: &str) -> Fault {
    Fault(Error::Corrupt(format!("{what} {found:?} is not known to this version")))
}
