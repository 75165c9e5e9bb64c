//! Advisory locks: they belong to a session or a transaction and go with it, however it ends. Two numbers name one; the
//! first says that it is ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{ColumnId, Error};
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Target;
use super::db::Db;
use super::error::{failed, from_postgres};
use super::param::params;
use crate::error::Result;

/// "Pace" in ASCII.
const OURS: i32 = 0x5061_6365;
const MIGRATING: i32 = 1;
const ALONE: i32 = 2;
/// "Pacf": the first number of the locks of columns.
const COLUMNS: i32 = OURS + 1;

/// How long the session of a process that was just killed is waited for, and how often is looked.
const DYING_MAX: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a lost lock is tried to be taken again.
const RETAKE_EVERY: Duration = Duration::from_secs(1);

const HELD: u8 = 0;
const LOST: u8 = 1;
const TAKEN: u8 = 2;

/// Holds other migrations off until the end of the transaction.
pub(super) async fn for_migration(db: &Db) -> Result<()> {
    db.run(&format!("SELECT pg_advisory_xact_lock({OURS}, {MIGRATING})")).await
}

/// Holds off whoever else begins a run of this column, or settles a cell of it, until the end of the transaction. The
/// first lock of a transaction that takes it.
pub(super) async fn of_column(db: &Db, column: ColumnId) -> Result<()> {
    // Columns that are 2^31 apart share one: they wait for each other, which is no harm.
    let sql =
        "-- paceline: lock\nSELECT pg_advisory_xact_lock($1::bigint::int, ($2 & 2147483647)::int)";
    db.query(sql, params![i64::from(COLUMNS), column.0]).await?;
    Ok(())
}

/// The right to be the only process on a database. It is a lock of one session that does nothing else; if that session
/// is lost, nothing is written before the lock is held again.
#[derive(Clone, Debug, Default)]
pub(super) struct Alone(Arc<AtomicU8>);

impl Alone {
    /// Takes the lock and keeps it.
    ///
    /// Fails with `Conflict` if another process holds it.
    pub(super) async fn take(target: &Target, patience: &Clock) -> Result<Self> {
        let until = patience.now() + DYING_MAX;
        loop {
            match Session::open(target).await? {
                Some(session) => {
                    let alone = Self::default();
                    tokio::spawn(alone.clone().keep(session, target.clone(), patience.clone()));
                    return Ok(alone);
                }
                None if patience.now() < until => patience.sleep(LOOK_EVERY).await,
                None => return Err(in_use(target.database()).into()),
            }
        }
    }

    /// Fails while the lock is not held.
    pub(super) fn check(&self, database: &str) -> paceline_model::Result<()> {
        match self.0.load(Ordering::Acquire) {
            HELD => Ok(()),
            LOST => Err(failed(
                "the connection that keeps other processes off the database was lost; nothing is written before it \
                 is back, try again",
                true,
            )),
            _ => Err(in_use(database)),
        }
    }

    /// Watches the session, and takes the lock again when it was lost.
    async fn keep(self, session: Session, target: Target, patience: Clock) {
        session.ended().await;
        self.0.store(LOST, Ordering::Release);
        loop {
            match Session::open(&target).await {
                Ok(Some(session)) => {
                    self.0.store(HELD, Ordering::Release);
                    session.ended().await;
                    self.0.store(LOST, Ordering::Release);
                }
                // Whoever has it now took it rightly; its work must not be mixed with ours, whatever becomes of it.
                Ok(None) => return self.0.store(TAKEN, Ordering::Release),
                Err(_) => patience.sleep(RETAKE_EVERY).await,
            }
        }
    }
}

fn in_use(database: &str) -> Error {
    Error::Conflict(format!(
        "another paceline process works on this database ({database}); stop it or choose another database"
    ))
}

/// A session that holds the lock.
struct Session {
    /// Without it the connection would end.
    _client: Client,
    connection: tokio::task::JoinHandle<()>,
}

impl Session {
    /// `None` if somebody else holds the lock.
    async fn open(target: &Target) -> Result<Option<Self>> {
        let (client, connection) = connect(target).await?;
        let connection = tokio::spawn(async move {
            // Why it ended does not matter here.
            let _ = connection.await;
        });
        let sql = format!("SELECT pg_try_advisory_lock({OURS}, {ALONE})");
        let row = client.query_typed_one(&sql, &[]).await?;
        let held: bool = row.try_get(0)?;
        Ok(held.then_some(Self { _client: client, connection }))
    }

    async fn ended(self) {
        let _ = self.connection.await;
    }
}

type Stream = <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream;

async fn connect(
    target: &Target,
) -> std::result::Result<(Client, Connection<Socket, Stream>), Error> {
    target.config.connect(target.tls.clone()).await.map_err(|error| from_postgres(&error))
}
