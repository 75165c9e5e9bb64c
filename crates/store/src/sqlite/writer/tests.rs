//! Group commits: who shares a transaction with whom must not show, unless the transaction itself fails.

use paceline_clock::SimClock;
use paceline_model::{Error, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::*;
use crate::sqlite::connection::open_writer;
use crate::sqlite::job::job;

type Answer = oneshot::Receiver<Result<()>>;

/// A job that runs `sql` and then fails if `fails`.
fn sql_job(durable: bool, sql: &'static str, fails: bool) -> (Box<dyn Job>, Answer) {
    job(durable, move |db| {
        db.conn.execute_batch(sql)?;
        if fails { Err(Error::invalid("on purpose").into()) } else { Ok(()) }
    })
}

/// Runs the jobs in one transaction; their answers, in order.
fn group(conn: &Connection, jobs: Vec<(Box<dyn Job>, Answer)>) -> Vec<Result<()>> {
    let (mut jobs, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
    write_group(conn, &SimClock::new().clock(), &Wakeup::new(), &mut jobs);
    assert!(jobs.is_empty());
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

fn database() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    crate::file::create_private(&path).unwrap();
    let conn = open_writer(&path, paceline_clock::Timestamp::default()).unwrap();
    (dir, conn)
}

fn settings(conn: &Connection) -> Vec<String> {
    let mut statement = conn.prepare("SELECT name FROM _ht_settings ORDER BY name").unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(std::result::Result::unwrap).collect()
}

fn synchronous(conn: &Connection) -> i64 {
    conn.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
}

const ONE: &str = "INSERT INTO _ht_settings VALUES ('one', '')";
const TWO: &str = "INSERT INTO _ht_settings VALUES ('two', '')";
const THREE: &str = "INSERT INTO _ht_settings VALUES ('three', '')";
/// Only the commit finds that the table is missing.
const BREAKS_THE_COMMIT: &str = "PRAGMA defer_foreign_keys = 1;
    INSERT INTO _ht_columns (table_id, name, kind) VALUES (99, 'x', 'text')";

#[test]
fn a_job_that_fails_undoes_only_itself() {
    let (_dir, conn) = database();
    let jobs =
        vec![sql_job(false, ONE, false), sql_job(false, TWO, true), sql_job(false, THREE, false)];
    let answers = group(&conn, jobs);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(&answers[1], Err(Error::Invalid(text)) if text == "on purpose"));
    assert_eq!(settings(&conn), ["one", "three"]);
}

#[test]
fn jobs_that_fail_first_or_alone_undo_only_themselves() {
    for (fails, kept) in [
        ([true, false, false], vec!["three", "two"]),
        ([true, true, false], vec!["three"]),
        ([true, false, true], vec!["two"]),
        ([true, true, true], vec![]),
    ] {
        let (_dir, conn) = database();
        let jobs =
            [ONE, TWO, THREE].iter().zip(fails).map(|(sql, fails)| sql_job(false, sql, fails));
        let answers = group(&conn, jobs.collect());
        assert_eq!(answers.iter().map(Result::is_err).collect::<Vec<_>>(), fails);
        assert_eq!(settings(&conn), kept);
    }
}

#[test]
fn when_the_commit_fails_nobody_is_told_that_it_worked() {
    for durable in [false, true] {
        let (_dir, conn) = database();
        let jobs = vec![
            sql_job(durable, ONE, false),
            sql_job(false, TWO, true),
            sql_job(false, BREAKS_THE_COMMIT, false),
        ];
        let answers = group(&conn, jobs);
        assert!(matches!(answers[0], Err(Error::Database { .. })), "{answers:?}");
        assert!(matches!(answers[1], Err(Error::Invalid(_))), "it says what it knows itself");
        assert!(matches!(answers[2], Err(Error::Database { .. })));
        assert_eq!(settings(&conn), [""; 0]);
        let after = group(&conn, vec![sql_job(false, THREE, false)]);
        assert!(after[0].is_ok(), "the next transaction is none the worse: {after:?}");
        assert_eq!(settings(&conn), ["three"]);
        assert_eq!(synchronous(&conn), 1, "normal again");
    }
}

#[test]
fn a_job_that_must_be_durable_is_synced() {
    let (_dir, conn) = database();
    let (probe, mut seen) = job(true, |db| Ok(synchronous(db.conn)));
    write_group(&conn, &SimClock::new().clock(), &Wakeup::new(), &mut vec![probe]);
    assert_eq!(seen.try_recv().unwrap().unwrap(), 2, "full");
    assert_eq!(synchronous(&conn), 1, "normal again");
}

#[test]
fn a_transaction_that_sqlite_ends_by_itself_fails_for_all() {
    let (_dir, conn) = database();
    // What a full disk does, too.
    let jobs = vec![sql_job(false, ONE, false), sql_job(false, "ROLLBACK", true)];
    let answers = group(&conn, jobs);
    assert!(answers.iter().all(std::result::Result::is_err), "{answers:?}");
    assert_eq!(settings(&conn), [""; 0]);
    assert!(group(&conn, vec![sql_job(false, TWO, false)])[0].is_ok());
}
