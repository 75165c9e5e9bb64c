//! Which store a command works on: SQLite in its directory, or the PostgreSQL database of an address.

use std::convert::Infallible;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use paceline_clock::Clock;
use paceline_model::{Error, Store};
use paceline_store::{Access, PostgresStore, SqliteStore, is_postgres_url};

use crate::exit::{Failure, busy, usage};

/// The address of a database. There may be a password in it, so it is never printed: not in an error, not by `Debug`.
#[derive(Clone)]
pub(crate) struct StoreUrl(String);

impl FromStr for StoreUrl {
    type Err = Infallible;

    /// Takes whatever is given: an error of the argument parser would print it.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(..)")
    }
}

/// Opens the store for this process alone: at its start it takes up what a dead one left behind. The directory is made
/// either way, for the key that seals secrets.
pub(crate) fn open(
    url: Option<&StoreUrl>,
    dir: &Path,
    clock: &Clock,
) -> Result<Arc<dyn Store>, Failure> {
    let refused = |error| match error {
        Error::Conflict(_) => busy(error),
        error => usage(error),
    };
    let Some(StoreUrl(url)) = url else {
        return Ok(SqliteStore::open(dir, clock.clone()).map_err(refused)?);
    };
    if !is_postgres_url(url) {
        return Err(usage(
            "the store is the address of a PostgreSQL database, postgres://USER@HOST:PORT/DATABASE; \
             without one, SQLite in the directory of --data is used",
        ));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| usage(format!("cannot make the folder {}: {error}", dir.display())))?;
    Ok(PostgresStore::open(url, clock.clone(), Access::Alone).map_err(refused)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["mysql://u:hidden@h/db", "postgres://u:hidden@h:port/db", "hidden"] {
            let url: StoreUrl = text.parse().unwrap();
            assert!(!format!("{url:?}").contains("hidden"));
            let failure = open(Some(&url), dir.path(), &Clock::system()).unwrap_err();
            assert!(!failure.to_string().contains("hidden"), "{failure}");
            assert!(failure.to_string().contains("postgres://"), "{failure}");
        }
    }
}
