//! Connections and their settings, each with its reason.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{Error, limits};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Result;
use crate::migrate::migrate;

/// Prepared statements kept per connection. The fixed ones are about fifty; those of user tables come on top.
const STATEMENTS_KEPT: usize = 256;
/// How long to wait for a lock that another program (an SQL shell, say) holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What one step inside a transaction works with.
#[derive(Debug)]
pub(super) struct Db<'c> {
    /// The connection, inside a transaction.
    pub(super) conn: &'c Connection,
    /// Wall time of the step, so that everything it writes carries the same moment.
    pub(super) now: Timestamp,
    /// Set by who writes a change, so that those who wait for one are woken after the commit.
    pub(super) changed: &'c Cell<bool>,
    /// How many attempts are kept per cell.
    pub(super) attempts_kept: u32,
}

impl<'c> Db<'c> {
    /// With the default of what is a setting.
    pub(super) fn new(conn: &'c Connection, now: Timestamp, changed: &'c Cell<bool>) -> Self {
        Self { conn, now, changed, attempts_kept: limits::ATTEMPTS_PER_CELL_MAX }
    }
}

/// The connection that writes, with the schema brought up to date.
pub(super) fn open_writer(database: &Path, now: Timestamp) -> Result<Connection> {
    let mut conn = Connection::open_with_flags(database, flags())?;
    prepare(&conn)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Database {
            message: format!(
                "the file system of {} does not allow a write-ahead log; choose a local disk",
                database.display()
            ),
            retryable: false,
        }
        .into());
    }
    // Written batches scatter over big tables: 64 MB of cache keep each page from being read once per batch.
    conn.pragma_update(None, "cache_size", -64 * 1024)?;
    // Who copies the log back is said in checkpoint.rs.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    migrate(&mut conn, now)?;
    Ok(conn)
}

/// A connection that only copies the log back.
pub(super) fn open_copier(database: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(database, flags())?;
    prepare(&conn)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn open_reader(database: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(database, flags())?;
    prepare(&conn)?;
    conn.pragma_update(None, "cache_size", -16 * 1024)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// A database that is gone with its connection.
pub(super) fn open_memory(now: Timestamp) -> Result<Connection> {
    let mut conn = Connection::open_in_memory()?;
    prepare(&conn)?;
    migrate(&mut conn, now)?;
    Ok(conn)
}

fn flags() -> OpenFlags {
    // Each connection belongs to one thread, so SQLite's own mutexes would only cost time.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn prepare(conn: &Connection) -> Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // A plan once made stays: otherwise SQLite prepares a statement again whenever a bound value might call for another
    // plan, at a tenth of the writer's time, and the plan that the tests check might not be the one that runs.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // With a write-ahead log this survives the death of the process at any moment; a power cut may lose the last
    // commits but never the database. What must survive that too asks for it (writer.rs).
    conn.pragma_update(None, "synchronous", "normal")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    Ok(())
}
