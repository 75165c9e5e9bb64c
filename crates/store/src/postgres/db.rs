//! One transaction: what begins it, what a step inside it works with, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use paceline_clock::{Clock, Timestamp};
use paceline_model::{Error, limits};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::Severity;
use tokio_postgres::types::{ToSql, Type};

use super::config::Target;
use super::error::{failed, from_pool};
use super::param::{Found, Param};
use crate::error::Result;
use crate::wakeup::Wakeup;

/// Of every transaction. A statement takes a minute at most, a lock is waited for a third of that, and a transaction
/// that its program forgot ends. `SET LOCAL` and no connection parameters, because a proxy between passes only this on.
const WAITS: &str = "SET LOCAL statement_timeout = 60000; SET LOCAL lock_timeout = 20000; \
     SET LOCAL idle_in_transaction_session_timeout = 60000;";
/// What is written is found by key, row for row. A fresh table has no statistics yet, and the planner might rather read
/// all of it for each batch.
const BY_KEY: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;";
/// For commits that must survive a power cut: whatever stricter the server is set to stays.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', true) \
     WHERE current_setting('synchronous_commit') = 'off';";

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Reading one snapshot.
    Read,
    /// Writing, as durable as the server is set to.
    Write,
    /// Writing what must survive a power cut.
    Durable,
}

/// How long a commit whose answer was lost is asked after, and how often.
const SETTLE_MAX: Duration = Duration::from_secs(20);
const SETTLE_EVERY: Duration = Duration::from_millis(200);

/// Connections at once; who comes later waits for one. A few are enough to keep the server's disk busy, and many
/// processes fit into its hundred.
const CONNECTIONS_MAX: usize = 8;
/// How long a call waits for a connection to be free.
const FREE_MAX: Duration = Duration::from_secs(30);
/// How long it may take to make one: every address of the host is tried.
const CREATE_MAX: Duration = Duration::from_secs(20);

/// The database as it can be reached.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) pool: Pool,
    /// Real time, whatever time the store lives in: a network takes its own.
    pub(super) patience: Clock,
    /// Who waits for changes.
    pub(super) wakeup: Wakeup,
    /// How many attempts are kept per cell.
    pub(super) attempts_kept: Arc<AtomicU32>,
}

/// A transaction, and what its steps work with.
#[derive(Debug)]
pub(super) struct Db {
    /// There until the transaction is dropped.
    client: Option<Object>,
    /// Wall time of the transaction, so that everything it writes carries the same moment.
    pub(super) now: Timestamp,
    /// Its number, by which the server can be asked later what became of it. Reading ones have none.
    number: Option<String>,
    /// How many attempts are kept per cell.
    pub(super) attempts_kept: u32,
    open: AtomicBool,
    changed: AtomicBool,
}

impl Db {
    /// Takes a connection and begins.
    pub(super) async fn begin(pool: &Pool, mode: Mode, now: Timestamp) -> Result<Self> {
        let client = pool.get().await.map_err(|error| from_pool(&error))?;
        let open = AtomicBool::new(true);
        let changed = AtomicBool::new(false);
        let attempts_kept = limits::ATTEMPTS_PER_CELL_MAX;
        let mut db = Self { client: Some(client), now, number: None, attempts_kept, open, changed };
        let durable = if mode == Mode::Durable { DURABLE } else { "" };
        if mode == Mode::Read {
            db.run(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {WAITS}")).await?;
        } else {
            let sql =
                format!("BEGIN; {WAITS} {BY_KEY} {durable} SELECT pg_current_xact_id()::text");
            db.number = last_value(db.client()?.simple_query(&sql).await?);
        }
        Ok(db)
    }

    /// Says that a change was written, so that those who wait for one are woken after the commit.
    pub(super) fn set_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Makes it last. An error says whether it may have lasted all the same.
    pub(super) async fn commit(&self, server: &Server) -> Result<()> {
        let committed = self.try_commit(server).await;
        // Whatever became of it: a commit of which nobody knows may have lasted, and who looks in vain loses nothing.
        if self.changed.load(Ordering::Relaxed) {
            server.wakeup.ring();
        }
        committed
    }

    async fn try_commit(&self, server: &Server) -> Result<()> {
        let client = self.client()?;
        match client.batch_execute("COMMIT").await {
            Ok(()) => {
                self.open.store(false, Ordering::Relaxed);
                Ok(())
            }
            // The server says that it did not.
            Err(error) if is_refusal(&error) => Err(error.into()),
            // The question may have arrived, and only its answer been lost.
            Err(_) => match &self.number {
                Some(number) => server.settle(number).await,
                None => Err(lost().into()),
            },
        }
    }

    /// Undoes it; if that fails as well, the connection goes and the server undoes it.
    pub(super) async fn roll_back(&self) {
        if self.run("ROLLBACK").await.is_ok() {
            self.open.store(false, Ordering::Relaxed);
        }
    }

    pub(super) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Found>> {
        let rows = self.client()?.query_typed(sql, &typed(params)).await?;
        Ok(rows.into_iter().map(Found).collect())
    }

    /// The first row, if there is one.
    pub(super) async fn first(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Found>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The row of a statement that always answers one.
    pub(super) async fn one(&self, sql: &str, params: &[Param<'_>]) -> Result<Found> {
        let found = self.first(sql, params).await?;
        found.ok_or_else(|| Error::Corrupt("an internal query found nothing".into()).into())
    }

    /// How many rows it concerned.
    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        Ok(self.client()?.execute_typed(sql, &typed(params)).await?)
    }

    /// Statements without parameters: definitions and locks.
    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(|| lost().into())
    }
}

impl Drop for Db {
    /// A connection whose transaction has not come to an end is not given back: closed, it ends it.
    fn drop(&mut self) {
        if self.open.load(Ordering::Relaxed)
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

pub(super) fn pool(target: &Target) -> paceline_model::Result<Pool> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(target.config.clone(), target.tls.clone(), config);
    Pool::builder(manager)
        .max_size(CONNECTIONS_MAX)
        .wait_timeout(Some(FREE_MAX))
        .create_timeout(Some(CREATE_MAX))
        .recycle_timeout(Some(CREATE_MAX))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| failed(&format!("cannot make a pool of connections: {error}"), false))
}

impl Server {
    /// Finds out what became of a transaction whose connection was lost while it was committed.
    async fn settle(&self, number: &str) -> Result<()> {
        let until = self.patience.now() + SETTLE_MAX;
        while self.patience.now() < until {
            match self.status(number).await.as_deref() {
                Some("committed") => return Ok(()),
                Some("aborted") => return Err(lost().into()),
                // Still at it, or nobody can be asked yet.
                _ => self.patience.sleep(SETTLE_EVERY).await,
            }
        }
        Err(failed(
            "the connection to the database was lost while it was writing, and it could not be asked since: \
             look whether the change is there before making it again",
            false,
        )
        .into())
    }

    async fn status(&self, number: &str) -> Option<String> {
        let client = self.pool.get().await.ok()?;
        let params = [Param::from(number)];
        let sql = "-- paceline: settle\nSELECT pg_xact_status($1::text::xid8)";
        let row = client.query_typed(sql, &typed(&params)).await.ok()?.pop()?;
        row.try_get(0).ok()
    }
}

/// Whether the session goes on after this error. What ends it may have come after the commit.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|told| told.parsed_severity() == Some(Severity::Error))
}

fn lost() -> Error {
    failed("the connection to the database was lost, and nothing was written; try again", true)
}

fn typed<'p>(params: &'p [Param<'_>]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (param as &(dyn ToSql + Sync), param.sql_type())).collect()
}

fn last_value(messages: Vec<SimpleQueryMessage>) -> Option<String> {
    messages.into_iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
