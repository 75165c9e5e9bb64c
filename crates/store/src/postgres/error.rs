//! From what PostgreSQL and its driver say to what the caller does about it. Messages name tables and constraints,
//! never a value and never a password.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use paceline_model::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::Fault;

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(from_postgres(&error))
    }
}

/// The model's error for a driver's error.
pub(super) fn from_postgres(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(told) => from_server(told),
        None => from_connection(error),
    }
}

/// Nobody to talk to: no connection in time, or none to be had.
pub(super) fn from_pool(error: &PoolError) -> Error {
    match error {
        PoolError::Backend(error) => from_postgres(error),
        PoolError::Timeout(_) => failed(
            "no connection to the database was free or could be made in time; try again, or look at its load",
            true,
        ),
        PoolError::Closed => failed("the store is closing", false),
        other => failed(&format!("no connection to the database: {other}"), true),
    }
}

pub(super) fn failed(message: &str, retryable: bool) -> Error {
    Error::Database { message: message.to_owned(), retryable }
}

fn from_server(told: &DbError) -> Error {
    let code = told.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        // The checks before each write find these first, with the name in question; this is for what they missed.
        return match told.constraint() {
            Some("_ht_runs_active") => {
                Error::Conflict("another run of this column is not finished".into())
            }
            constraint => {
                Error::Exists(format!("it exists already ({})", constraint.unwrap_or("unique")))
            }
        };
    }
    match (code.code(), class(code)) {
        ("42P07" | "42701" | "42P06", _) => {
            Error::Exists(format!("it exists already ({})", told.message()))
        }
        // Names are looked up before what they stand for is held.
        ("42P01" | "42703", _) => failed(
            &format!("{}: it was renamed or deleted at this moment; try again", told.message()),
            true,
        ),
        (_, "23") => Error::Missing("what this refers to does not exist (any more)".into()),
        (_, "54") => Error::invalid(format!(
            "PostgreSQL cannot hold it ({}): a row must fit in 8 kB, where each long value takes 18 bytes; \
             use fewer columns",
            told.message()
        )),
        ("XX001" | "XX002", _) => Error::Corrupt(told.message().to_owned()),
        // What could not be read as a value is quoted in the message.
        (code, "22") => failed(&format!("a value was refused (SQLSTATE {code})"), false),
        _ => failed(&format!("{}{}", told.message(), advice(code)), retryable(code)),
    }
}

fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}

/// What may pass: a connection that broke, a server that restarts or is full, somebody else's lock.
fn retryable(code: &SqlState) -> bool {
    matches!(class(code), "08" | "40" | "53" | "58")
        || matches!(
            code.code(),
            "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
        )
}

fn advice(code: &SqlState) -> &'static str {
    match (code.code(), class(code)) {
        ("28P01" | "28000", _) => "; check user and password of the store's address",
        ("3D000", _) => "; make it with createdb, or name another",
        ("42501", _) => {
            "; let the owner of the database run: CREATE SCHEMA paceline AUTHORIZATION of this user"
        }
        ("25006", _) => "; this server only reads: name the primary",
        ("53300", _) => "; raise its max_connections, or run fewer processes",
        ("53100", _) => "; free some space on its disk",
        ("55P03" | "57014", _) => {
            "; it took too long: somebody holds a lock, or the server is overloaded"
        }
        (_, "57" | "08") => "; it is tried again when the server is back",
        _ => "",
    }
}

fn from_connection(error: &tokio_postgres::Error) -> Error {
    // The driver's own words say what it was doing; why is in the source.
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    if error.is_closed() {
        return failed("the connection to the database was lost; try again", true);
    }
    let io = error.source().is_some_and(|source| source.is::<std::io::Error>());
    let timeout = error.to_string().contains("timeout");
    failed(&format!("{error}{why}{}", tls_advice(&why)), io || timeout)
}

fn tls_advice(why: &str) -> &'static str {
    if why.contains("certificate") {
        "; name the file of its certificate authority with sslrootcert=FILE in the store's address"
    } else {
        ""
    }
}
