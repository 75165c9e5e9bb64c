//! The threads that read: each answer is one snapshot, and a long one does not keep the writer waiting.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use paceline_clock::Clock;
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::connection::Db;
use super::job::{Failure, Job};
use crate::error::from_sqlite;

/// Threads that read. Two, so that a page of a big table does not hold up a look-up.
pub(super) const READERS: usize = 2;
/// Reads that may wait; who comes later waits for a place.
pub(super) const QUEUE_MAX: usize = 256;

/// What the readers share: whoever is free takes the next.
pub(super) type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

/// Serves `queue` until every sender is gone.
pub(super) fn serve(conn: &Connection, clock: &Clock, queue: &Queue) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(mut job) = next else { return };
        let outcome = read(conn, clock, job.as_mut());
        let failure = outcome.err().map(|error| Failure::new(&from_sqlite(&error)));
        job.answer(failure.as_ref());
    }
}

/// Runs a job on one snapshot, so that its several queries fit together.
fn read(conn: &Connection, clock: &Clock, job: &mut dyn Job) -> rusqlite::Result<()> {
    conn.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    // Nothing is written here, so nobody waits to hear of it.
    job.run(&Db::new(conn, clock.wall(), &Cell::new(false)));
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
