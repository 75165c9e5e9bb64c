//! The store on PostgreSQL: a pool of connections on a thread of its own. It has its own runtime, so that it works under
//! any other, in virtual time too, and callers wait for their answers only.
//!
//! Locks are taken in one order, so that no two transactions wait for each other: the column's, the run's row, what a
//! column has spent on a day, the user's table, cells, and last the table's row, which numbers its changes ([`changes`]). Only what makes rows and runs
//! takes the table's row earlier, and after the user's table. After all of these come items, by their ids, and logs.
//! Whoever changes or deletes a table holds all of it, and whoever names it in a statement has held it first
//! ([`schema::hold`]), so that a name means one table.

mod attempts;
mod budgets;
mod cells;
mod changes;
mod claims;
mod columns;
mod config;
mod db;
mod deleted;
mod due;
mod edit;
mod error;
mod filter;
mod listen;
mod local;
mod lock;
mod locks;
mod migrate;
mod notes;
mod param;
mod records;
mod recovery;
mod registry;
mod rows;
mod runs;
mod schema;
mod spent;
mod tables;
mod text;
mod upsert;
mod value;
mod verbs;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use deadpool_postgres::Pool;
use paceline_clock::Clock;
use paceline_model::{Error, Result, limits};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use config::Target;
pub use config::is_postgres_url;
use db::{Db, Mode, Server};
use error::failed;
use lock::Alone;

use crate::wakeup::Wakeup;

/// How long one verb may take, all its statements together.
const VERB_MAX: Duration = Duration::from_secs(180);
/// How long verbs under way may still take when the store is dropped.
const DROP_MAX: Duration = Duration::from_secs(5);

/// Whether other processes may work on the same database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// This process only, as with a SQLite file: a second one that asks for this is told so. What recovers the runs of
    /// dead processes at its start must be alone. Needs a connection that stays: no proxy that shares them out by the
    /// transaction.
    Alone,
    /// Several processes claim tasks side by side. Their clocks decide when a lease has run out, so they must agree to
    /// within seconds. [`paceline_model::Store::next_change`] hears of the others' changes within a second or so.
    Shared,
}

/// Tables, runs and changes in the schema `paceline` of a PostgreSQL database, 13 or newer. When a call has returned,
/// what it wrote survives the death of this process; a power cut too, unless the server is set to
/// `synchronous_commit = off`: then only what [`paceline_model::Store`] says must.
pub struct PostgresStore {
    clock: Clock,
    database: String,
    server: Server,
    alone: Option<Alone>,
    handle: Handle,
    /// Both are there until the store is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread hands over once it is at work.
type Started = Result<(Handle, Server, Option<Alone>)>;

impl PostgresStore {
    /// Connects to the database and brings its schema up to date. `url` is
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters of PostgreSQL's own programs. Without
    /// `sslmode`, TLS is used for every host but this machine; where TLS is used, the server's certificate is checked
    /// against the authorities that this machine trusts, or those in the file that `sslrootcert` names.
    ///
    /// `clock` decides about leases; how long a network may take is measured in real time.
    ///
    /// # Errors
    /// `Invalid` if the address is wrong, `Conflict` if another process has the database for itself, if the schema
    /// belongs to another program, or if the server is too old, `Corrupt` if it was written by a newer version,
    /// `Database` if it cannot be reached.
    pub fn open(url: &str, clock: Clock, access: Access) -> Result<Arc<Self>> {
        let target = Target::parse(url)?;
        let database = target.database().to_owned();
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::sync_channel(1);
        let wall = clock.clone();
        let thread = std::thread::Builder::new()
            .name("store-postgres".into())
            .spawn(move || serve(&target, &wall, access, &started, stopped))
            .map_err(|error| failed(&format!("cannot start a thread: {error}"), true))?;
        // Joined by the drop, whatever became of the start.
        let (handle, server, alone) = start.recv().map_err(|_| closed())??;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Arc::new(Self { clock, database, server, alone, handle, stop, thread }))
    }

    /// Runs `work` in a transaction.
    async fn write<T, F, Fut>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Db>) -> Fut + Send + 'static,
        Fut: Future<Output = crate::error::Result<T>> + Send + 'static,
    {
        self.transact(Mode::Write, work).await
    }

    /// Runs `work` in a transaction that has reached the disk when this returns.
    async fn write_durably<T, F, Fut>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Db>) -> Fut + Send + 'static,
        Fut: Future<Output = crate::error::Result<T>> + Send + 'static,
    {
        self.transact(Mode::Durable, work).await
    }

    /// Runs `work` on a snapshot.
    async fn read<T, F, Fut>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Db>) -> Fut + Send + 'static,
        Fut: Future<Output = crate::error::Result<T>> + Send + 'static,
    {
        self.transact(Mode::Read, work).await
    }

    async fn transact<T, F, Fut>(&self, mode: Mode, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Db>) -> Fut + Send + 'static,
        Fut: Future<Output = crate::error::Result<T>> + Send + 'static,
    {
        if let Some(alone) = self.alone.as_ref().filter(|_| mode != Mode::Read) {
            alone.check(&self.database)?;
        }
        // Virtual time stands still until the answer is here. The guard stays with the future: dropped on another
        // thread it would not wake a runtime that has gone to sleep meanwhile.
        let _busy = self.clock.busy();
        let (server, clock) = (self.server.clone(), self.clock.clone());
        // A caller that goes away takes nothing with it: what was begun comes to its end.
        let verb = self.handle.spawn(async move {
            let late = server.patience.sleep(VERB_MAX);
            tokio::select! {
                done = transaction(&server, mode, &clock, work) => done.map_err(|fault| fault.0),
                () = late => {
                    // It may have been committing.
                    server.wakeup.ring();
                    Err(failed("the database did not answer in time; try again", true))
                }
            }
        });
        verb.await.map_err(|_| closed())?
    }
}

async fn transaction<T, F, Fut>(
    server: &Server,
    mode: Mode,
    clock: &Clock,
    work: F,
) -> crate::error::Result<T>
where
    F: FnOnce(Arc<Db>) -> Fut,
    Fut: Future<Output = crate::error::Result<T>>,
{
    let mut db = Db::begin(&server.pool, mode, clock.wall()).await?;
    db.attempts_kept = server.attempts_kept.load(Ordering::Relaxed);
    let db = Arc::new(db);
    match work(Arc::clone(&db)).await {
        Ok(answer) => {
            db.commit(server).await?;
            Ok(answer)
        }
        Err(fault) => {
            db.roll_back().await;
            Err(fault)
        }
    }
}

/// The life of the store's thread.
fn serve(
    target: &Target,
    clock: &Clock,
    access: Access,
    started: &mpsc::SyncSender<Started>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(failed(&format!("cannot start a runtime: {error}"), true)));
            return;
        }
    };
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        match start(target, clock, access).await {
            Err(fault) => {
                let _ = started.send(Err(fault.0));
            }
            Ok((server, alone)) => {
                let pool = server.pool.clone();
                if started.send(Ok((handle, server, alone))).is_ok() {
                    // Ends when the store is dropped, whether or not it says so.
                    let _ = stopped.await;
                }
                pool.close();
                drain(&pool).await;
            }
        }
    });
}

/// Lets the verbs under way come to their ends, which takes all connections off the pool.
async fn drain(pool: &Pool) {
    let patience = Clock::system();
    let until = patience.now() + DROP_MAX;
    while pool.status().size > 0 && patience.now() < until {
        patience.sleep(Duration::from_millis(2)).await;
    }
}

async fn start(
    target: &Target,
    clock: &Clock,
    access: Access,
) -> crate::error::Result<(Server, Option<Alone>)> {
    let patience = Clock::system();
    // Before the schema is touched: what another version works on is left alone.
    let alone = match access {
        Access::Alone => Some(Alone::take(target, &patience).await?),
        Access::Shared => None,
    };
    let attempts_kept = Arc::new(AtomicU32::new(limits::ATTEMPTS_PER_CELL_MAX));
    let server = Server { pool: db::pool(target)?, patience, wakeup: Wakeup::new(), attempts_kept };
    let migrated = transaction(&server, Mode::Durable, clock, |db| async move {
        migrate::migrate(&db, migrate::MIGRATIONS).await
    });
    migrated.await?;
    if access == Access::Shared {
        // Ends with the runtime of this thread.
        tokio::spawn(listen::serve(server.clone()));
    }
    Ok((server, alone))
}

/// What a caller hears whose store is gone.
fn closed() -> Error {
    failed("the store's thread has stopped; restart the program and look at its log", false)
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop = None;
        // The lock of this process must be gone before the next one asks for it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("database", &self.database).finish_non_exhaustive()
    }
}
