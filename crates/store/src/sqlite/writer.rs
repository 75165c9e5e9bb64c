//! The one thread that writes. It takes everything that waits, runs it in one transaction, commits, and answers all: the
//! more callers there are, the less a commit costs each. It never waits for more to come.

use std::cell::Cell;

use paceline_clock::Clock;
use paceline_model::{Error, Result};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Log;
use super::connection::Db;
use super::job::{Failure, Job};
use crate::error::from_sqlite;
use crate::wakeup::Wakeup;

/// Commands that may wait; who comes later waits for a place.
pub(super) const QUEUE_MAX: usize = 256;
/// Commands in one transaction at the most, so that the first of them is not kept waiting by a crowd.
const GROUP_MAX: usize = 64;

/// What the writer is asked for.
pub(super) enum Command {
    /// Work inside a transaction.
    Write(Box<dyn Job>),
    /// Everything committed so far onto the disk.
    Checkpoint(oneshot::Sender<Result<()>>),
}

/// Serves `queue` until every sender is gone. A database in memory has no log.
pub(super) fn serve(
    conn: &Connection,
    mut log: Option<Log>,
    clock: &Clock,
    wakeup: &Wakeup,
    mut queue: mpsc::Receiver<Command>,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while let Some(command) = queue.blocking_recv() {
        let mut next = Some(command);
        let mut checkpoint = None;
        while let Some(command) = next {
            match command {
                Command::Write(job) => group.push(job),
                Command::Checkpoint(answer) => {
                    checkpoint = Some(answer);
                    break;
                }
            }
            next = if group.len() < GROUP_MAX { queue.try_recv().ok() } else { None };
        }
        write_group(conn, clock, wakeup, &mut group);
        if let Some(log) = &mut log {
            log.look(conn);
        }
        if let Some(answer) = checkpoint {
            let done = match &log {
                Some(log) => log.alone(|| run_checkpoint(conn)),
                None => run_checkpoint(conn),
            };
            let _ = answer.send(done);
        }
    }
}

/// Runs a group of jobs in one transaction, answers them, and wakes those who wait for changes if there are any.
fn write_group(conn: &Connection, clock: &Clock, wakeup: &Wakeup, group: &mut Vec<Box<dyn Job>>) {
    if group.is_empty() {
        return;
    }
    let changed = Cell::new(false);
    let outcome = transaction(conn, clock, &changed, group);
    if outcome.is_err() && !conn.is_autocommit() {
        // The outcome says what went wrong; a rollback that fails as well would say no more.
        let _ = execute(conn, "ROLLBACK");
    }
    let failure = outcome.err().map(|error| Failure::new(&from_sqlite(&error)));
    // Before the answers: who has an answer can count on it that the others know.
    if changed.get() && failure.is_none() {
        wakeup.ring();
    }
    for job in group.drain(..) {
        job.answer(failure.as_ref());
    }
}

fn transaction(
    conn: &Connection,
    clock: &Clock,
    changed: &Cell<bool>,
    group: &mut [Box<dyn Job>],
) -> rusqlite::Result<()> {
    let durable = group.iter().any(|job| job.durable());
    if durable {
        conn.pragma_update(None, "synchronous", "full")?;
    }
    let written = run_jobs(conn, clock, changed, group);
    if durable {
        if !conn.is_autocommit() {
            // The setting cannot change inside a transaction that failed to end.
            execute(conn, "ROLLBACK")?;
        }
        conn.pragma_update(None, "synchronous", "normal")?;
    }
    written
}

fn run_jobs(
    conn: &Connection,
    clock: &Clock,
    changed: &Cell<bool>,
    group: &mut [Box<dyn Job>],
) -> rusqlite::Result<()> {
    execute(conn, "BEGIN IMMEDIATE")?;
    // While nothing else is in the transaction a job that fails is undone with all of it, and a savepoint, for which
    // SQLite copies every page before it is changed, is saved. Mostly a job is alone.
    let mut alone = true;
    for job in group {
        // A savepoint each: one that fails does not undo the others.
        if !alone {
            execute(conn, "SAVEPOINT job")?;
        }
        let well = job.run(&Db::new(conn, clock.wall(), changed));
        // If SQLite has rolled everything back by itself (a full disk), undoing fails, and with it the whole group.
        match (well, alone) {
            (true, true) => alone = false,
            (false, true) => {
                execute(conn, "ROLLBACK")?;
                execute(conn, "BEGIN IMMEDIATE")?;
            }
            (true, false) => execute(conn, "RELEASE job")?,
            (false, false) => {
                execute(conn, "ROLLBACK TO job")?;
                execute(conn, "RELEASE job")?;
            }
        }
    }
    execute(conn, "COMMIT")
}

/// Copies the log into the database and waits for the disk.
fn run_checkpoint(conn: &Connection) -> Result<()> {
    let copied = || -> rusqlite::Result<bool> {
        conn.pragma_update(None, "synchronous", "full")?;
        let busy =
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        conn.pragma_update(None, "synchronous", "normal")?;
        Ok(busy? == 0)
    };
    match copied() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Database {
            message: "the log could not be copied into the database because somebody reads an old \
                      state of it; try again"
                .into(),
            retryable: true,
        }),
        Err(error) => Err(from_sqlite(&error)),
    }
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests;
