//! Schema history on PostgreSQL: the same discipline as SQLite's, under a lock of the database, so that of two programs
//! that start at once one migrates and the other finds it done.

use paceline_clock::Timestamp;
use paceline_model::Error;

use super::db::Db;
use super::lock;
use super::param::params;
use crate::error::Result;
use crate::migrate::{Migration, check_unchanged, checksum, too_new};

/// Number one is the first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { name: "spine", sql: include_str!("../../migrations/postgres/0001_spine.sql") },
    Migration {
        name: "platform",
        sql: include_str!("../../migrations/postgres/0002_platform.sql"),
    },
    Migration { name: "smart", sql: include_str!("../../migrations/postgres/0003_smart.sql") },
];

/// The oldest server that has what the statements use, as `server_version_num` counts.
const SERVER_MIN: i64 = 130_000;

/// Brings the schema to this version, in the transaction of `db`.
///
/// Fails with `Corrupt` if the database was written by a newer version, or if a migration that it went through is not
/// the one we know, and with `Conflict` if the schema is some other program's or the server cannot keep our data.
pub(super) async fn migrate(db: &Db, migrations: &[Migration]) -> Result<()> {
    // Longer than a statement of the running program: whoever came first may have much to migrate.
    db.run("SET LOCAL statement_timeout = 600000; SET LOCAL lock_timeout = 600000").await?;
    lock::for_migration(db).await?;
    check_server(db).await?;
    make_schema(db).await?;
    let applied = db
        .query(
            "-- paceline: migrate\nSELECT number, checksum FROM paceline._ht_migrations ORDER BY number",
            &[],
        )
        .await?;
    if applied.len() > migrations.len() {
        return Err(too_new(applied.len(), migrations.len()));
    }
    for (index, migration) in migrations.iter().enumerate() {
        let number = crate::codec::signed(index + 1);
        match applied.get(index) {
            Some(row) => {
                let known = (row.int(0)? == number).then(|| row.text(1)).transpose()?;
                check_unchanged(known.as_deref(), number, migration)?;
            }
            None => apply(db, number, migration, db.now).await?,
        }
    }
    Ok(())
}

async fn apply(db: &Db, number: i64, migration: &Migration, now: Timestamp) -> Result<()> {
    db.run(migration.sql).await?;
    db.execute(
        "-- paceline: migrate\nINSERT INTO paceline._ht_migrations (number, name, checksum, applied_at) \
         VALUES ($1, $2, $3, $4)",
        params![number, migration.name, checksum(migration).as_str(), now],
    )
    .await?;
    Ok(())
}

async fn check_server(db: &Db) -> Result<()> {
    let server = db
        .one(
            "-- paceline: migrate\nSELECT current_setting('server_version_num')::bigint, \
             current_setting('server_encoding'), current_setting('server_version')",
            &[],
        )
        .await?;
    if server.int(0)? < SERVER_MIN {
        let message =
            format!("the server is PostgreSQL {}; 13 or newer is needed", server.text(2)?);
        return Err(Error::Conflict(message).into());
    }
    if server.text(1)? != "UTF8" {
        let message = format!(
            "the database keeps text as {}; make one with ENCODING 'UTF8' TEMPLATE template0",
            server.text(1)?
        );
        return Err(Error::Conflict(message).into());
    }
    Ok(())
}

/// Makes the schema and the list of migrations, unless they are there.
async fn make_schema(db: &Db) -> Result<()> {
    let found = db
        .one(
            "-- paceline: migrate\nSELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'paceline'), \
             to_regclass('paceline._ht_migrations') IS NOT NULL, EXISTS (SELECT 1 FROM pg_class AS c \
             JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'paceline')",
            &[],
        )
        .await?;
    let (schema, ours, filled) = (found.bool(0)?, found.bool(1)?, found.bool(2)?);
    if ours {
        return Ok(());
    }
    if filled {
        return Err(Error::Conflict(
            "the schema paceline of this database is another program's; choose another database"
                .into(),
        )
        .into());
    }
    // Asked for only if it is missing: a user who was given the schema may not be allowed to make one.
    if !schema {
        db.run("-- paceline: migrate\nCREATE SCHEMA paceline").await?;
    }
    db.run(
        "-- paceline: migrate\nCREATE TABLE paceline._ht_migrations (number bigint PRIMARY KEY, \
         name text NOT NULL, checksum text NOT NULL, applied_at bigint NOT NULL)",
    )
    .await
}
