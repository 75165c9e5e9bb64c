//! Hears of what other processes change, for those who wait for changes in this one.
//!
//! It asks once a second instead of LISTEN: every NOTIFY makes the commits of a whole server queue for one lock, and a
//! session that listens must survive every proxy. What it compares is not the newest number of a change, because one
//! that is committed late may be smaller than one that was seen before, but which transactions there are.

use std::time::Duration;

use super::db::Server;
use super::param::params;
use super::{Db, Mode};
use crate::error::Result;

/// How often is asked while anybody waits.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Goes on for as long as the store is there.
pub(super) async fn serve(server: Server) {
    let mut seen = None;
    loop {
        server.patience.sleep(ASK_EVERY).await;
        if !server.wakeup.awaited() {
            continue;
        }
        // While the database cannot be asked nothing is heard; the first answer after that differs.
        let Ok(now) = transactions(&server).await else { continue };
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            server.wakeup.ring();
        }
    }
}

/// Which transactions have come to an end, as text: two that are alike have none between them.
async fn transactions(server: &Server) -> Result<String> {
    let db = Db::begin(&server.pool, Mode::Read, server.patience.wall()).await?;
    let sql = "-- paceline: listen\nSELECT pg_current_snapshot()::text";
    let now = db.one(sql, params![]).await?.text(0)?;
    db.commit(server).await?;
    Ok(now)
}
