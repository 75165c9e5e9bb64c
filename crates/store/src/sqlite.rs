//! The store on SQLite: one thread writes, two read, and callers wait for their answers without blocking the runtime.

mod attempts;
mod cells;
mod changes;
mod claims;
mod connection;
mod job;
mod reader;
mod records;
mod recovery;
mod rows;
mod runs;
mod schema;
mod tables;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use paceline_clock::{Clock, Timestamp};
use paceline_model::{
    Attempt, Cell, Change, Claim, Column, ColumnId, Error, Lease, NewColumn, NewRun, NewTable,
    Result, Row, RowId, RowQuery, Run, RunId, RunStatus, SentRecord, Store, Table, TableId,
    TaskReport, Value, limits,
};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error;
use crate::file;
use connection::Db;
use job::{Job, job};
use writer::Command;

/// Tables, runs and changes in one SQLite file. When a call has returned, what it wrote survives the death of the
/// process; [`Store::checkpoint`] and [`Store::record_intents`] make it survive a power cut.
pub struct SqliteStore {
    clock: Clock,
    /// Both are there until the store is dropped: without senders the threads come to their end.
    writes: Option<mpsc::Sender<Command>>,
    reads: Option<mpsc::Sender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
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
        Self::start(clock, writer, readers, Some(lock))
    }

    /// A database that is gone when the store is dropped. Its one thread reads and writes.
    ///
    /// # Errors
    /// `Database` if the machine refuses memory or a thread.
    pub fn open_in_memory(clock: Clock) -> Result<Arc<Self>> {
        let writer = connection::open_memory(clock.wall()).map_err(|fault| fault.0)?;
        Self::start(clock, writer, Vec::new(), None)
    }

    fn start(
        clock: Clock,
        writer: Connection,
        readers: Vec<Connection>,
        lock: Option<File>,
    ) -> Result<Arc<Self>> {
        let mut store = Self {
            clock: clock.clone(),
            writes: None,
            reads: None,
            threads: Vec::new(),
            _lock: lock,
        };
        let (writes, queue) = mpsc::channel(writer::QUEUE_MAX);
        store.writes = Some(writes);
        let writer_clock = clock.clone();
        store.spawn("store-write", move || writer::serve(&writer, &writer_clock, queue))?;
        if !readers.is_empty() {
            let (reads, queue) = mpsc::channel(reader::QUEUE_MAX);
            store.reads = Some(reads);
            let queue = Arc::new(Mutex::new(queue));
            for conn in readers {
                let (queue, clock) = (Arc::clone(&queue), clock.clone());
                store.spawn("store-read", move || reader::serve(&conn, &clock, &queue))?;
            }
        }
        Ok(Arc::new(store))
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
        let (job, answer) = job(durable, work);
        let writes = self.writes.as_ref().ok_or_else(stopped)?;
        writes.send(Command::Write(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
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

#[async_trait]
impl Store for SqliteStore {
    async fn create_table(&self, table: NewTable) -> Result<Table> {
        self.write(move |db| tables::create_table(db, &table)).await
    }

    async fn tables(&self) -> Result<Vec<Table>> {
        self.read(tables::tables).await
    }

    async fn table(&self, name: &str) -> Result<Option<Table>> {
        let name = name.to_owned();
        self.read(move |db| tables::table(db, &name)).await
    }

    async fn add_column(&self, table: TableId, column: NewColumn) -> Result<Column> {
        self.write(move |db| tables::add_column(db, table, &column)).await
    }

    async fn update_smart_column(
        &self,
        column: ColumnId,
        config: serde_json::Value,
        rate_limit: serde_json::Value,
    ) -> Result<Column> {
        self.write(move |db| tables::update_smart_column(db, column, &config, &rate_limit)).await
    }

    async fn insert_rows(
        &self,
        table: TableId,
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Option<(RowId, RowId)>> {
        rows::check_count(rows.len())?;
        let columns = columns.to_vec();
        self.write(move |db| rows::insert_rows(db, table, &columns, &rows)).await
    }

    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>> {
        self.read(move |db| rows::rows(db, &query)).await
    }

    async fn count_rows(&self, table: TableId) -> Result<u64> {
        self.read(move |db| rows::count_rows(db, table)).await
    }

    async fn cells(&self, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>> {
        self.read(move |db| cells::cells(db, column, first, last)).await
    }

    async fn create_run(&self, run: NewRun) -> Result<Run> {
        self.write(move |db| runs::create_run(db, run)).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>> {
        self.read(move |db| runs::run(db, run)).await
    }

    async fn runs(&self, table: TableId, limit: usize) -> Result<Vec<Run>> {
        self.read(move |db| runs::runs(db, table, limit)).await
    }

    async fn set_run_status(
        &self,
        run: RunId,
        status: RunStatus,
        reason: Option<String>,
    ) -> Result<Run> {
        self.write(move |db| runs::set_run_status(db, run, status, reason.as_deref())).await
    }

    async fn claim_tasks(
        &self,
        run: RunId,
        inputs: &[ColumnId],
        lease: Lease,
        max: usize,
    ) -> Result<Claim> {
        let max = max.min(limits::CLAIM_TASKS_MAX);
        loop {
            // One step looks at a bounded stretch of the table, so that a run over a million filled cells lets other
            // writers through between the steps.
            let inputs = inputs.to_vec();
            let claim =
                self.write(move |db| claims::claim_tasks(db, run, &inputs, lease, max)).await?;
            if !claim.tasks.is_empty() || claim.exhausted || max == 0 {
                return Ok(claim);
            }
        }
    }

    async fn renew_leases(&self, lease: Lease) -> Result<u64> {
        self.write(move |db| claims::renew_leases(db, lease)).await
    }

    async fn record_intents(&self, run: RunId, token: i64, rows: &[RowId]) -> Result<Vec<RowId>> {
        let rows = rows.to_vec();
        // A lost intent is a call sent twice, so this one waits for the disk.
        self.send_write(true, move |db| claims::record_intents(db, run, token, &rows)).await
    }

    async fn record(&self, run: RunId, token: i64, reports: Vec<TaskReport>) -> Result<Run> {
        records::check_count(reports.len())?;
        self.write(move |db| records::record(db, run, token, reports)).await
    }

    async fn recover_run(&self, run: RunId, repeatable: bool) -> Result<u64> {
        self.write(move |db| recovery::recover_run(db, run, repeatable)).await
    }

    async fn calls_since(
        &self,
        column: ColumnId,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SentRecord>> {
        self.read(move |db| attempts::calls_since(db, column, since, max)).await
    }

    async fn attempts(&self, column: ColumnId, row: RowId) -> Result<Vec<Attempt>> {
        self.read(move |db| attempts::attempts(db, column, row)).await
    }

    async fn changes_after(
        &self,
        table: TableId,
        sequence: i64,
        max: usize,
    ) -> Result<(Vec<Change>, i64)> {
        self.read(move |db| changes::changes_after(db, table, sequence, max)).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |db| tables::setting(db, &name)).await
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |db| tables::set_setting(db, &name, &value)).await
    }

    async fn checkpoint(&self) -> Result<()> {
        let _busy = self.clock.busy();
        let (answer, done) = oneshot::channel();
        let writes = self.writes.as_ref().ok_or_else(stopped)?;
        writes.send(Command::Checkpoint(answer)).await.map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())?
    }
}
