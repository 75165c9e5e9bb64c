//! Schema history: numbered files, applied once, in order, and never changed afterwards.

use paceline_clock::Timestamp;
use paceline_model::Error;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::{Fault, Result};

/// Marks the file as ours ("Pace" in ASCII), so that another program's database is not mistaken for one.
const APPLICATION_ID: i32 = 0x5061_6365;

/// One step of a schema's history.
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Number one is the first.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "spine", sql: include_str!("../migrations/sqlite/0001_spine.sql") },
    Migration { name: "budgets", sql: include_str!("../migrations/sqlite/0002_budgets.sql") },
    Migration { name: "notes", sql: include_str!("../migrations/sqlite/0003_notes.sql") },
    Migration { name: "platform", sql: include_str!("../migrations/sqlite/0004_platform.sql") },
    Migration { name: "smart", sql: include_str!("../migrations/sqlite/0005_smart.sql") },
    Migration { name: "runs", sql: include_str!("../migrations/sqlite/0006_runs.sql") },
];

/// Brings the schema of `conn` to this version, in one transaction.
///
/// Fails with `Corrupt` if the database was written by a newer version, if a migration that it went through is not the
/// one we know, and with `Conflict` if it is some other program's.
pub(crate) fn migrate(conn: &mut Connection, now: Timestamp) -> Result<()> {
    migrate_to(conn, now, MIGRATIONS)
}

fn migrate_to(conn: &mut Connection, now: Timestamp, migrations: &[Migration]) -> Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    check_ours(&tx)?;
    let applied = usize::try_from(pragma(&tx, "user_version")?).unwrap_or(usize::MAX);
    if applied > migrations.len() {
        return Err(too_new(applied, migrations.len()));
    }
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS _ht_migrations (
            number     INTEGER PRIMARY KEY,
            name       TEXT    NOT NULL,
            checksum   TEXT    NOT NULL,
            applied_at INTEGER NOT NULL
        ) STRICT",
    )?;
    for (index, migration) in migrations.iter().enumerate() {
        let number = crate::codec::signed(index + 1);
        if index < applied {
            check_unchanged(recorded(&tx, number)?.as_deref(), number, migration)?;
        } else {
            apply(&tx, number, migration, now)?;
        }
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", crate::codec::signed(migrations.len()))?;
    Ok(tx.commit()?)
}

fn check_ours(conn: &Connection) -> Result<()> {
    if pragma(conn, "application_id")? == i64::from(APPLICATION_ID) {
        return Ok(());
    }
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables > 0 {
        return Err(Error::Conflict(
            "this file is a database of another program; choose another file or directory".into(),
        )
        .into());
    }
    Ok(())
}

fn recorded(conn: &Connection, number: i64) -> Result<Option<String>> {
    let sql = "SELECT checksum FROM _ht_migrations WHERE number = ?1";
    Ok(conn.query_row(sql, [number], |row| row.get(0)).optional()?)
}

/// Refuses a database that went through another migration than ours; `recorded` is the checksum it remembers.
pub(crate) fn check_unchanged(
    recorded: Option<&str>,
    number: i64,
    migration: &Migration,
) -> Result<()> {
    if recorded != Some(checksum(migration).as_str()) {
        return Err(Error::Corrupt(format!(
            "the database went through another migration {number:04} than this program's {:?}; \
             use the program that wrote it",
            migration.name
        ))
        .into());
    }
    Ok(())
}

/// What is said of a database with more migrations than this program has.
pub(crate) fn too_new(applied: usize, known: usize) -> Fault {
    Error::Corrupt(format!(
        "the database is of schema version {applied}, this program knows versions up to {known}; \
         use the newer program that wrote it"
    ))
    .into()
}

fn apply(conn: &Connection, number: i64, migration: &Migration, now: Timestamp) -> Result<()> {
    conn.execute_batch(migration.sql)?;
    conn.execute(
        "INSERT INTO _ht_migrations (number, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
        params![number, migration.name, checksum(migration), now.as_micros()],
    )?;
    Ok(())
}

/// What a database remembers of a migration.
pub(crate) fn checksum(migration: &Migration) -> String {
    blake3::hash(migration.sql.as_bytes()).to_hex().to_string()
}

fn pragma(conn: &Connection, name: &str) -> Result<i64> {
    Ok(conn.pragma_query_value(None, name, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Timestamp::from_seconds(1)).unwrap();
        conn
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = fresh();
        let before = applied_at(&conn);
        migrate(&mut conn, Timestamp::from_seconds(2)).unwrap();
        assert_eq!(applied_at(&conn), before);
        assert_eq!(before, vec![1_000_000; MIGRATIONS.len()]);
    }

    fn applied_at(conn: &Connection) -> Vec<i64> {
        let mut statement =
            conn.prepare("SELECT applied_at FROM _ht_migrations ORDER BY number").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(std::result::Result::unwrap).collect()
    }

    #[test]
    fn an_older_database_gets_what_is_missing_and_keeps_what_it_has() {
        for older in 1..MIGRATIONS.len() {
            let mut conn = Connection::open_in_memory().unwrap();
            migrate_to(&mut conn, Timestamp::from_seconds(1), &MIGRATIONS[..older]).unwrap();
            conn.execute("INSERT INTO _ht_settings VALUES ('kept', 'yes')", []).unwrap();
            migrate(&mut conn, Timestamp::from_seconds(2)).unwrap();
            let mut wanted = vec![1_000_000; older];
            wanted.resize(MIGRATIONS.len(), 2_000_000);
            assert_eq!(applied_at(&conn), wanted);
            let kept: String = conn
                .query_row("SELECT value FROM _ht_settings WHERE name = 'kept'", [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert_eq!(kept, "yes");
        }
    }

    #[test]
    fn a_changed_migration_is_found() {
        let mut conn = fresh();
        conn.execute("UPDATE _ht_migrations SET checksum = 'other'", []).unwrap();
        let error = migrate(&mut conn, Timestamp::default()).unwrap_err().0;
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("0001")), "{error}");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut conn = fresh();
        conn.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut conn, Timestamp::default()).unwrap_err().0;
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("99")), "{error}");
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE photos (id INTEGER)").unwrap();
        let error = migrate(&mut conn, Timestamp::default()).unwrap_err().0;
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        let tables: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}
