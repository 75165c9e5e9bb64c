//! The backends, and where each case's data lives on them.

use std::path::Path;
use std::sync::Arc;

use paceline_clock::Clock;
use paceline_model::{Result, Store, limits};
use paceline_store::{Access, PostgresStore, SqliteStore, is_postgres_url};
use tempfile::TempDir;

use crate::server::{Server, server};

/// Where the data of one case lives, until this is dropped.
pub(crate) struct Home {
    /// What the case is told to run on.
    pub(crate) name: &'static str,
    /// A directory, the address of a PostgreSQL database, or [`MEMORY`].
    pub(crate) address: String,
    /// The widest table.
    pub(crate) columns_max: usize,
    pub(crate) dir: TempDir,
    /// The database on the server.
    pub(crate) database: Option<(&'static Server, String)>,
}

const MEMORY: &str = ":memory:";

impl Home {
    fn new(name: &'static str, address: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address =
            address.map_or_else(|| dir.path().to_str().unwrap().to_owned(), str::to_owned);
        let columns_max = limits::TABLE_COLUMNS_MAX;
        Self { name, address, columns_max, dir, database: None }
    }

    /// A SQLite database on disk.
    pub(crate) fn sqlite() -> Self {
        Self::new("sqlite file", None)
    }

    /// A SQLite database that is gone with the store.
    pub(crate) fn memory() -> Self {
        Self::new("sqlite memory", Some(MEMORY))
    }

    /// A PostgreSQL database; none if this machine has no server.
    pub(crate) fn postgres() -> Option<Self> {
        let server = server()?;
        let database = server.database();
        let mut home = Self::new("postgres", Some(&server.url(&database)));
        home.columns_max = limits::POSTGRES_TABLE_COLUMNS_MAX;
        home.database = Some((server, database));
        Some(home)
    }

    /// One of every kind.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        Self::lasting().chain([Self::memory()])
    }

    /// One of every kind whose data outlive the store.
    pub(crate) fn lasting() -> impl Iterator<Item = Self> {
        [|| Some(Self::sqlite()), Self::postgres].into_iter().filter_map(|home| {
            let home = home()?;
            println!("backend: {}", home.name);
            Some(home)
        })
    }

    /// Opens the store.
    pub(crate) fn open(&self, clock: Clock) -> Arc<dyn Store> {
        open(&self.address, clock).unwrap()
    }

    /// Runs SQL behind the store's back; `{}` stands for what a name of a table begins with.
    pub(crate) fn shell(&self, sql: &str) -> Vec<String> {
        match &self.database {
            Some((server, name)) => server.run(name, &sql.replace("{}", "paceline.")),
            None => {
                let shell =
                    rusqlite::Connection::open(self.dir.path().join("paceline.db")).unwrap();
                shell.execute_batch(&sql.replace("{}", "")).unwrap();
                Vec::new()
            }
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some((server, name)) = self.database.take() {
            // Of a case that panics its server is left alone: what it says would hide why.
            if !std::thread::panicking() {
                server.drop_database(&name);
            }
        }
    }
}

/// Opens what an address names, for this process alone.
pub(crate) fn open(address: &str, clock: Clock) -> Result<Arc<dyn Store>> {
    if is_postgres_url(address) {
        return Ok(PostgresStore::open(address, clock, Access::Alone)?);
    }
    if address == MEMORY {
        return Ok(SqliteStore::open_in_memory(clock)?);
    }
    Ok(SqliteStore::open(Path::new(address), clock)?)
}
