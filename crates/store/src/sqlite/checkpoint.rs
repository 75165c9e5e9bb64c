//! The log of commits and how it is copied back into the database: beside the writer, by a thread of its own, so that no
//! commit waits for the disk meanwhile. A run at 64 calls at once stood still for a seventh of its time before.
//!
//! SQLite begins the log anew only when all of it is copied, and while somebody writes some of it never is. So the thread
//! copies twice, the second time what came in during the first, and then the writer itself copies the little that is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rusqlite::Connection;

/// From so many pages (64 MB) on the log is copied: fewer, and pages that are written again and again would be copied
/// each time.
const PAGES_MAX: i64 = 16_384;

/// What the writer and the thread share.
#[derive(Clone, Debug, Default)]
struct Shared {
    /// Held while the log is copied: SQLite refuses a second one at that time.
    copying: Arc<Mutex<()>>,
    /// The thread is done with what it was asked for.
    done: Arc<AtomicBool>,
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct Log {
    pages_max: i64,
    asks: mpsc::SyncSender<()>,
    asked: bool,
    shared: Shared,
}

/// The thread's side.
#[derive(Debug)]
pub(super) struct Copier {
    conn: Connection,
    asked: mpsc::Receiver<()>,
    shared: Shared,
}

/// The two sides; `conn` is the thread's own.
pub(super) fn log(conn: Connection) -> (Log, Copier) {
    let (asks, asked) = mpsc::sync_channel(1);
    let shared = Shared::default();
    let log = Log { pages_max: PAGES_MAX, asks, asked: false, shared: shared.clone() };
    (log, Copier { conn, asked, shared })
}

impl Log {
    /// To be called between two transactions of the writer: has the log copied if it is long. What fails is tried again
    /// later; nothing is lost by that but space.
    pub(super) fn look(&mut self, writer: &Connection) {
        if self.asked {
            if self.shared.done.swap(false, Ordering::AcqRel) {
                self.asked = false;
                // The thread holds nothing any more. A reader of an old state may keep the log from beginning anew; then
                // the next time does it.
                let _ = copy(writer, "passive");
            }
            return;
        }
        if copy(writer, "noop").is_ok_and(|(pages, copied)| pages - copied >= self.pages_max) {
            self.asked = self.asks.try_send(()).is_ok();
        }
    }

    /// Does something that copies the log while the thread does not.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.shared.copying.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

impl Copier {
    /// Copies when asked, until the writer is gone.
    pub(super) fn serve(&self) {
        while self.asked.recv().is_ok() {
            self.copy_most();
        }
    }

    fn copy_most(&self) {
        let alone = self.shared.copying.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            let _ = copy(&self.conn, "passive");
        }
        drop(alone);
        self.shared.done.store(true, Ordering::Release);
    }
}

/// How many pages the log has, and how many of them are copied then.
fn copy(conn: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    conn.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::{open_copier, open_writer};

    #[test]
    fn a_long_log_is_copied_beside_the_writer_and_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        crate::file::create_private(&path).unwrap();
        let writer = open_writer(&path, paceline_clock::Timestamp::default()).unwrap();
        let (mut log, copier) = log(open_copier(&path).unwrap());
        log.pages_max = 100;
        let write = |row: i64| {
            let sql = "INSERT INTO _ht_settings VALUES (?1, 'x')";
            writer.execute(sql, [row.to_string()]).unwrap();
        };
        let pages = || copy(&writer, "noop").unwrap().0;
        let mut rows = 0;
        while copier.asked.try_recv().is_err() {
            write(rows);
            rows += 1;
            log.look(&writer);
            assert!(rows < 1_000, "it is never asked for");
        }
        assert!(pages() >= 100);
        copier.copy_most();
        // Written after the thread has looked last.
        write(-1);
        log.look(&writer);
        assert_eq!(copy(&writer, "noop").map(|(pages, copied)| pages - copied), Ok(0));
        write(-2);
        assert!(pages() < 10, "it began anew");
        let kept: i64 =
            writer.query_row("SELECT count(*) FROM _ht_settings", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, rows + 2);
    }
}
