//! The store on SQLite: one thread writes, two read, one copies the log back, and callers wait for their answers without
//! blocking the runtime.

mod attempts;
mod budgets;
mod cell_writer;
mod cells;
mod changes;
mod checkpoint;
mod claims;
mod columns;
mod connection;
mod deleted;
mod due;
mod edit;
mod filter;
mod ids;
mod job;
mod local;
mod locks;
mod notes;
mod reader;
mod records;
mod recovery;
mod registry;
mod rows;
mod runs;
mod schema;
mod spent;
mod tables;
mod upsert;
mod verbs;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use paceline_clock::Clock;
use paceline_model::{Error, Result, limits};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error;
use crate::file;
use crate::wakeup::Wakeup;
use connection::Db;
use job::{Job, job};
use writer::Command;

/// Tables, runs and changes in one SQLite file. When a call has returned, what it wrote survives the death of the
/// process; [`paceline_model::Store::checkpoint`] and [`paceline_model::Store::record_intents`] make it survive a power cut.
pub struct SqliteStore {
    clock: Clock,
    /// Both are there until the store is dropped: without senders the threads come to their end.
    writes: Option<mpsc::Sender<Command>>,
    reads: Option<mpsc::Sender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    wakeup: Wakeup,
    attempts_kept: AtomicU32,
    /// Held for as long as the threads run.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the database, making it if it is not there: `paceline.db` in a directory, or the file itself. Folder and
    /// file are made for this user only.
    ///
    /// # Errors
    /// `Conflict` if another process works on it or it belongs to another program, `Corrupt` if it was written by a
    /// newer version, `Database` if the file system refuses.
    pub fn open(dir_or_file: &Path, clock: Clock) -> Result<Arc<Self>> {
        let database = file::database_path(dir_or_file);
        file::create_private(&database)?;
        let lock = file::lock(&database)?;
        let writer = connection::open_writer(&database, clock.wall()).map_err(|fault| fault.0)?;
        let mut readers = Vec::with_capacity(reader::READERS);
        for _ in 0..reader::READERS {
            readers.push(connection::open_reader(&database).map_err(|fault| fault.0)?);
        }
        let copier = connection::open_copier(&database).map_err(|fault| fault.0)?;
        Self::start(clock, writer, readers, Some((copier, lock)))
    }

    /// Opens the database for reading, while another process may be at work on it; every write is refused, and
    /// [`paceline_model::Store::next_change`] hears nothing of that process. `None` if there is none.
    ///
    /// # Errors
    /// `Database` if the file system refuses.
    pub fn open_to_read(dir_or_file: &Path, clock: Clock) -> Result<Option<Arc<Self>>> {
        let database = file::database_path(dir_or_file);
        if !database.is_file() {
            return Ok(None);
        }
        let reader = connection::open_reader(&database).map_err(|fault| fault.0)?;
        let mut store = Self::idle(clock, None);
        store.start_readers(vec![reader])?;
        Ok(Some(Arc::new(store)))
    }

    /// A database that is gone when the store is dropped. Its one thread reads and writes.
    ///
    /// # Errors
    /// `Database` if the machine refuses memory or a thread.
    pub fn open_in_memory(clock: Clock) -> Result<Arc<Self>> {
        let writer = connection::open_memory(clock.wall()).map_err(|fault| fault.0)?;
        Self::start(clock, writer, Vec::new(), None)
    }

    /// `file` is what a database on disk has besides: who copies its log, and what keeps others away.
    fn start(
        clock: Clock,
        writer: Connection,
        readers: Vec<Connection>,
        file: Option<(Connection, File)>,
    ) -> Result<Arc<Self>> {
        let (copier, lock) = file.unzip();
        let mut store = Self::idle(clock.clone(), lock);
        let mut log = None;
        if let Some(conn) = copier {
            let (writers, copier) = checkpoint::log(conn);
            store.spawn("store-log", move || copier.serve())?;
            log = Some(writers);
        }
        let (writes, queue) = mpsc::channel(writer::QUEUE_MAX);
        store.writes = Some(writes);
        let wakeup = store.wakeup.clone();
        store.spawn("store-write", move || writer::serve(&writer, log, &clock, &wakeup, queue))?;
        if !readers.is_empty() {
            store.start_readers(readers)?;
        }
        Ok(Arc::new(store))
    }

    /// A store without threads.
    fn idle(clock: Clock, lock: Option<File>) -> Self {
        let wakeup = Wakeup::new();
        let attempts_kept = AtomicU32::new(limits::ATTEMPTS_PER_CELL_MAX);
        let threads = Vec::new();
        Self { clock, writes: None, reads: None, threads, wakeup, attempts_kept, _lock: lock }
    }

    fn start_readers(&mut self, readers: Vec<Connection>) -> Result<()> {
        let (reads, queue) = mpsc::channel(reader::QUEUE_MAX);
        self.reads = Some(reads);
        let queue = Arc::new(Mutex::new(queue));
        for conn in readers {
            let (queue, clock) = (Arc::clone(&queue), self.clock.clone());
            self.spawn("store-read", move || reader::serve(&conn, &clock, &queue))?;
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, serve: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread =
            std::thread::Builder::new().name(name.into()).spawn(serve).map_err(|error| {
                Error::Database {
                    message: format!("cannot start a thread: {error}"),
                    retryable: true,
                }
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Runs `work` in a transaction on the writing thread.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Db<'_>) -> error::Result<T> + Send + 'static,
    {
        self.send_write(false, work).await
    }

    async fn send_write<T, F>(&self, durable: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Db<'_>) -> error::Result<T> + Send + 'static,
    {
        // Virtual time stands still until the answer is here. The guard stays with the future: dropped on another
        // thread it would not wake a runtime that has gone to sleep meanwhile.
        let _busy = self.clock.busy();
        let attempts_kept = self.attempts_kept.load(Ordering::Relaxed);
        let (job, answer) = job(durable, move |db: &Db<'_>| work(&Db { attempts_kept, ..*db }));
        let writes = self.writes.as_ref().ok_or_else(stopped)?;
        writes.send(Command::Write(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn send_checkpoint(&self) -> Result<()> {
        let _busy = self.clock.busy();
        let (answer, done) = oneshot::channel();
        let writes = self.writes.as_ref().ok_or_else(stopped)?;
        writes.send(Command::Checkpoint(answer)).await.map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())?
    }

    /// Runs `work` on a snapshot on a reading thread.
    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Db<'_>) -> error::Result<T> + Send + 'static,
    {
        let Some(reads) = self.reads.as_ref() else {
            return self.write(work).await;
        };
        let _busy = self.clock.busy();
        let (job, answer) = job(false, work);
        reads.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// What a caller hears whose database thread is gone.
fn stopped() -> Error {
    Error::Database {
        message: "the store's thread has stopped; restart the program and look at its log".into(),
        retryable: false,
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        // The lock must not go before the last connection, or the next process would find this one still writing.
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
